"""What the operator reads: lists, one lead's story, closed gates."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from app.errors import OperatorError
from app.identity import write_reference
from app.lead import LeadState
from app.settings import Settings
from app.store.gates import list_gates
from app.store.history import load_history
from app.store.leads import find_lead_id, find_status, list_statuses, load_lead
from app.store.reading import read_beside


def list_leads(
    settings: Settings, *, states: Sequence[LeadState], form: str | None, limit: int | None
) -> list[dict[str, Any]]:
    job = partial(list_statuses, states=states, form=form, limit=limit)
    return [
        {
            "id": status.lead_id,
            "reference": write_reference(status.reference),
            "status": status.state.value,
            "form": status.form,
            "receivedAt": status.received_at.isoformat(),
        }
        for status in read_beside(_require_store(settings), job)
    ]


def tell_story(settings: Settings, name: str) -> dict[str, Any]:
    """The lead itself, where it is, and its history. Raises LeadNotFound."""

    def read(connection: Any) -> dict[str, Any]:
        lead_id = find_lead_id(connection, name)
        status = find_status(connection, lead_id)
        assert status is not None
        lead = asdict(load_lead(connection, lead_id))
        return {
            "id": lead_id,
            "reference": write_reference(status.reference),
            "status": status.state.value,
            "reason": status.reason,
            "form": status.form,
            "receivedAt": status.received_at,
            "deliveredAt": status.delivered_at,
            "lead": lead | {"reference": write_reference(status.reference)},
            "history": load_history(connection, lead_id),
        }

    story: dict[str, Any] = json.loads(
        json.dumps(read_beside(_require_store(settings), read), default=_write_value)
    )
    return story


def _require_store(settings: Settings) -> Path:
    path = settings.database_path
    if not path.is_file():
        raise OperatorError(f"there is no store at {path} yet: nothing has been accepted")
    return path


def _write_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_list(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        print(
            f"{row['reference']}  {row['status']:<11}  {row['receivedAt'][:19]}Z  {row['form']:<16}  {row['id']}"
        )
    if not rows:
        print("no leads")


def print_story(story: dict[str, Any]) -> None:
    print(f"{story['reference']}  {story['status']}  {story['id']}")
    for name in ("form", "reason", "receivedAt", "deliveredAt"):
        if story[name]:
            print(f"  {name}: {story[name]}")
    print("lead")
    _print_values(story["lead"], "  ")
    print("history")
    for entry in story["history"]:
        rest = "  ".join(f"{name}={value}" for name, value in entry.items() if name not in {"at", "kind"})
        print(f"  {entry['at'][:23]}  {entry['kind']}  {rest}".rstrip())


def _print_values(values: dict[str, Any], indent: str) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            print(f"{indent}{name}:")
            _print_values(value, indent + "  ")
        elif isinstance(value, list):
            for one in value:
                print(f"{indent}{name}: {_line(one)}")
        elif value not in {None, ""}:
            print(f"{indent}{name}: {value}")


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}={part}" for name, part in value.items() if part not in {None, ""})
    return str(value)


def print_gates(settings: Settings, *, as_json: bool) -> None:
    found = read_beside(_require_store(settings), list_gates)
    rows = [
        {
            "baseUrl": gate.key.base_url,
            "login": gate.key.login,
            "customer": gate.key.customer_id,
            "group": gate.key.call_group.value,
            "status": gate.status,
            "closedAt": gate.closed_at.isoformat(),
            "probeAt": gate.probe_at.isoformat(),
        }
        for gate in found
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(
            f"{row['customer']} {row['group']}: closed since {row['closedAt']} (Vitec answered {row['status']} "
            f"to login {row['login']}); next try {row['probeAt']}"
        )
    if not rows:
        print("all gates are open")
