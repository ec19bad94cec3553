"""What several processes on one PostgreSQL may do to each other: claims, leads and rows."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, insert, select, text, update

from app.errors import StoreUnavailable
from app.identity import IdentitySource
from app.store.acceptance import accept_all
from app.store.claiming import claim_next
from app.store.gates import close_gate
from app.store.operator import discard_lead
from app.store.outbox import LeaseLost, hold, mark_delivered, start_attempt
from app.store.queues import Selection
from app.store.schema import metadata, outbox
from app.store.words import Acceptance, Claim
from app.store.writer import Writer
from tests.databases import count_leads, open_postgresql, opened
from tests.stores import GATE, LEASE, NOW, SECOND, begin, claim, keep, must_claim, new_lead, row_of

pytest_plugins = ["tests.store_fixtures"]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = open_postgresql(database)
    yield engine
    engine.dispose()


@pytest.fixture
def other(database: str) -> Iterator[Engine]:
    """Another machine's."""
    engine = open_postgresql(database)
    yield engine
    engine.dispose()


def test_eight_workers_deliver_each_lead_once(engine: Engine, database: str) -> None:
    with engine.begin() as connection:
        accept_all(connection, [new_lead() for _ in range(500)], IdentitySource())

    def work(_number: int) -> list[str]:
        mine, taken = open_postgresql(database), []
        while True:
            with mine.begin() as connection:
                claimed = claim(connection)
            if claimed is None:
                break
            with mine.begin() as connection:
                mark_delivered(connection, claimed.lead_id, vitec_lead_id=claimed.lead_id, now=NOW)
            taken.append(claimed.lead_id)
        mine.dispose()
        return taken

    with ThreadPoolExecutor(8) as workers:
        shares = list(workers.map(work, range(8)))
    taken = Counter(lead_id for share in shares for lead_id in share)
    assert len(taken) == 500
    assert set(taken.values()) == {1}
    assert sum(bool(share) for share in shares) > 1


def test_two_leads_of_one_person_are_not_claimed_by_two_workers_at_once(
    engine: Engine, database: str
) -> None:
    """Twenty people with four leads each, by e-mail or by phone."""
    with engine.begin() as connection:
        for number in range(80):
            key = (
                {"email_key": f"e{number % 20}"}
                if number % 2
                else {"email_key": None, "phone_key": f"p{number % 20}"}
            )
            keep(connection, **key)
    barrier = threading.Barrier(8)

    def work(_number: int) -> list[str]:
        mine, taken = open_postgresql(database), []
        barrier.wait(10)
        for _ in range(5):
            with mine.begin() as connection:
                if claimed := claim(connection):
                    row = row_of(connection, claimed.lead_id)
                    taken.append(row.email_key or row.phone_key)
        mine.dispose()
        return taken

    with ThreadPoolExecutor(8) as workers:
        people = Counter(key for share in workers.map(work, range(8)) for key in share)
    assert len(people) == 20
    assert set(people.values()) == {1}


def test_a_destination_that_is_tried_gets_no_more_than_its_allowance(engine: Engine, database: str) -> None:
    with engine.begin() as connection:
        for _ in range(20):
            keep(connection)
    selection = Selection(allowances={frozenset({"default"}): 1})

    def work(_number: int) -> Claim | None:
        mine = open_postgresql(database)
        with mine.begin() as connection:
            claimed = claim_next(connection, now=NOW, leased_until=NOW + LEASE, selection=selection)
        mine.dispose()
        return claimed

    with ThreadPoolExecutor(6) as workers:
        assert sum(claimed is not None for claimed in workers.map(work, range(6))) == 1


def test_a_lead_that_an_operator_decides_on_is_passed_over(engine: Engine, other: Engine) -> None:
    with engine.begin() as connection:
        first, second = keep(connection), keep(connection)
    with engine.begin() as deciding:
        discard_lead(deciding, first, reason="a test", now=NOW, actor="eva")
        with other.begin() as connection:
            assert must_claim(connection).lead_id == second


def test_an_intent_is_seen_by_the_next_claim_or_sees_it(engine: Engine, other: Engine) -> None:
    """A worker whose lease has run out is about to write its intent while another claims."""
    with engine.begin() as connection:
        keep(connection)
        stale = must_claim(connection)
        begin(connection, stale, "contact")
    later = NOW + LEASE + SECOND
    start = partial(start_attempt, claim=stale, kind="create", payload_version=1, now=NOW, deadline_at=NOW)
    with engine.begin() as connection:
        start(connection)
        with other.begin() as claiming:
            assert claim(claiming, now=later) is None  # passed over while the intent is under way
    with other.begin() as connection:
        assert must_claim(connection, now=later).has_open_create
    with engine.begin() as connection, pytest.raises(LeaseLost):
        start(connection)


def test_a_decision_waits_for_a_claim_under_way_and_then_changes_nothing(
    engine: Engine, database: str, other: Engine
) -> None:
    with engine.begin() as connection:
        keep(connection)
        stale = must_claim(connection)

    def decide() -> bool:
        with other.begin() as connection:
            return hold(connection, stale, reason="late", now=NOW)

    with ThreadPoolExecutor(1) as worker:
        with engine.begin() as connection:
            must_claim(connection, now=NOW + LEASE + SECOND)
            deciding = worker.submit(decide)
            wait_for_waiting(database)
        assert deciding.result(10) is False


def wait_for_waiting(database: str) -> None:
    """Until somebody waits for a lock."""
    with psycopg.connect(database, autocommit=True) as connection:
        until = monotonic() + 10
        while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            assert monotonic() < until
            sleep(0.005)


def test_leases_of_other_processes_outlive_a_start(engine: Engine, database: str) -> None:
    with engine.begin() as connection:
        lead_id = keep(connection)
        must_claim(connection)
    with opened(database) as store:
        assert store.read_now(lambda connection: row_of(connection, lead_id).leased_until) == NOW + LEASE


@pytest.mark.anyio
@pytest.mark.parametrize("key", ["k", None])
async def test_the_same_at_two_servers_at_once_is_one_lead(database: str, key: str | None) -> None:
    """By its key, or by the ten-minute rule."""
    with opened(database) as one, opened(database) as two:
        for _ in range(20):
            new = new_lead(idempotency_key=key and f"{key}{_}")
            kept = await asyncio.gather(*(store.accept(new) for store in (one, two) * 3))
            assert len({acceptance.lead_id for acceptance in kept}) == 1
            assert sorted(acceptance.replayed for acceptance in kept) == [False] + [True] * 5


@pytest.mark.anyio
async def test_batches_of_the_same_people_in_other_orders_do_not_stand_in_each_other_s_way(
    database: str,
) -> None:
    news = [new_lead(idempotency_key=f"k{number}", phone_key=f"p{number}") for number in range(60)]
    with opened(database) as one, opened(database) as two:
        kept = await asyncio.gather(
            *(one.accept(new) for new in news), *(two.accept(new) for new in reversed(news))
        )
        assert len({acceptance.lead_id for acceptance in kept}) == 60
        assert await one.read(count_leads) == 60


def test_a_key_that_another_machine_takes_meanwhile_is_a_replay(engine: Engine, other: Engine) -> None:
    """Even without the turns that are taken: the database refuses the second, and it is looked up anew."""
    new = new_lead(idempotency_key="k")
    with engine.begin() as connection:
        (first,) = accept_all(connection, [new], IdentitySource())
        connection.execute(text("SELECT 1"))
    with other.begin() as connection:
        (second,) = accept_all(connection, [new], IdentitySource())
    assert isinstance(first, Acceptance)
    assert isinstance(second, Acceptance)
    assert second.lead_id == first.lead_id


@pytest.mark.anyio
async def test_a_row_that_another_machine_wrote_first_is_found_the_second_time(
    engine: Engine, other: Engine
) -> None:
    with engine.begin() as connection:
        keep(connection)
        claimed = must_claim(connection)
    close = partial(close_gate, key=GATE, claim=claimed, status=401, probe_at=NOW, credential="c", now=NOW)
    seen: list[int] = []

    def job(connection: Connection) -> None:
        known = connection.execute(text("SELECT count(*) FROM gates")).scalar_one()
        seen.append(known)
        if not known:
            with other.begin() as elsewhere:
                close(elsewhere)
            connection.execute(insert(metadata.tables["gates"]).values(**_gate()))

    writer = Writer(engine)
    await writer.run(job)
    writer.close()
    assert seen == [0, 1]


def _gate() -> dict[str, Any]:
    return {
        "base_url": GATE.base_url,
        "login": GATE.login,
        "customer_id": GATE.customer_id,
        "call_group": GATE.call_group,
        "closed_at": NOW,
        "status": 401,
        "probe_at": NOW,
        "credential": "c",
    }


@pytest.mark.anyio
async def test_a_deadlock_is_resolved_unseen(engine: Engine, other: Engine) -> None:
    with engine.begin() as connection:
        lead_ids = [keep(connection), keep(connection)]
    met = threading.Barrier(2)
    tries: list[str] = []

    def touch(connection: Connection, lead_id: str) -> None:
        connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(tries=outbox.c.tries + 1))

    def cross(connection: Connection, *, order: list[str]) -> None:
        touch(connection, order[0])
        tries.append(order[0])
        if len(tries) <= 2:
            met.wait(2)
        touch(connection, order[1])

    writers = Writer(engine), Writer(other)
    await asyncio.gather(
        writers[0].run(partial(cross, order=lead_ids)), writers[1].run(partial(cross, order=lead_ids[::-1]))
    )
    for writer in writers:
        writer.close()
    with engine.begin() as connection:
        assert set(connection.execute(select(outbox.c.tries)).scalars()) == {2}
    assert len(tries) >= 3


@pytest.mark.anyio
async def test_a_lost_connection_is_replaced_before_a_lead_meets_it(database: str) -> None:
    with opened(database) as store:
        await store.accept(new_lead())
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await store.accept(new_lead())
        assert await store.read(count_leads) == 2


@pytest.mark.anyio
async def test_a_statement_that_never_ends_is_ended(database: str) -> None:
    with opened(database) as store:
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            await store.write(
                lambda connection: connection.execute(
                    text("SET LOCAL statement_timeout = 50; SELECT pg_sleep(60)")
                )
            )
        await store.accept(new_lead())


@pytest.mark.anyio
async def test_a_queue_that_does_not_move_refuses_the_next(engine: Engine) -> None:
    writer = Writer(engine)
    go_on = threading.Event()
    begun = threading.Event()

    def hold_up(_connection: Connection) -> None:
        begun.set()
        go_on.wait(10)

    held = asyncio.ensure_future(writer.run(hold_up))
    await asyncio.to_thread(begun.wait, 10)
    waiting = [asyncio.ensure_future(writer.accept(new_lead())) for _ in range(2005)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
    refused = [one for one in waiting if one.done()]
    go_on.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    await held
    writer.close()
    assert len(refused) == 5
    assert sum(isinstance(outcome, Acceptance) for outcome in outcomes) == 2000
