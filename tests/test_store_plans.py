"""A store that has run for years answers as fast as a new one: which index each hot statement uses."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, insert, text, update

from app.identity import IdentitySource, reference_of
from app.store.acceptance import accept_all
from app.store.claiming import claim_next
from app.store.gates import close_gate
from app.store.invariants import Bounds, audit
from app.store.leads import find_oldest_undelivered
from app.store.migrate import upgrade
from app.store.outbox import clear_leases
from app.store.quarantine import list_unnamed, mark_named
from app.store.queues import Selection
from app.store.reconciling import has_unresolved, tick
from app.store.schema import gates, leads, meta, outbox
from app.store.sqlite import open_writer
from app.store.standing import load_standing
from app.store.words import Proof
from tests.stores import GATE, LEASE, NOW, begin, claim, keep, must_claim, new_lead

pytest_plugins = ["tests.store_fixtures"]

DELIVERED, PENDING = 50_000, 1_000


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_writer(tmp_path_factory.mktemp("full") / "leads.db")
    with engine.connect() as connection:
        upgrade(connection)
    with engine.begin() as connection:
        _fill(connection)
    yield engine
    engine.dispose()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Engine]:
    engine = open_writer(tmp_path / "leads.db")
    with engine.connect() as connection:
        upgrade(connection)
    yield engine
    engine.dispose()


def _fill(connection: Connection) -> None:
    identities = IdentitySource()
    kept: list[dict[str, Any]] = []
    places: list[dict[str, Any]] = []
    for number in range(DELIVERED + PENDING):
        received_at = NOW - timedelta(seconds=60 * (DELIVERED + PENDING - number))
        lead_id = identities.new_id(received_at)
        key = f"{number:032}"
        common = {"form": "kontakt", "email_key": key, "phone_key": key}
        kept.append(
            {
                "id": lead_id,
                "reference": reference_of(lead_id),
                "received_at": received_at,
                "body": "{}",
                "fingerprint": key,
                **common,
            }
        )
        done = number < DELIVERED
        places.append(
            {
                "lead_id": lead_id,
                "state": "delivered" if done else "pending",
                "state_at": received_at,
                "customer_id": "M1",
                "login": "default",
                "next_attempt_at": received_at,
                "vitec_lead_id": key if done else None,
                "delivered_at": received_at if done else None,
                **common,
            }
        )
    connection.execute(insert(leads), kept)
    connection.execute(insert(outbox), places)


def explain(engine: Engine, job: Callable[[Connection], object]) -> list[str]:
    """The plan of every statement the job runs."""
    asked: list[tuple[str, Any]] = []

    def listen(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    with engine.connect() as connection:
        event.listen(engine, "before_cursor_execute", listen)
        job(connection)
        event.remove(engine, "before_cursor_execute", listen)
        plan = [
            row[3]
            for statement, parameters in asked
            if statement.startswith(("SELECT", "UPDATE", "WITH"))
            for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
        ]
        connection.rollback()
    return plan


def scans(plan: list[str]) -> list[str]:
    return [
        step
        for step in plan
        if step.startswith("SCAN") and "USING" not in step and step != "SCAN CONSTANT ROW"
    ]


@pytest.mark.parametrize("analysed", [False, True])
def test_a_claim_walks_the_due_alone(full: Engine, analysed: bool) -> None:
    if analysed:
        with full.begin() as connection:
            connection.execute(text("ANALYZE"))
    plan = explain(full, claim)
    queue = "form=? AND login=? AND customer_id=? AND next_attempt_at<?"
    assert f"SEARCH outbox USING INDEX ix_outbox_due ({queue})" in plan
    assert any(step.startswith("SEARCH other USING INDEX ix_outbox_leased") for step in plan)
    assert [step for step in scans(plan) if step not in {"SCAN gates", "SCAN heads", "SCAN anon_1"}] == []
    assert not any("TEMP B-TREE" in step for step in plan)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(shut=frozenset({"default"})),
        Selection(allowances={frozenset({"default"}): 1}),
        Selection(looks_first=frozenset({"second"})),
        Selection(per_customer=1, suspects=False),
        Selection(suspects=True),
    ],
)
def test_a_backlog_that_may_not_go_costs_a_claim_nothing(empty: Engine, selection: Selection) -> None:
    """Neither one that waits behind its destination, nor one beside the lead that is asked for."""
    with empty.begin() as connection:
        keep(connection, form="other", login="second")
    few = count_steps(empty, selection)
    with empty.begin() as connection:
        accept_all(connection, [new_lead() for _ in range(3000)], IdentitySource())
    # What a step of an index costs depends a little on how deep it is.
    assert count_steps(empty, selection) < few + 500


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(looks_first=frozenset({"default"})),
        Selection(suspects=True),
        Selection(suspects=False),
    ],
)
def test_what_is_looked_for_is_found_among_all_that_wait_behind_a_gate(
    empty: Engine, selection: Selection
) -> None:
    with empty.begin() as connection:
        keep(connection)
        begin(connection, must_claim(connection))
        keep(connection)
        close_gate(
            connection,
            GATE,
            must_claim(connection),
            status=403,
            probe_at=NOW + timedelta(days=1),
            credential="c",
            now=NOW,
        )
        connection.execute(update(outbox).values(leased_until=None, crashes=int(bool(selection.suspects))))
        connection.execute(
            update(outbox).where(outbox.c.payload_version.is_not(None)).values(contact_id="K1")
        )
    few = count_steps(empty, selection)
    with empty.begin() as connection:
        accept_all(connection, [new_lead() for _ in range(3000)], IdentitySource())
    assert count_steps(empty, selection) < few + 500


def count_steps(engine: Engine, selection: Selection) -> int:
    """SQLite's own instructions that a claim takes."""
    steps = itertools.count()
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(lambda: next(steps) < 0, 1)
        claim_next(connection, now=NOW, leased_until=NOW + LEASE, selection=selection)
        driver.set_progress_handler(None, 0)
        connection.rollback()
    return next(steps)


def test_the_oldest_undelivered_is_found_among_the_pending(full: Engine) -> None:
    plan = explain(full, find_oldest_undelivered)
    assert [step for step in plan if "outbox" in step] == ["SEARCH outbox USING INDEX ix_outbox_due"]
    assert not any(step.startswith("SCAN leads") for step in plan)


@pytest.mark.parametrize("analysed", [False, True])
def test_a_scrape_walks_what_is_undelivered_alone(full: Engine, analysed: bool) -> None:
    if analysed:
        with full.begin() as connection:
            connection.execute(text("ANALYZE"))
    plan = explain(full, load_standing)
    outbox_steps = [step for step in plan if "outbox" in step]
    assert outbox_steps == [
        "SCAN outbox USING INDEX ix_outbox_due",
        "SCAN outbox USING INDEX ix_outbox_waiting_for_people",
        "SEARCH outbox USING PRIMARY KEY (lead_id=?)",  # of an unresolved create
    ]
    assert any("ix_attempts_unresolved" in step for step in plan)


def test_what_is_unresolved_is_found_among_the_unresolved_alone(full: Engine) -> None:
    with full.begin() as connection:
        connection.execute(insert(meta).values(name="ticked_at", value="0"))
    plan = explain(full, has_unresolved) + explain(full, partial(tick, now=NOW))
    assert sum("ix_attempts_unresolved" in step for step in plan) == 2
    assert scans(plan) == []


def test_an_audit_walks_a_slice_of_what_was_delivered(full: Engine) -> None:
    bounds = Bounds(lease=LEASE, wait=LEASE)
    plan = explain(full, lambda connection: audit(connection, now=NOW, bounds=bounds))
    assert [step for step in scans(plan) if "subq" not in step and "anon" not in step] == []
    walks = [step for step in plan if step.startswith(("SCAN", "SEARCH")) and " leads " in step]
    assert walks
    newest = "SCAN leads USING INDEX sqlite_autoindex_leads_1"  # backwards, for one step
    assert all("(id" in step for step in walks if step != newest), walks


def test_accepting_looks_up_keys_and_people_by_index(full: Engine) -> None:
    news = [new_lead(form=f"form{n % 3}", idempotency_key=f"k{n}", phone_key=f"p{n}") for n in range(40)]
    plan = explain(full, lambda connection: accept_all(connection, news, IdentitySource()))
    assert not any(step.startswith(("SCAN leads", "SCAN outbox", "SCAN idempotency_keys")) for step in plan)
    assert any("idempotency_keys USING PRIMARY KEY (form=? AND key=?)" in step for step in plan)
    assert any("ix_leads_email_key" in step for step in plan)
    assert any("ix_leads_phone_key" in step for step in plan)


def test_what_no_digest_has_named_and_what_proofs_are_spent_is_found_by_index(full: Engine) -> None:
    plan = explain(full, list_unnamed) + explain(full, partial(mark_named, lead_ids=["a", "b"], now=NOW))
    assert any("ix_outbox_unnamed" in step for step in plan)
    assert not any(step.startswith(("SCAN leads", "SCAN outbox")) and "unnamed" not in step for step in plan)
    news = [new_lead(proof=Proof(f"{number:032}", NOW)) for number in range(3)]
    plan = explain(full, lambda connection: accept_all(connection, news, IdentitySource()))
    assert "SEARCH spent_proofs USING PRIMARY KEY (nonce=?)" in plan


def test_leases_are_cleared_without_a_walk_through_what_was_delivered(full: Engine) -> None:
    assert "ix_outbox_leased" in explain(full, clear_leases)[0]


def test_a_backlog_behind_a_closed_gate_is_passed_over(full: Engine) -> None:
    """Its cost is what the walk along the due costs, and no more."""
    with full.connect() as connection:
        connection.execute(
            insert(gates).values(
                base_url="https://vitec.test",
                login="default",
                customer_id="M1",
                call_group="create",
                closed_at=NOW,
                status=401,
                probe_at=NOW + timedelta(days=1),
                credential="c",
            )
        )
        assert claim(connection) is None
        connection.rollback()
