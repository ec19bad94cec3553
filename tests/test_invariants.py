"""The auditor: each state that must never be is planted, found, named and counted, and it alone."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Connection, delete, insert, update

from app import tally
from app.delivery.auditor import Auditor, find_bounds
from app.delivery.parcel import Terms
from app.identity import IdentitySource, reference_of
from app.log import configure_logging
from app.store import invariants
from app.store.invariants import audit
from app.store.operator import discard_lead
from app.store.outbox import finish_attempt, mark_delivered
from app.store.place import Place
from app.store.schema import attempts, leads, outbox, payloads
from app.store.store import Store
from tests.databases import opened
from tests.processes import start_gateway
from tests.scrapes import scrape
from tests.stores import NOW, SECOND, begin, keep, must_claim

pytest_plugins = ["tests.store_fixtures"]

TERMS = Terms(timeout=timedelta(seconds=30), schedule=[timedelta(hours=8)])
BOUNDS = find_bounds(TERMS)


def find(connection: Connection, *, walk_from: str = "") -> dict[str, list[str]]:
    found = audit(connection, now=NOW, bounds=BOUNDS, walk_from=walk_from)
    return {name: list(ids) for name, ids in found.violations.items() if ids}


def change(connection: Connection, lead_id: str, **values: Any) -> None:
    connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(**values))


def attempt(connection: Connection, kind: str = "create", **settled: Any) -> str:
    """A lead of its own, the only one that is due, and what came of working on it."""
    connection.execute(update(outbox).values(next_attempt_at=NOW + SECOND))
    keep(connection)
    claimed = must_claim(connection)
    attempt_id = begin(connection, claimed, kind)
    if settled:
        finish_attempt(connection, attempt_id, now=NOW, **settled)
    return claimed.lead_id


def taken_but_not_delivered(connection: Connection) -> str:
    return attempt(connection, outcome="done", vitec_id="V1")


def payload_missing(connection: Connection) -> str:
    lead_id = attempt(connection)
    connection.execute(delete(payloads).where(payloads.c.lead_id == lead_id))
    return lead_id


def fence_stepped_back(connection: Connection) -> str:
    lead_id = attempt(connection)
    change(connection, lead_id, fence=0)
    return lead_id


def leased_for_ever(connection: Connection) -> str:
    lead_id = keep(connection)
    change(connection, lead_id, leased_until=NOW + timedelta(days=1))
    return lead_id


def due_never(connection: Connection) -> str:
    lead_id = keep(connection)
    change(connection, lead_id, next_attempt_at=NOW + timedelta(days=1))
    return lead_id


def suspect_was_sent(connection: Connection) -> str:
    lead_id = attempt(connection)
    change(connection, lead_id, state="quarantined", reason="honeypot", leased_until=None)
    return lead_id


def delivered_and_unresolved(connection: Connection) -> str:
    lead_id = attempt(connection)
    connection.execute(update(attempts).values(deadline_at=NOW - timedelta(hours=2)))
    mark_delivered(connection, lead_id, vitec_lead_id="V1", now=NOW)
    return lead_id


def received_in_the_future(connection: Connection) -> str:
    lead_id = keep(connection)
    ahead = {"received_at": NOW + timedelta(minutes=6)}
    connection.execute(update(leads).where(leads.c.id == lead_id).values(ahead))
    return lead_id


def nowhere(connection: Connection) -> str:
    lead_id = keep(connection)
    connection.execute(delete(outbox).where(outbox.c.lead_id == lead_id))
    return lead_id


def share_a_vitec_lead(connection: Connection) -> str:
    pair = [keep(connection), keep(connection)]
    for lead_id in pair:
        mark_delivered(connection, lead_id, vitec_lead_id="V1", now=NOW)
    return min(pair)


PLANTS = (
    taken_but_not_delivered,
    payload_missing,
    fence_stepped_back,
    leased_for_ever,
    due_never,
    suspect_was_sent,
    delivered_and_unresolved,
    received_in_the_future,
    nowhere,
    share_a_vitec_lead,
)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: str(plant.__name__))
def test_what_must_not_be_is_found_and_nothing_else(
    connection: Connection, plant: Callable[[Connection], str]
) -> None:
    keep(connection)  # an innocent one
    assert find(connection) == {}
    lead_id = plant(connection)
    assert find(connection) == {plant.__name__: [lead_id]}


def test_every_invariant_has_been_planted(connection: Connection) -> None:
    known = audit(connection, now=NOW, bounds=BOUNDS).violations
    assert {plant.__name__ for plant in PLANTS} == set(known)


def test_what_people_and_outages_do_every_day_is_no_violation(connection: Connection) -> None:
    held = attempt(connection, outcome="unknown")
    change(connection, held, state="held", reason="may exist in Vitec", leased_until=None)
    discarded = attempt(connection, outcome="unknown")
    change(connection, discarded, leased_until=None)
    discard_lead(connection, discarded, reason="prov", now=NOW, actor="Eva")
    keep(connection, state="quarantined", reason="honeypot")
    attempt(connection)
    waiting = keep(connection)
    change(connection, waiting, next_attempt_at=NOW + timedelta(hours=9.6))
    assert find(connection) == {}


def test_the_walk_comes_to_every_lead_however_old(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice at a time, and at the end from the beginning."""
    size = 7
    monkeypatch.setattr(invariants, "SLICE", size)
    identities = IdentitySource()
    old = NOW - timedelta(days=100)
    lead_ids = [identities.new_id(old + n * SECOND) for n in range(3 * size + 2)]
    for lead_id in lead_ids:
        lost = lead_id == lead_ids[2 * size + 1]
        _place(connection, lead_id, lost=lost)
    found, walked_to = [], ""
    for _ in range(5):
        one = audit(connection, now=NOW, bounds=BOUNDS, walk_from=walked_to)
        found.append(list(one.violations["nowhere"]))
        walked_to = one.walked_to
    assert found == [[], [], [lead_ids[2 * size + 1]], [], []]
    assert walked_to == lead_ids[size - 1]


def _place(connection: Connection, lead_id: str, *, lost: bool) -> None:
    common = {"form": "kontakt"}
    connection.execute(
        insert(leads).values(
            id=lead_id, reference=reference_of(lead_id), received_at=NOW, body="{}", fingerprint="f", **common
        )
    )
    if not lost:
        place = {"lead_id": lead_id, "state": "pending", "state_at": NOW, "next_attempt_at": NOW}
        connection.execute(insert(outbox).values(customer_id="M1", login="default", **place, **common))


@pytest.mark.anyio
async def test_a_store_whose_key_is_missing_is_audited_all_the_same(place: Path | str) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    with opened(Place(place, (old,))) as store:
        lead_id = await store.write(partial(keep, received_at=store.now(), body="{}"))
        await store.write(lambda write: write.execute(delete(outbox)))
    with opened(Place(place, (new,))) as store:
        assert (await Auditor(store, TERMS).audit_once())["nowhere"] == [lead_id]


@pytest.mark.anyio
async def test_a_violation_is_logged_when_it_comes_and_when_it_goes(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    auditor = Auditor(store, TERMS)
    await auditor.audit_once()
    assert tally.VIOLATIONS.values["nowhere",] == 0
    lead_id = await store.write(lambda write: keep(write, received_at=store.now()))
    await store.write(lambda write: write.execute(delete(outbox)))
    configure_logging("json")
    await auditor.audit_once()
    await auditor.audit_once()
    assert tally.VIOLATIONS.values["nowhere",] == 1
    await store.write(lambda write: write.execute(delete(leads)))
    await auditor.audit_once()
    assert tally.VIOLATIONS.values["nowhere",] == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["invariant"], line["leads"]) for line in lines] == [
        ("invariant_violated", "nowhere", [lead_id]),
        ("invariant_holds_again", "nowhere", []),
    ]
    assert tally.AUDITED_AT.values[()] == pytest.approx(store.now().timestamp(), abs=60)


def test_a_running_service_is_audited_from_its_start(tmp_path: Path) -> None:
    with start_gateway(tmp_path, "http://127.0.0.1:9") as gateway:
        gateway.post()
        gateway.end()
    store = Store(tmp_path / "data" / "leadgate.db", reserve=0)
    store.open()
    with store.writer._engine.begin() as connection:
        connection.execute(delete(outbox))
    store.close()
    with start_gateway(tmp_path, "http://127.0.0.1:9") as gateway:
        assert gateway.await_log("invariant_violated")["invariant"] == "nowhere"
        assert scrape(gateway.url).get("leadgate_invariant_violations", invariant="nowhere") == 1
