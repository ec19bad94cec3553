"""The one thread that writes: what shares a commit, and what happens when a commit fails."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, func, insert, select, text

from app.errors import StoreUnavailable
from app.store.schema import leads, meta
from app.store.store import Store
from app.store.words import Acceptance
from app.store.writer import Writer
from tests.databases import in_a_file, only_sqlite
from tests.stores import new_lead

pytest_plugins = ["tests.store_fixtures"]


@pytest.fixture
def writer(engine: Engine) -> Iterator[Writer]:
    writer = Writer(engine)
    yield writer
    writer.close()


@pytest.fixture
def trace(engine: Engine) -> list[str]:
    """What SQLite is asked to do, statement by statement."""
    statements: list[str] = []

    def listen(connection: Any, *_: object) -> None:
        connection.set_trace_callback(statements.append)

    event.listen(engine, "connect", listen)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_trace_callback(statements.append)
        connection.rollback()
    statements.clear()
    return statements


class Dam:
    """A job that holds the writer until it is told to go on, so that others gather behind it."""

    def __init__(self, writer: Writer) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()
        self._task = asyncio.ensure_future(writer.run(self._wait))

    def _wait(self, _connection: Connection) -> None:
        self._reached.set()
        assert self._opened.wait(10)

    async def reach(self) -> "Dam":
        await asyncio.to_thread(self._reached.wait, 10)
        return self

    async def open(self) -> None:
        self._opened.set()
        await self._task


async def dam(writer: Writer) -> Dam:
    return await Dam(writer).reach()


def leave(name: str) -> Callable[[Connection], str]:
    def job(connection: Connection) -> str:
        connection.execute(insert(meta).values(name=name, value=""))
        return name

    return job


def names(connection: Connection) -> set[str]:
    """But for what the migrations left."""
    return set(connection.execute(select(meta.c.name)).scalars()) - {"fit_from"}


@pytest.mark.anyio
@only_sqlite
async def test_what_gathers_during_a_commit_shares_the_next(writer: Writer, trace: list[str]) -> None:
    held = await dam(writer)
    waiting = [asyncio.ensure_future(writer.accept(new_lead())) for _ in range(100)]
    jobs = [asyncio.ensure_future(writer.run(leave(f"job {n}"))) for n in range(20)]
    await asyncio.sleep(0)
    await held.open()
    kept = await asyncio.gather(*waiting)
    assert await asyncio.gather(*jobs) == [f"job {n}" for n in range(20)]
    assert len({one.lead_id for one in kept}) == 100
    assert trace.count("COMMIT") == 2  # the dam's own, and one for all the rest


@pytest.mark.anyio
@only_sqlite
async def test_a_long_queue_is_cut_into_batches(writer: Writer, trace: list[str]) -> None:
    held = await dam(writer)
    waiting = [asyncio.ensure_future(writer.accept(new_lead())) for _ in range(300)]
    await asyncio.sleep(0)
    await held.open()
    await asyncio.gather(*waiting)
    assert trace.count("COMMIT") == 4  # 1 + ceil(300 / 128)


@pytest.mark.anyio
@only_sqlite
async def test_every_transaction_begins_as_a_writer(writer: Writer, trace: list[str]) -> None:
    """A read that turns into a write can meet a lock that no waiting resolves."""
    await writer.accept(new_lead())
    await writer.run(names)
    starts = [statement for statement in trace if statement.startswith("BEGIN")]
    assert starts == ["BEGIN IMMEDIATE"] * 2
    assert trace[0] == "BEGIN IMMEDIATE"


@pytest.mark.anyio
@only_sqlite
async def test_a_job_that_fails_is_undone_alone(writer: Writer, trace: list[str]) -> None:
    def fail(connection: Connection) -> None:
        leave("half")(connection)
        raise LookupError("on purpose")

    held = await dam(writer)
    waiting = [
        asyncio.ensure_future(writer.run(job))
        for job in (leave("before"), fail, leave("before"), leave("after"))
    ]
    accepting = asyncio.ensure_future(writer.accept(new_lead()))
    await asyncio.sleep(0)
    await held.open()
    before, failed, twice, after = await asyncio.gather(*waiting, return_exceptions=True)
    assert (before, after) == ("before", "after")
    assert isinstance(failed, LookupError)
    assert type(twice).__name__ == "IntegrityError"
    assert isinstance(await accepting, Acceptance)
    assert await writer.run(names) == {"before", "after"}
    assert trace.count("COMMIT") == 3


@pytest.mark.anyio
@only_sqlite
async def test_savepoints_are_for_a_batch_in_which_a_job_has_failed(writer: Writer, trace: list[str]) -> None:
    assert await writer.run(leave("first")) == "first"
    assert not [statement for statement in trace if "SAVEPOINT" in statement]
    with pytest.raises(Exception, match="UNIQUE"):
        await writer.run(leave("first"))
    assert [statement for statement in trace if "SAVEPOINT" in statement]


@pytest.mark.anyio
async def test_an_answer_comes_only_after_the_commit(engine: Engine, writer: Writer) -> None:
    seen: list[bool] = []
    event.listen(engine, "commit", lambda _connection: seen.append(accepting.done()))
    accepting = asyncio.ensure_future(writer.accept(new_lead()))
    await accepting
    assert seen == [False]


def fill(connection: Connection) -> None:
    """Leaves the database not one page to grow by, as a full disk would."""
    pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    connection.execute(text(f"PRAGMA max_page_count = {pages}"))


@pytest.mark.anyio
@only_sqlite
async def test_a_full_disk_fails_the_whole_batch_and_the_writer_recovers(
    engine: Engine, writer: Writer, trace: list[str]
) -> None:
    await writer.accept(new_lead())
    await writer.run(fill)
    held = await dam(writer)
    senders = [writer.accept(new_lead(body="x" * 5000)) for _ in range(3)]
    waiting = [asyncio.ensure_future(one) for one in [*senders, writer.run(leave("innocent"))]]
    await asyncio.sleep(0)
    await held.open()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 4
    assert "full" in str(outcomes[0])
    assert len({id(outcome) for outcome in outcomes}) == 4

    trace.clear()
    assert isinstance(await writer.accept(new_lead(body="x" * 5000)), Acceptance)  # a new connection has room
    assert await writer.run(names) == set()
    assert await writer.run(_count) == 2
    assert await writer.run(_ask_pragmas) == ("wal", 2, 1)
    assert trace[0] == "BEGIN IMMEDIATE"


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(leads)).scalar_one()


def _ask_pragmas(connection: Connection) -> tuple[object, ...]:
    return tuple(
        connection.execute(text(f"PRAGMA {name}")).scalar_one()
        for name in ("journal_mode", "synchronous", "foreign_keys")
    )


@pytest.mark.anyio
@only_sqlite
async def test_a_connection_that_may_not_write_is_unavailable_and_is_replaced(writer: Writer) -> None:
    await writer.run(lambda connection: connection.execute(text("PRAGMA query_only = 1")))
    with pytest.raises(StoreUnavailable, match="readonly"):
        await writer.accept(new_lead())
    assert isinstance(await writer.accept(new_lead()), Acceptance)


@pytest.mark.anyio
@only_sqlite
async def test_a_job_that_meets_a_full_disk_fails_the_batch(writer: Writer) -> None:
    await writer.run(fill)
    held = await dam(writer)
    kept = asyncio.ensure_future(writer.accept(new_lead(body="small")))
    big = asyncio.ensure_future(
        writer.run(lambda connection: connection.execute(insert(meta).values(name="n", value="x" * 99_999)))
    )
    await asyncio.sleep(0)
    await held.open()
    outcomes = await asyncio.gather(kept, big, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
    assert await writer.run(_count) == 0


@pytest.mark.anyio
async def test_an_existing_lock_is_waited_for_and_a_lasting_one_is_unavailable(tmp_path: Path) -> None:
    store = Store(tmp_path / "leads.db", reserve=0)
    store.open()
    await store.write(lambda connection: connection.execute(text("PRAGMA busy_timeout = 50")))
    stranger = sqlite3.connect(tmp_path / "leads.db", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await store.accept(new_lead())
    waiting = asyncio.ensure_future(store.accept(new_lead()))  # by a new connection: five seconds
    await asyncio.sleep(0.01)
    stranger.execute("COMMIT")
    stranger.close()
    assert isinstance(await waiting, Acceptance)
    store.close()


@pytest.mark.anyio
async def test_a_defect_is_never_an_acceptance(engine: Engine) -> None:
    def has_room() -> bool:
        raise OSError(5, "Input/output error")

    writer = Writer(engine, has_room=has_room)
    with pytest.raises(StoreUnavailable, match="OSError"):
        await writer.accept(new_lead())
    assert await writer.run(_count) == 0
    writer.close()


@pytest.mark.anyio
async def test_below_the_reserve_leads_are_refused_and_delivery_goes_on(engine: Engine) -> None:
    room = False
    writer = Writer(engine, has_room=lambda: room)
    with pytest.raises(StoreUnavailable, match="nearly full"):
        await writer.accept(new_lead())
    assert await writer.run(leave("settled")) == "settled"
    room = True
    assert isinstance(await writer.accept(new_lead()), Acceptance)
    writer.close()


@pytest.mark.anyio
async def test_a_sender_who_hangs_up_undoes_nobodys_lead(writer: Writer) -> None:
    held = await dam(writer)
    gone = asyncio.ensure_future(writer.accept(new_lead()))
    stays = asyncio.ensure_future(writer.accept(new_lead()))
    await asyncio.sleep(0)
    gone.cancel()
    await held.open()
    assert isinstance(await stays, Acceptance)
    assert gone.cancelled()
    assert await writer.run(_count) == 2  # kept whole, though nobody waits for the answer
    assert isinstance(await writer.accept(new_lead()), Acceptance)


@pytest.mark.anyio
async def test_closing_finishes_what_was_handed_over(writer: Writer, engine: Engine) -> None:
    held = await dam(writer)
    waiting = [asyncio.ensure_future(writer.accept(new_lead())) for _ in range(150)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(writer.close))
    await held.open()
    await closing
    assert len(await asyncio.gather(*waiting)) == 150
    with engine.begin() as connection:
        assert _count(connection) == 150
    with pytest.raises(StoreUnavailable, match="closing"):
        await writer.accept(new_lead())


def test_a_writer_outlives_the_loop_that_asked(engine: Engine) -> None:
    writer = Writer(engine)

    async def leave_at_once() -> None:
        held = await dam(writer)
        abandoned.append(asyncio.ensure_future(writer.accept(new_lead())))
        await asyncio.sleep(0)
        dams.append(held)

    dams: list[Dam] = []
    abandoned: list[asyncio.Future[Acceptance]] = []
    asyncio.run(leave_at_once())
    dams[0]._opened.set()
    assert asyncio.run(writer.run(_count)) == 1
    assert abandoned[0].cancelled()
    writer.close()


@pytest.mark.anyio
async def test_readiness_is_a_write_that_reached_the_disk(store: Store) -> None:
    await store.prove_writable()
    first = await store.read(
        lambda connection: connection.execute(select(meta.c.value).where(meta.c.name == "proof")).scalar_one()
    )
    await store.prove_writable()
    second = await store.read(
        lambda connection: connection.execute(select(meta.c.value).where(meta.c.name == "proof")).scalar_one()
    )
    assert first != second


@pytest.mark.anyio
async def test_readiness_fails_when_the_disk_is_nearly_full(tmp_path: Path) -> None:
    store = Store(tmp_path / "leads.db", reserve=2**62)
    store.open()
    with pytest.raises(StoreUnavailable, match="nearly full"):
        await store.prove_writable()
    with pytest.raises(StoreUnavailable, match="nearly full"):
        await store.accept(new_lead())
    store.close()


@pytest.mark.anyio
@in_a_file
async def test_readiness_fails_when_a_write_takes_too_long(store: Store) -> None:
    held = await dam(store.writer)
    with pytest.raises(StoreUnavailable, match="too long"):
        await store.prove_writable()
    await held.open()
    await store.prove_writable()


@pytest.mark.anyio
@in_a_file
async def test_a_new_lead_wakes_those_who_deliver_and_a_replay_does_not(store: Store) -> None:
    calls: list[str] = []
    store.when_accepted(lambda: calls.append("woken"))
    new = new_lead()
    await store.accept(new)
    await store.accept(new)
    assert calls == ["woken"]


@pytest.mark.anyio
async def test_news_of_a_lead_reaches_everyone_who_waits(store: Store) -> None:
    waiting = [
        asyncio.ensure_future(store.wait_for_news("lead", longest=timedelta(seconds=10))) for _ in range(3)
    ]
    await asyncio.sleep(0)
    store.announce_settled("another lead")
    assert not any(one.done() for one in waiting)
    store.announce_settled("lead")
    async with asyncio.timeout(0.2):
        await asyncio.gather(*waiting)


@pytest.mark.anyio
async def test_without_news_a_look_is_worth_it_soon(store: Store) -> None:
    async with asyncio.timeout(5):
        await store.wait_for_news("lead", longest=timedelta(seconds=60))
        await store.wait_for_news("lead", longest=timedelta())


@pytest.mark.anyio
async def test_a_store_that_is_not_open_is_unavailable(tmp_path: Path) -> None:
    store = Store(tmp_path / "leads.db")
    store.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.accept(new_lead())
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.read(_count)
