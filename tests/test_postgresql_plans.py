"""A store that has run for years answers as fast as a new one."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text, update

from app.identity import IdentitySource
from app.store.acceptance import accept_all
from app.store.gates import close_gate
from app.store.invariants import Bounds, audit
from app.store.schema import outbox
from app.store.standing import load_standing
from tests.databases import open_postgresql, opened
from tests.postgresql import Server
from tests.stores import GATE, LEASE, NOW, begin, claim, must_claim, new_lead

pytest_plugins = ["tests.store_fixtures"]


DELIVERED, PENDING = 200_000, 200
PARTIAL = {"ix_outbox_due", "ix_outbox_undelivered", "ix_outbox_waiting_for_people", "ix_outbox_leased"}


@pytest.fixture(scope="module")
def full(mortal: Server) -> Iterator[Engine]:
    with mortal.database() as url:
        with opened(url):
            pass
        engine = open_postgresql(url)
        with engine.begin() as connection:
            _fill(connection)
        yield engine
        engine.dispose()


def _fill(connection: Connection) -> None:
    connection.execute(text("SET LOCAL statement_timeout = '2min'"))
    for state, numbers in (
        ("delivered", range(DELIVERED)),
        ("pending", range(DELIVERED, DELIVERED + PENDING)),
    ):
        identity = "lpad(n::text, 36, '0'), lpad(n::text, 10, '0')"
        connection.execute(
            text(
                "INSERT INTO leads (id, reference, form, received_at, body, fingerprint, email_key, phone_key)"
                f" SELECT {identity}, 'kontakt', 1000 * n, '{{}}', n, 'e' || n, 'p' || n"
                f" FROM generate_series({numbers.start}, {numbers.stop - 1}) AS n"
            )
        )
        delivered = "n, 1" if state == "delivered" else "NULL, NULL"
        connection.execute(
            text(
                "INSERT INTO outbox (lead_id, form, state, state_at, customer_id, login, email_key, phone_key,"
                " next_attempt_at, vitec_lead_id, delivered_at)"
                f" SELECT lpad(n::text, 36, '0'), 'kontakt', '{state}', 1, 'M1', 'default', 'e' || n, 'p' || n,"
                f" 1000 * n, {delivered} FROM generate_series({numbers.start}, {numbers.stop - 1}) AS n"
            )
        )


@pytest.mark.parametrize("analysed", [False, True])
def test_a_claim_walks_the_due_alone(full: Engine, analysed: bool) -> None:
    if analysed:
        with full.begin() as connection:
            connection.execute(text("ANALYZE"))
    plan = explain(full, claim)
    assert "ix_outbox_due on outbox" in plan
    assert "ix_outbox_leased" in plan
    assert "Seq Scan on outbox" not in plan
    started = monotonic()
    with full.begin() as connection:
        assert claim(connection) is not None
    assert monotonic() - started < 0.5


@pytest.mark.parametrize("analysed", [False, True])
def test_a_claim_behind_a_closed_gate_walks_what_is_looked_for_alone(full: Engine, analysed: bool) -> None:
    if analysed:
        with full.begin() as connection:
            connection.execute(text("ANALYZE"))

    def claim_looked_for(connection: Connection) -> None:
        begin(connection, must_claim(connection))
        closing = must_claim(connection)
        connection.execute(
            update(outbox)
            .where(outbox.c.leased_until.is_not(None))
            .values(leased_until=None, contact_id="K1")
        )
        close_gate(
            connection,
            GATE,
            closing,
            status=403,
            probe_at=NOW + timedelta(days=1),
            credential="c",
            now=NOW,
        )
        assert must_claim(connection).has_open_create

    plan = explain(full, claim_looked_for, only=("SELECT", "WITH"))
    assert "Seq Scan on outbox" not in plan


def test_accepting_looks_up_keys_and_people_by_index(full: Engine) -> None:
    news = [new_lead(idempotency_key=f"k{number}", phone_key=f"p{number}") for number in range(40)]
    plan = explain(full, lambda connection: accept_all(connection, news, IdentitySource()))
    assert "Seq Scan on leads" not in plan
    assert "Seq Scan on outbox" not in plan


def test_a_scrape_walks_what_is_undelivered_alone(full: Engine) -> None:
    with full.begin() as connection:
        connection.execute(text("ANALYZE"))
    plan = explain(full, load_standing)
    # Which of them is cheapest hangs on the sample that ANALYZE took; each leaves out what was delivered.
    used = set(re.findall(r"Scan using (\w+) on outbox|Bitmap Index Scan on (ix_outbox\w+)", plan))
    assert used
    # The lead of an unresolved create is looked up by its id.
    lookups = re.findall(
        r"Scan using pk_outbox on outbox[^\n]*\n\s*Index Cond: \(+lead_id\)?(?:::text)? = ", plan
    )
    assert len(lookups) == plan.count("pk_outbox")
    assert {"".join(names) for names in used} - {"pk_outbox"} <= PARTIAL
    assert "Seq Scan on outbox" not in plan


def test_an_audit_walks_a_slice_of_what_was_delivered(full: Engine) -> None:
    with full.begin() as connection:
        connection.execute(text("ANALYZE"))
    bounds = Bounds(lease=LEASE, wait=LEASE)
    plan = explain(full, lambda connection: audit(connection, now=NOW, bounds=bounds))
    assert "Seq Scan on outbox" not in plan
    assert "Seq Scan on leads" not in plan


def explain(
    engine: Engine,
    job: Callable[[Connection], object],
    *,
    only: tuple[str, ...] = ("SELECT", "UPDATE", "WITH"),
) -> str:
    """The plan of every statement the job runs."""
    asked: list[tuple[str, Any]] = []

    def listen(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(only):
            asked.append((statement, parameters))

    with engine.connect() as connection:
        event.listen(engine, "before_cursor_execute", listen)
        job(connection)
        event.remove(engine, "before_cursor_execute", listen)
        plans = [
            str(row[0])
            for statement, parameters in asked
            for row in connection.exec_driver_sql("EXPLAIN " + statement, parameters)
        ]
        connection.rollback()
    return "\n".join(plans)
