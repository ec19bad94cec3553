"""The tables: what the migrations make, and what the database itself forbids."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, delete, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from app.errors import StoreError
from app.store import migrate
from app.store.migrate import current_revision, list_revisions, newest_revision, upgrade
from app.store.schema import (
    attempts,
    events,
    gates,
    idempotency_keys,
    leads,
    meta,
    metadata,
    outbox,
    payloads,
)
from app.store.store import Store
from tests.databases import only_sqlite
from tests.stores import NOW, begin, keep, must_claim

pytest_plugins = ["tests.store_fixtures"]


def alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def test_the_migrations_make_exactly_the_tables_of_the_code(connection: Connection) -> None:
    assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@only_sqlite
def test_the_migrations_make_every_check(connection: Connection) -> None:
    wanted_engine = create_engine("sqlite://")
    metadata.create_all(wanted_engine)
    wanted, made = inspect(wanted_engine), inspect(connection)
    for name in metadata.tables:
        assert _checks(made, name) == _checks(wanted, name)
        assert made.get_table_options(name) == wanted.get_table_options(name)
    wanted_engine.dispose()


def _checks(inspector: Any, table: str) -> dict[str, str]:
    return {check["name"]: check["sqltext"] for check in inspector.get_check_constraints(table)}


def test_the_newest_revision_is_alembic_s(connection: Connection) -> None:
    script = ScriptDirectory.from_config(alembic(connection))
    assert newest_revision() == script.get_current_head()
    assert list_revisions() == [one.revision for one in script.walk_revisions()][::-1]


def test_upgrading_again_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        lead_id = keep(connection)
    with engine.connect() as connection:
        upgrade(connection)
        upgrade(connection)
    with engine.begin() as connection:
        assert current_revision(connection) == newest_revision()
        assert connection.execute(select(leads.c.id)).scalar_one() == lead_id


def test_an_empty_database_stands_nowhere() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        assert current_revision(connection) is None
    engine.dispose()


def test_downgrading_leaves_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        keep(connection)
    with engine.connect() as connection:
        command.downgrade(alembic(connection), "base")
        connection.commit()
    with engine.begin() as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
        assert current_revision(connection) is None
    with engine.connect() as connection:
        upgrade(connection)
    with engine.begin() as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version", *metadata.tables}


def test_a_schema_from_the_future_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "leads.db"
    _open_and_close(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE meta SET value = '9998' WHERE name = 'fit_from'"))
    for _ in range(2):  # the lock is given back
        with pytest.raises(StoreError, match="revision 9999, made by a newer Leadgate"):
            Store(path).open()
    with engine.begin() as connection:
        assert current_revision(connection) == "9999"
    engine.dispose()


@pytest.mark.parametrize(
    ("fit_from", "serves"),
    [(migrate.FIT_FROM, True), (migrate.newest_revision(), True), ("9998", False), (None, False)],
)
def test_a_newer_schema_serves_if_it_says_that_code_of_this_age_may_run_on_it(
    engine: Engine, fit_from: str | None, serves: bool
) -> None:
    """What a rollback meets, and a process of the old release that is restarted in the middle of an upgrade."""
    with engine.connect() as connection:
        upgrade(connection)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(delete(meta).where(meta.c.name == "fit_from"))
        if fit_from is not None:
            connection.execute(insert(meta).values(name="fit_from", value=fit_from))
    try:
        with engine.connect() as connection:
            if serves:
                upgrade(connection)
            else:
                with pytest.raises(StoreError, match="made by a newer Leadgate"):
                    upgrade(connection)
        with engine.begin() as connection:
            assert current_revision(connection) == "9999"
            found = connection.execute(select(meta.c.value).where(meta.c.name == "fit_from")).scalar()
            assert found == fit_from  # it is the newer code's to say
    finally:
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE alembic_version SET version_num = :revision"),
                {"revision": migrate.newest_revision()},
            )


def _open_and_close(path: Path) -> None:
    store = Store(path)
    store.open()
    store.close()


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its tables are made in one transaction: the next start finds an empty database, not half a schema."""
    path = tmp_path / "leads.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE payloads (in_the_way INTEGER)"))
    with pytest.raises(StoreError, match="payloads already exists"):
        Store(path).open()
    with engine.begin() as connection:
        assert "leads" not in inspect(connection).get_table_names()
        connection.execute(text("DROP TABLE payloads"))
    engine.dispose()
    _open_and_close(path)


def test_a_store_that_is_up_to_date_opens_without_alembic(tmp_path: Path) -> None:
    path = tmp_path / "leads.db"
    _open_and_close(path)
    code = (
        "import sys; from pathlib import Path; from app.store.store import Store\n"
        f"store = Store(Path({str(path)!r})); store.open(); store.close()\n"
        "assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


LEAD: dict[str, Any] = {
    "id": "0" * 36,
    "reference": "0" * 10,
    "form": "kontakt",
    "received_at": NOW,
    "body": "{}",
    "fingerprint": "f",
}
PLACE: dict[str, Any] = {
    "lead_id": LEAD["id"],
    "form": "kontakt",
    "state": "pending",
    "state_at": NOW,
    "customer_id": "M1",
    "login": "default",
    "next_attempt_at": NOW,
}
IN_VITEC = {"vitec_lead_id": "L1", "delivered_at": NOW}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"leased_until": NOW},
        {"state": "held", "reason": "refused"},
        {"state": "discarded", "reason": "a test"},
        {"state": "quarantined", "reason": "honeypot", "next_attempt_at": None},
        {"state": "delivered", **IN_VITEC},
    ],
)
def test_the_states_of_a_lead_can_be_written(connection: Connection, values: dict[str, Any]) -> None:
    connection.execute(insert(leads).values(LEAD))
    connection.execute(insert(outbox).values(PLACE | values))


@pytest.mark.parametrize(
    ("values", "check"),
    [
        ({"state": "parked"}, "ck_outbox_state_known"),
        ({"state": "delivered"}, "ck_outbox_delivered_means_known_to_vitec"),
        ({"state": "delivered", "vitec_lead_id": "L1"}, "ck_outbox_delivered_means_known_to_vitec"),
        ({"state": "delivered", "delivered_at": NOW}, "ck_outbox_delivered_means_known_to_vitec"),
        (IN_VITEC, "ck_outbox_delivered_means_known_to_vitec"),
        ({"next_attempt_at": None}, "ck_outbox_pending_is_due_sometime"),
        ({"state": "held", "reason": "r", "leased_until": NOW}, "ck_outbox_only_pending_is_leased"),
        ({"state": "delivered", "leased_until": NOW, **IN_VITEC}, "ck_outbox_only_pending_is_leased"),
        ({"state": "held"}, "ck_outbox_stopped_for_a_reason"),
        ({"state": "discarded"}, "ck_outbox_stopped_for_a_reason"),
        ({"state": "quarantined"}, "ck_outbox_stopped_for_a_reason"),
    ],
)
def test_an_impossible_state_cannot_be_written(
    connection: Connection, values: dict[str, Any], check: str
) -> None:
    connection.execute(insert(leads).values(LEAD))
    with pytest.raises(IntegrityError, match=check):
        connection.execute(insert(outbox).values(PLACE | values))


def attempt(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "lead_id": LEAD["id"],
        "kind": "create",
        "fence": 1,
        "started_at": NOW,
        "deadline_at": NOW,
        "outcome": "open",
    }
    values |= changes
    if values["outcome"] != "open":
        values.setdefault("finished_at", NOW)
    return values


@pytest.mark.parametrize(
    ("values", "check"),
    [
        (attempt(kind="update"), "ck_attempts_kind_known"),
        (attempt(outcome="perhaps"), "ck_attempts_outcome_known"),
        (attempt(finished_at=NOW), "ck_attempts_open_until_finished"),
        (attempt(outcome="done", finished_at=None), "ck_attempts_open_until_finished"),
    ],
)
def test_an_impossible_attempt_cannot_be_written(
    connection: Connection, values: dict[str, Any], check: str
) -> None:
    connection.execute(insert(leads).values(LEAD))
    with pytest.raises(IntegrityError, match=check):
        connection.execute(insert(attempts).values(values))


def test_an_unknown_group_of_calls_cannot_be_written(connection: Connection) -> None:
    values = {"base_url": "b", "login": "l", "customer_id": "c", "closed_at": NOW, "status": 401}
    with pytest.raises(IntegrityError, match="ck_gates_call_group_known"):
        connection.execute(insert(gates).values(call_group="all", probe_at=NOW, credential="c", **values))


UNRESOLVED = ("open", "unknown", "done")
RESOLVED = ("not_sent", "not_taken", "refused", "gate", "not_created")


@pytest.mark.parametrize("earlier", UNRESOLVED)
@pytest.mark.parametrize("later", UNRESOLVED)
def test_a_second_create_is_impossible_while_the_first_may_have_been_taken(
    connection: Connection, earlier: str, later: str
) -> None:
    connection.execute(insert(leads).values(LEAD))
    connection.execute(insert(attempts).values(attempt(outcome=earlier)))
    with pytest.raises(IntegrityError, match=r"attempts\.lead_id|uq_attempts_one_unresolved_create"):
        connection.execute(insert(attempts).values(attempt(outcome=later)))


@pytest.mark.parametrize("earlier", RESOLVED)
def test_a_create_that_was_not_taken_makes_way_for_the_next(connection: Connection, earlier: str) -> None:
    connection.execute(insert(leads).values(LEAD))
    for _ in range(3):
        connection.execute(insert(attempts).values(attempt(outcome=earlier)))
    connection.execute(insert(attempts).values(attempt()))


@pytest.mark.parametrize("kind", ["contact", "reconcile"])
def test_other_attempts_may_repeat(connection: Connection, kind: str) -> None:
    connection.execute(insert(leads).values(LEAD))
    for outcome in UNRESOLVED:
        connection.execute(insert(attempts).values(attempt(kind=kind, outcome=outcome)))


def test_a_resolved_create_cannot_become_unresolved_beside_another(connection: Connection) -> None:
    connection.execute(insert(leads).values(LEAD))
    connection.execute(insert(attempts).values(attempt(outcome="not_created")))
    connection.execute(insert(attempts).values(attempt()))
    with pytest.raises(IntegrityError):
        connection.execute(
            update(attempts).where(attempts.c.outcome == "not_created").values(outcome="unknown")
        )


def test_nothing_of_a_lead_outlives_it_but_its_key(connection: Connection) -> None:
    lead_id = keep(connection, idempotency_key="k")
    claimed = must_claim(connection)
    begin(connection, claimed)
    connection.execute(insert(events).values(lead_id=lead_id, at=NOW, kind="k", detail={}))
    connection.execute(delete(leads))
    for table in (outbox, payloads, attempts, events):
        assert connection.execute(select(table)).all() == []
    assert connection.execute(select(idempotency_keys.c.lead_id)).scalar_one() == lead_id


def test_a_place_in_the_outbox_needs_its_lead(connection: Connection) -> None:
    with pytest.raises(IntegrityError, match=r"FOREIGN KEY|fk_outbox_lead_id"):
        connection.execute(insert(outbox).values(PLACE))


def test_a_reference_is_given_once(connection: Connection) -> None:
    connection.execute(insert(leads).values(LEAD))
    with pytest.raises(IntegrityError, match=r"leads\.reference|uq_leads_reference"):
        connection.execute(insert(leads).values(LEAD | {"id": "1" * 36}))


def test_moments_keep_their_microseconds_and_their_order(engine: Engine) -> None:
    moments = [
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 59, 59, 999999, tzinfo=timezone(timedelta(hours=1))),
        datetime(2026, 3, 29, 3, 0, tzinfo=timezone(timedelta(hours=2))),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ]
    with engine.begin() as connection:
        for number, moment in enumerate(moments):
            row = {"id": f"{number:036}", "reference": f"{number:010}", "received_at": moment}
            connection.execute(insert(leads).values(LEAD | row))
        found = connection.execute(select(leads.c.received_at).order_by(leads.c.received_at)).scalars().all()
    assert found == sorted(moments)
    assert all(moment.tzinfo is UTC for moment in found)


def test_what_visitors_typed_is_in_no_error(connection: Connection) -> None:
    connection.execute(insert(leads).values(LEAD))
    with pytest.raises(IntegrityError) as caught:
        connection.execute(insert(leads).values(LEAD | {"body": "Anna Andersson"}))
    assert "Anna" not in str(caught.value)
