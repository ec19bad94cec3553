"""The inbox's lists and counts: what they find, and that no wish makes them walk through all that was delivered."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from time import monotonic

import pytest
from sqlalchemy import Connection, Engine, text

from app.lead import LeadState
from app.store.inbox import Wanted, count_by_day, count_undelivered, find_place, list_places, search_names
from tests.admins import keep_in
from tests.databases import open_postgresql, opened
from tests.postgresql import Server
from tests.stores import NOW
from tests.test_postgresql_plans import explain as explain_postgresql
from tests.test_store_plans import explain, full, scans

pytest_plugins = ["tests.store_fixtures"]
__all__ = ["full"]

DELIVERED, RARE = 200_000, 20
_DAY = timedelta(days=1)

WISHES = [
    Wanted(customers=customers, state=state, form=form, person=person, before=before, since=since)
    for customers, state, form, person, before, since in product(
        (None, ["M1", "nobody"]),
        (None, LeadState.DELIVERED, LeadState.HELD, LeadState.DISCARDED),
        (None, "kontakt", "rare"),
        (None, "e7"),
        (None, "01890000-0000-7000-8000-000000000000"),
        (None, datetime(2026, 1, 1, tzinfo=UTC)),
    )
]


def test_no_wish_makes_sqlite_walk_through_a_table(full: Engine) -> None:
    for analysed in (False, True):
        if analysed:
            with full.begin() as connection:
                connection.execute(text("ANALYZE"))
        for wanted in WISHES:
            plan = explain(full, partial(list_places, wanted=wanted, limit=50))
            assert not [step for step in plan if step.startswith("SCAN leads")], (wanted, plan)
            if wanted.person is None:
                assert not [step for step in plan if "TEMP B-TREE" in step], (wanted, plan)
            if wanted.state not in {None, LeadState.DELIVERED} and wanted.person is None:
                assert "ix_outbox_undelivered" in plan[0], (wanted, plan)
            elif wanted.form is not None and wanted.person is None:
                assert "ix_outbox_form" in plan[0], (wanted, plan)
            elif wanted.customers is not None and wanted.person is None:
                assert all("ix_outbox_customer" in step for step in plan if "outbox" in step), (wanted, plan)


def test_counting_walks_what_is_not_delivered_and_the_days_asked_for(full: Engine) -> None:
    plan = explain(full, lambda connection: count_undelivered(connection, customers=None))
    assert "ix_outbox_undelivered" in plan[0]
    days = [datetime(2026, 11, day, tzinfo=UTC) for day in range(1, 16)]
    plan = explain(full, lambda connection: count_by_day(connection, days, customers=None))
    assert scans(plan) == []
    assert "lead_id>? AND lead_id<?" in plan[0]


@pytest.fixture(scope="module")
def vast(mortal: Server) -> Iterator[Engine]:
    """Two hundred thousand delivered by one form, and at the far end a few of another's."""
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
    key = "'0190' || lpad(n::text, 32, '0')"
    common = "'e' || n, 'p' || n"
    for form, customer, start, stop in (("rare", "M2", 0, RARE), ("kontakt", "M1", RARE, DELIVERED)):
        numbers = f"generate_series({start}, {stop - 1}) AS n"
        connection.execute(
            text(
                "INSERT INTO leads (id, reference, form, received_at, body, fingerprint, email_key, phone_key)"
                f" SELECT {key}, lpad(n::text, 10, '0'), '{form}', 1000 * n, '{{}}', n, {common} FROM {numbers}"
            )
        )
        connection.execute(
            text(
                "INSERT INTO outbox (lead_id, form, customer_id, email_key, phone_key, vitec_lead_id,"
                " state, state_at, login, delivered_at)"
                f" SELECT {key}, '{form}', '{customer}', {common}, n, 'delivered', 1, 'default', 1 FROM {numbers}"
            )
        )


@pytest.mark.parametrize("analysed", [False, True])
def test_no_wish_makes_postgresql_walk_through_a_table(vast: Engine, analysed: bool) -> None:
    if analysed:
        with vast.begin() as connection:
            connection.execute(text("ANALYZE"))
    wishes = [
        Wanted(),
        Wanted(state=LeadState.HELD),
        Wanted(state=LeadState.DISCARDED, customers=["M2"]),
        Wanted(form="rare"),
        Wanted(customers=["M2"]),
        Wanted(customers=["M2"], form="rare"),
        Wanted(person="e7"),
    ]
    for wanted in wishes:
        plan = explain_postgresql(vast, partial(list_places, wanted=wanted, limit=50))
        assert "Seq Scan on leads" not in plan, (wanted, plan)
        assert "Seq Scan on outbox" not in plan, (wanted, plan)
    started = monotonic()
    with vast.connect() as connection:
        assert len(list_places(connection, Wanted(customers=["M2"]), limit=50)) == RARE
        assert len(list_places(connection, Wanted(form="kontakt"), limit=50)) == 50
    assert monotonic() - started < 5  # a walk through all of it would tell on any machine


def test_customers_are_merged_in_the_order_of_time(connection: Connection) -> None:
    kept = [
        keep_in(connection, LeadState.HELD, customer_id=f"M{number % 3}", received_at=NOW + number * _DAY)
        for number in range(9)
    ]
    found = list_places(connection, Wanted(customers=["M0", "M1"]), limit=4)
    assert [place.lead_id for place in found] == [kept[7], kept[6], kept[4], kept[3]]
    onward = list_places(connection, Wanted(customers=["M0", "M1"], before=found[-1].lead_id), limit=4)
    assert [place.lead_id for place in onward] == [kept[1], kept[0]]
    assert list_places(connection, Wanted(customers=[]), limit=4) == []
    assert count_undelivered(connection, customers=["M0"]) == {LeadState.HELD: 3}
    assert find_place(connection, kept[0], customers=["M0"]).customer_id == "M0"


def test_names_are_found_on_both_databases(connection: Connection) -> None:
    wanted = keep_in(connection, LeadState.HELD, name="Åsa 100% Ek_man")
    keep_in(connection, LeadState.HELD, name="Nils Falk", received_at=NOW + _DAY)
    for words in (["åsa"], ["100%"], ["ek_man", "Åsa"], ["EK_MAN"]):
        rows, further = search_names(connection, Wanted(), words, among=100, limit=50)
        assert [row.place.lead_id for row in rows] == [wanted], words
        assert further is None
    rows, further = search_names(connection, Wanted(), ["åsa"], among=1, limit=50)
    assert rows == []
    assert further is not None
    rows, _ = search_names(connection, Wanted(before=further), ["åsa"], among=1, limit=50)
    assert [row.place.lead_id for row in rows] == [wanted]
