"""A store that is older than the world, and a clock that shows an earlier time."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, insert, select, text, update

from app.errors import StoreUnavailable
from app.store.ballast import SIZE, Ballast
from app.store.claiming import claim_in_order, claim_next
from app.store.clockstep import find_step, follow_step
from app.store.highwater import MarkFile
from app.store.migrate import upgrade
from app.store.queues import Selection
from app.store.schema import circuits, gates, meta, notices, outbox
from app.store.sqlite import open_writer
from app.store.store import Store
from app.store.words import Claim
from app.store.writer import Writer
from tests.databases import opened
from tests.postgresql import Server
from tests.stores import LEASE, NOW, begin, keep, must_claim, new_lead

pytest_plugins = ["tests.store_fixtures"]

SETTLE = timedelta(minutes=15)
HOUR = timedelta(hours=1)


async def take(store: Store) -> Claim | None:
    now = store.now()
    job = partial(
        claim_in_order, steps_back=store.steps_back, settle=SETTLE, now=now, leased_until=now + LEASE
    )
    return await store.write(job)


async def attempt(store: Store, claim: Claim) -> None:
    """As the ledger does: on record first, then told."""

    store.note_attempt(await store.write(lambda connection: begin(connection, claim, "contact")))


async def reconciles_first(store: Store) -> list[int]:
    return await store.read(
        lambda connection: list(
            connection.execute(select(outbox.c.reconcile_first).order_by(outbox.c.lead_id)).scalars()
        )
    )


async def read_due(store: Store) -> datetime:
    return await store.read(
        lambda connection: connection.execute(select(outbox.c.next_attempt_at)).scalar_one()
    )


async def restore_copy(folder: Path) -> Path:
    """A store with one lead, as it was before an attempt at it."""
    path, copy = folder / "leads.db", folder / "copy.db"
    with opened(path) as store:
        await store.accept(new_lead(received_at=datetime.now(UTC)))
    shutil.copy(path, copy)
    with opened(path) as store:
        claimed = await take(store)
        assert claimed is not None
        await attempt(store, claimed)
    shutil.copy(copy, path)
    return path


@pytest.mark.anyio
async def test_a_copy_of_an_earlier_time_is_noticed_though_nobody_says_so(tmp_path: Path) -> None:
    path = await restore_copy(tmp_path)
    with opened(path) as store:
        assert await take(store) is None
        assert await reconciles_first(store) == [2]
        # Nothing is asked before what was under way at the time must have come to an end.
        assert await take(store) is None
        waiting_until = await read_due(store)
    with opened(path) as store:
        assert await take(store) is None
        assert await read_due(store) == waiting_until  # a restart puts nothing off


@pytest.mark.anyio
async def test_it_is_not_forgotten_with_the_transaction_that_was_to_act_on_it(tmp_path: Path) -> None:
    """A batch in which another job fails is undone, and so is one that meets a full disk."""
    with opened(await restore_copy(tmp_path)) as store:
        now = store.now()

        def claim_in_vain(connection: Connection) -> None:
            claim_in_order(
                connection,
                steps_back=store.steps_back,
                settle=SETTLE,
                now=now,
                leased_until=now + LEASE,
            )
            raise LookupError("on purpose")

        with pytest.raises(LookupError):
            await store.write(claim_in_vain)
        assert await take(store) is None
        assert await reconciles_first(store) == [2]


@pytest.mark.anyio
async def test_it_is_not_forgotten_with_the_mark_that_told_it(tmp_path: Path) -> None:
    """As `check --canary` overwrites it, which sends its own lead alone."""
    path = await restore_copy(tmp_path)
    with opened(path) as store:
        canary = await store.accept(new_lead(received_at=datetime.now(UTC)))
        now = store.now()
        job = partial(
            claim_next, now=now, leased_until=now + LEASE, selection=Selection(lead_id=canary.lead_id)
        )
        claimed = await store.write(job)
        assert claimed is not None
        await attempt(store, claimed)
    with opened(path) as store:
        assert await take(store) is None
        assert await reconciles_first(store) == [2, 2]


@pytest.mark.anyio
async def test_a_store_that_goes_on_where_it_was_marks_nothing(tmp_path: Path) -> None:
    for _ in range(3):
        with opened(tmp_path / "leads.db") as store:
            await store.accept(new_lead(received_at=datetime.now(UTC)))
            claimed = await take(store)
            assert claimed is not None
            await attempt(store, claimed)
    with opened(tmp_path / "leads.db") as store:
        assert await reconciles_first(store) == [0, 0, 0]


def test_a_mark_that_cannot_be_read_or_written_tells_nothing_and_stops_nothing(tmp_path: Path) -> None:
    mark = MarkFile(tmp_path / "leads.db")
    assert mark.read() == 0
    mark.path.write_text("not a number")
    assert mark.read() == 0
    mark.write(7)
    assert mark.read() == 7
    mark.write(12)
    assert mark.read() == 12
    mark.path.unlink()
    mark.path.mkdir()
    mark.write(13)
    assert mark.read() == 0


@pytest.mark.anyio
async def test_a_postgresql_that_was_recovered_to_an_earlier_moment_is_noticed(mortal: Server) -> None:
    with mortal.database() as url:
        with opened(url) as store:
            await store.accept(new_lead())
            assert await take(store) is not None
            await store.accept(new_lead())
        mortal.stop()
        mortal.recover()
        with opened(url) as store:
            assert await take(store) is None
            assert await reconciles_first(store) == [2, 2]
            assert await take(store) is None  # told once: now it is the settle time that keeps them


@pytest.mark.anyio
async def test_a_plain_user_of_the_database_may_be_told_its_timeline(mortal: Server) -> None:
    """The operator need not be the server's superuser."""
    with mortal.database() as url:
        with mortal.connect(url.rpartition("/")[2]) as admin:
            admin.execute("DROP ROLE IF EXISTS plain")
            admin.execute("CREATE ROLE plain LOGIN")
            admin.execute("GRANT ALL ON SCHEMA public TO plain")
        with opened(url.replace("leadgate@", "plain@")) as store:
            await store.accept(new_lead())
            assert await take(store) is not None


def _wait(connection: Connection) -> tuple[datetime, ...]:
    """A lead, a gate, a circuit and a message that wait for an hour, and leases of a minute or more."""
    keep(connection)
    claimed = must_claim(connection)
    connection.execute(update(outbox).values(next_attempt_at=NOW + HOUR))
    connection.execute(
        insert(gates).values(
            base_url="https://vitec.test",
            login="default",
            customer_id="M1",
            call_group="create",
            closed_at=NOW,
            status=401,
            probe_at=NOW + HOUR,
            credential="",
        )
    )
    connection.execute(
        insert(circuits).values(
            base_url="https://vitec.test",
            state="open",
            allowance=0,
            openings=1,
            until=NOW + HOUR,
            changed_at=NOW,
        )
    )
    leased_until = NOW + timedelta(minutes=1)
    message = {"key": "k", "kind": "late", "channel": "mail", "made_at": NOW, "detail": {}}
    connection.execute(insert(notices).values(due_at=NOW + HOUR, leased_until=leased_until, **message))
    return NOW + HOUR, claimed.leased_until, NOW + HOUR, NOW + HOUR, NOW + HOUR, leased_until


def _awaited(connection: Connection) -> tuple[datetime, ...]:
    return tuple(
        connection.execute(select(column)).scalar_one()
        for column in (
            outbox.c.next_attempt_at,
            outbox.c.leased_until,
            gates.c.probe_at,
            circuits.c.until,
            notices.c.due_at,
            notices.c.leased_until,
        )
    )


def test_what_waits_does_not_wait_a_day_longer_when_the_clock_is_set_back_a_day(engine: Engine) -> None:
    day = timedelta(days=1)
    with engine.begin() as connection:
        before = _wait(connection)
        follow_step(connection, back=day, now=NOW - day)
        assert _awaited(connection) == tuple(moment - day for moment in before)
        # Another worker on the same store has seen the same step.
        follow_step(connection, back=day, now=NOW - day + timedelta(seconds=2))
        assert _awaited(connection) == tuple(moment - day for moment in before)
        follow_step(connection, back=HOUR, now=NOW - day - HOUR)
        assert _awaited(connection) == tuple(moment - day - HOUR for moment in before)


def test_what_is_due_already_stays_as_it_is(engine: Engine) -> None:
    with engine.begin() as connection:
        keep(connection)
        before = connection.execute(select(outbox.c.next_attempt_at)).scalar_one()
        follow_step(connection, back=HOUR, now=NOW)
        assert connection.execute(select(outbox.c.next_attempt_at)).scalar_one() == before


def test_records_that_lie_ahead_tell_of_a_clock_set_back_while_nobody_was_there(engine: Engine) -> None:
    with engine.begin() as connection:
        assert find_step(connection, now=NOW) == timedelta()
        keep(connection)
        assert find_step(connection, now=NOW + HOUR) == timedelta()
        assert find_step(connection, now=NOW - HOUR) == HOUR
        claimed = must_claim(connection)
        begin(connection, claimed, "contact", now=NOW + 2 * HOUR)
        assert find_step(connection, now=NOW) == 2 * HOUR


@pytest.mark.anyio
async def test_a_lead_put_off_by_a_clock_that_was_wrong_is_due_when_the_store_is_opened(
    tmp_path: Path,
) -> None:
    ahead = datetime.now(UTC) + timedelta(days=300)
    with opened(tmp_path / "leads.db") as store:
        await store.accept(new_lead(received_at=ahead))
        assert await take(store) is None
    with opened(tmp_path / "leads.db") as store:
        assert await take(store) is not None


def test_ballast_is_given_up_once_and_taken_on_again_when_there_is_room(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "leads.db")
    ballast.take_on(free=2 * SIZE - 1)
    assert not ballast.path.exists()
    ballast.take_on(free=2 * SIZE)
    ballast.take_on(free=2 * SIZE)
    assert ballast.path.stat().st_blocks * 512 >= SIZE
    assert ballast.drop()
    assert not ballast.path.exists()
    assert not ballast.drop()


@pytest.mark.anyio
async def test_on_a_full_disk_room_is_made_for_what_must_be_recorded_and_for_no_new_lead(
    tmp_path: Path,
) -> None:
    engine = open_writer(tmp_path / "leads.db")
    with engine.connect() as connection:
        upgrade(connection)
        pages = connection.execute(text("PRAGMA page_count")).scalar()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    asked = []

    def make_room() -> bool:
        asked.append(True)
        with engine.connect() as connection:
            connection.execute(text("PRAGMA max_page_count = 100000"))
        return len(asked) == 1

    writer = Writer(engine, has_room=lambda: False, make_room=make_room)
    large = {"name": "large", "value": "x" * 100_000}
    recorded = writer.run(lambda connection: connection.execute(insert(meta).values(large)).rowcount)
    outcomes = await asyncio.gather(recorded, writer.accept(new_lead()), return_exceptions=True)
    writer.close()
    engine.dispose()
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], StoreUnavailable)
    assert asked == [True]
