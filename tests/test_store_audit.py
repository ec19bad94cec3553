"""The audit trail: written with what it tells of, and never changed, on either database."""

import pytest
from sqlalchemy import Connection, Engine, delete, select, text, update
from sqlalchemy.exc import DBAPIError

from app.store.audit import add_audit, list_audit
from app.store.gates import close_gate, probe_now
from app.store.operator import mark_restored, retry_lead
from app.store.schema import audit, leads
from tests.stores import GATE, NOW, SECOND, keep, must_claim

pytest_plugins = ["tests.store_fixtures"]


@pytest.mark.parametrize(
    "change", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "TRUNCATE audit"]
)
def test_no_line_of_it_can_be_changed_or_deleted(engine: Engine, change: str) -> None:
    if change.startswith("TRUNCATE") and engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    with engine.begin() as connection:
        add_audit(connection, "retried", actor="eva", now=NOW)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="only appended to"):
        connection.execute(text(change))
    with engine.connect() as connection:
        assert [entry.actor for entry in list_audit(connection, limit=9)] == ["eva"]


def test_it_outlives_its_leads(connection: Connection) -> None:
    lead_id = keep(connection)
    retry_lead(connection, lead_id, now=NOW, actor="eva")
    connection.execute(delete(leads))
    [entry] = list_audit(connection, limit=9)
    assert (entry.action, entry.actor, entry.lead_id, entry.customer_id, entry.at) == (
        "retried",
        "eva",
        lead_id,
        "M1",
        NOW,
    )


def test_what_is_undone_leaves_no_trace_of_having_been_done(engine: Engine) -> None:
    with engine.connect() as connection:
        lead_id = keep(connection)
        retry_lead(connection, lead_id, now=NOW, actor="eva")
        connection.rollback()
        assert list_audit(connection, limit=9) == []


def test_what_a_command_does_to_gates_and_store_is_told(connection: Connection) -> None:
    keep(connection)
    close_gate(connection, GATE, must_claim(connection), status=401, probe_at=NOW, credential="c", now=NOW)
    assert probe_now(connection, now=NOW + SECOND, actor="eva") == 1
    assert probe_now(connection, customers=["M2"], now=NOW, actor="eva") == 0
    mark_restored(connection, first_look_at=NOW, now=NOW, actor="karin")
    mark_restored(connection, first_look_at=NOW, now=NOW)  # noticed by the store itself
    told = [(entry.actor, entry.action, entry.customer_id) for entry in list_audit(connection, limit=9)]
    assert told == [("karin", "restored", None), ("eva", "gates_probed", "M1")]


def test_an_endless_name_is_cut(connection: Connection) -> None:
    add_audit(connection, "retried", actor="x" * 500, now=NOW)
    assert [entry.actor for entry in list_audit(connection, limit=1)] == ["x" * 80]


def test_the_newest_comes_first_and_the_rest_by_page(connection: Connection) -> None:
    for number in range(5):
        add_audit(connection, "retried", actor=f"u{number}", now=NOW)
    first = list_audit(connection, limit=3)
    assert [entry.actor for entry in first] == ["u4", "u3", "u2"]
    assert [entry.actor for entry in list_audit(connection, before=first[-1].number, limit=3)] == ["u1", "u0"]


def test_only_triggers_stand_in_the_way(connection: Connection) -> None:
    """What a test of the triggers would not see: that the table can be written at all."""
    add_audit(connection, "retried", actor="eva", now=NOW)
    assert connection.execute(select(audit.c.id)).scalars().all()
    assert connection.execute(update(audit).where(audit.c.actor == "nobody").values(actor="x")).rowcount == 0
