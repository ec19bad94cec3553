"""What the operator reads: lists, one lead's story, closed gates."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app.cli.configuration import locate_store
from app.errors import Mistake, OperatorError, StoreUnavailable
from app.lead import LeadState
from app.settings import PREFIX, Settings
from app.store.circuits import load_circuits
from app.store.gates import list_gates
from app.store.keyring import count_behind, find_missing_keys
from app.store.leads import find_lead_id, list_statuses
from app.store.migrate import current_revision
from app.store.notices import list_unsent
from app.store.place import Place
from app.store.proxies import find_proxy
from app.store.reading import read_beside
from app.store.sqlite import find_other_name
from app.store.stories import describe_status, tell_story, write_moment, write_value

Row = dict[str, Any]


def require_store(settings: Settings) -> Place:
    """Raises OperatorError: an operator's command must not make a store where none was."""
    place = locate_store(settings)
    if isinstance(place.at, Path) and not place.at.is_file():
        raise OperatorError(f"there is no store at {place.at} yet: nothing has been accepted")
    return place


def list_leads(
    settings: Settings, *, states: Sequence[LeadState], form: str | None, limit: int | None
) -> list[Row]:
    job = partial(list_statuses, states=states, form=form, limit=limit)
    found = read_beside(require_store(settings), job)
    return [describe_status(status) | {"reason": status.reason} for status in found]


def tell_one(settings: Settings, name: str) -> Row:
    """The lead itself, where it is, and its history. Raises LeadNotFound."""
    return read_beside(
        require_store(settings), lambda connection: tell_story(connection, find_lead_id(connection, name))
    )


def list_closed_gates(settings: Settings) -> list[Row]:
    """What nobody calls at the moment; a destination that fails for everybody is no customer's."""
    place = require_store(settings)
    refusals = [
        {
            "baseUrl": gate.key.base_url,
            "login": gate.key.login,
            "customer": gate.key.customer_id,
            "group": gate.key.call_group.value,
            "status": gate.status,
            "closedAt": write_moment(gate.closed_at),
            "probeAt": write_moment(gate.probe_at),
        }
        for gate in read_beside(place, list_gates)
    ]
    nobody = dict.fromkeys(("login", "customer", "group", "status"))
    failures = [
        {
            "baseUrl": one.base_url,
            **nobody,
            "closedAt": write_moment(one.changed_at),
            "probeAt": write_moment(one.until),
        }
        for one in read_beside(place, load_circuits).values()
        if one.state != "closed"
    ]
    return refusals + failures


def look_at_store(settings: Settings) -> list[Mistake]:
    """What the store tells of the settings. Nothing where there is no store to ask."""
    place = locate_store(settings)
    if isinstance(place.at, Path) and not place.at.is_file():
        return []
    other = find_other_name(place.at) if isinstance(place.at, Path) else None
    found = [Mistake(f"{PREFIX}DATABASE_URL", "", other)] if other else []
    try:
        return found + read_beside(place, partial(_look_at_store, settings=settings))
    except StoreUnavailable:
        return found


def _look_at_store(connection: Connection, *, settings: Settings) -> list[Mistake]:
    if current_revision(connection) is None:
        return []
    return [*_look_at_keys(connection), *_look_at_proxies(connection, settings)]


def _look_at_keys(connection: Connection) -> Iterator[Mistake]:
    """What the keys do not open, or the newest has not sealed."""
    name = f"{PREFIX}ENCRYPTION_KEYS"
    for key in find_missing_keys(connection):
        yield Mistake(name, "", f"lacks key {key}, which has encrypted leads: they wait for it")
    if behind := count_behind(connection):
        yield Mistake(name, "", f"{behind} rows are not under the newest key: run leadgate db rekey")


def _look_at_proxies(connection: Connection, settings: Settings) -> Iterator[Mistake]:
    met_at = find_proxy(connection)
    if met_at is not None and not settings.trusted_proxies:
        yield Mistake(
            f"{PREFIX}TRUSTED_PROXIES",
            "",
            f"is not set, and on {met_at:%Y-%m-%d} all submissions came through one proxy: all visitors share one"
            " limit; name its network",
        )


def list_unsent_notices(settings: Settings) -> list[Row]:
    rows = read_beside(require_store(settings), list_unsent)
    readable: list[Row] = json.loads(json.dumps(rows, default=write_value))
    return readable


def print_notices(rows: Sequence[Row]) -> None:
    for row in rows:
        about = f" of lead {row['leadId']}" if row["leadId"] else ""
        failed = f", last failure {row['failure']}" if row["failure"] else ""
        print(
            f"{row['kind']} by {row['channel']}{about}: {row['tries']} tries since {row['madeAt']}{failed}; "
            f"next try {row['nextTryAt']}"
        )
    if not rows:
        print("everything has been told")


def find_revision(settings: Settings) -> str | None:
    return read_beside(require_store(settings), current_revision)


def print_list(rows: Sequence[Row]) -> None:
    for row in rows:
        line = f"{row['reference']}  {row['status']:<11}  {row['receivedAt']}  {row['form']:<16}  {row['id']}"
        print(f"{line}  {row['reason'] or ''}".rstrip())
    if not rows:
        print("no leads")


_PLACE = ("form", "reason", "receivedAt", "deliveredAt", "vitecLeadId", "purgedAt")


def print_story(story: Row) -> None:
    print(f"{story['reference']}  {story['status']}  {story['id']}")
    _print_values({name: story[name] for name in _PLACE}, "  ")
    if story["spam"]:
        print(f"  spam: {', '.join(story['spam']['reasons'])} (score {story['spam']['score']:g})")
    print("lead" if story["lead"] else "of the lead nothing but this is left")
    _print_values(story["lead"], "  ")
    print("history")
    for entry in story["history"]:
        rest = {name: value for name, value in entry.items() if name not in {"at", "kind"}}
        print(f"  {entry['at']}  {entry['kind']}  {_write_line(rest)}".rstrip())


def _print_values(values: Mapping[str, Any], indent: str) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            if any(value.values()):
                print(f"{indent}{name}:")
                _print_values(value, indent + "  ")
        elif isinstance(value, list):
            for one in value:
                print(f"{indent}{name}: {_write_line(one)}")
        elif value not in (None, ""):
            # Further lines are indented: what a visitor wrote must not pass for a line of ours.
            print(f"{indent}{name}: {value}".replace("\n", f"\n{indent}  "))


def _write_line(value: Mapping[str, Any]) -> str:
    return "  ".join(
        f"{name}={json.dumps(one, ensure_ascii=False)}"
        for name, one in value.items()
        if one not in (None, "")
    )


_HELP = {
    401: (
        "a wrong user name or password, or Vitec has not opened these calls: `leadgate check --live`. A new "
        "password in a file is tried by itself, one in .env after a restart"
    ),
    403: "the brokerage, or Vitec, must open these calls to the login; then `leadgate gates probe`",
}
_HELP_ELSE = "the address or the customer's id is probably wrong; when it is mended: `leadgate gates probe`"


def print_gates(rows: Sequence[Row]) -> None:
    for row in rows:
        if row["customer"] is None:
            print(
                f"{row['baseUrl']}: fails, and is left alone since {row['closedAt']}; next try {row['probeAt']}"
                "\n  leads wait, and go by themselves when it is well: nothing need be done here"
            )
        else:
            print(
                f"{row['customer']} {row['group']}: closed since {row['closedAt']} (Vitec answered {row['status']} "
                f"to login {row['login']}); next try {row['probeAt']}"
                f"\n  {_HELP.get(row['status'], _HELP_ELSE)}"
            )
    if not rows:
        print("all gates are open")
