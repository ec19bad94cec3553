"""The server dies, hangs and comes back."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from app.errors import StoreUnavailable
from app.lead import LeadState
from app.store.schema import idempotency_keys, leads
from app.store.settling import Delivered, Settlement, TryLater, settle
from app.store.store import Store
from app.store.turns import take_turns
from app.store.words import Acceptance
from tests.databases import count_leads, open_postgresql, opened
from tests.deliveries import open_rig
from tests.postgresql import Server
from tests.sandboxes import Running, run_sandbox
from tests.stores import NOW, claim, keep, must_claim, new_lead, row_of

pytest_plugins = ["tests.store_fixtures"]


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


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


async def send(store: Store, *, stop: asyncio.Event, acknowledged: list[str], unsure: list[Any]) -> None:
    """A sender who tries again with the same key until it is told that the lead is kept."""
    number = 0
    while not stop.is_set():
        number += 1
        new = new_lead(idempotency_key=f"{id(unsure)}-{id(asyncio.current_task())}-{number}")
        while True:
            try:
                kept = await store.accept(new)
            except StoreUnavailable:
                unsure.append(new.idempotency_key)
                await asyncio.sleep(0.02)
                continue
            acknowledged.append(kept.lead_id)
            break


@pytest.mark.anyio
async def test_no_acknowledged_lead_dies_with_the_server(mortal: Server) -> None:
    acknowledged: list[str] = []
    unsure: list[Any] = []
    stop = asyncio.Event()
    with mortal.database() as url, opened(url) as one, opened(url) as two:
        senders = [
            asyncio.ensure_future(send(store, stop=stop, acknowledged=acknowledged, unsure=unsure))
            for store in (one, two)
            for _ in range(8)
        ]
        for _ in range(4):
            so_far = len(acknowledged)
            async with asyncio.timeout(30):
                while len(acknowledged) < so_far + 100:  # noqa: ASYNC110 - the senders tell nobody
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(mortal.kill)
            await asyncio.to_thread(mortal.start)
        stop.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*senders)
        kept = await one.read(lambda connection: set(connection.execute(select(leads.c.id)).scalars()))
        keys = await one.read(
            lambda connection: len(connection.execute(select(idempotency_keys.c.key)).all())
        )
    assert set(acknowledged) <= kept
    assert len(set(acknowledged)) == len(acknowledged)  # one lead for each key
    assert len(kept) == keys == len(acknowledged)
    assert unsure


@pytest.mark.anyio
async def test_while_the_server_is_down_leads_are_refused_at_once_and_then_kept_again(mortal: Server) -> None:
    with mortal.database() as url, opened(url) as store:
        await store.accept(new_lead())
        threads = threading.active_count()
        before = store.now()
        mortal.kill()
        started = monotonic()
        refused = await asyncio.gather(*(store.accept(new_lead()) for _ in range(50)), return_exceptions=True)
        assert {type(one) for one in refused} == {StoreUnavailable}
        assert monotonic() - started < 3
        assert threading.active_count() <= threads
        with pytest.raises(StoreUnavailable):
            await store.prove_writable()
        with pytest.raises(StoreUnavailable):
            await store.read(count_leads)
        assert store.now() > before  # time goes on
        await asyncio.to_thread(mortal.start)
        await store.accept(new_lead())
        assert await store.read(count_leads) == 2


@pytest.mark.anyio
async def test_while_the_server_hangs_leads_are_refused_within_three_seconds(mortal: Server) -> None:
    with mortal.database() as url, opened(url) as store:
        await store.accept(new_lead())
        threads = threading.active_count()
        mortal.freeze()
        try:
            started = monotonic()
            with pytest.raises(StoreUnavailable, match="too long"):
                await store.accept(new_lead())
            with pytest.raises(StoreUnavailable, match="too long"):
                await store.prove_writable()
            assert monotonic() - started < 5.5
            assert threading.active_count() <= threads
        finally:
            mortal.thaw()
        async with asyncio.timeout(10):
            await store.accept(new_lead())
            assert await store.read(count_leads) >= 2


@pytest.mark.anyio
async def test_a_frozen_machine_costs_the_others_no_lead(database: str, engine: Engine) -> None:
    """It stopped in the middle of a transaction, with the person's turn and the turn to claim."""
    new = new_lead()
    with opened(database) as store:
        frozen = engine.connect()
        take_turns(frozen, ["claim", f"person {new.form} {new.email_key}"])
        assert isinstance(await store.accept(new), Acceptance)
        assert await store.write(claim) is not None
        with pytest.raises(DBAPIError, match="idle-in-transaction"):
            frozen.execute(select(1))
        frozen.invalidate()
        frozen.close()


@pytest.mark.anyio
async def test_what_vitec_said_while_the_server_was_away_is_recorded(
    tmp_path: Path, mortal: Server, sandbox: Running
) -> None:
    with mortal.database() as url:
        async with open_rig(tmp_path, sandbox, place=url) as rig:
            lead_id = await rig.submit()
            claimed = await rig.claim()
            assert claimed is not None
            mortal.kill()
            delivered = Settlement(decision=Delivered(vitec_lead_id="L1"))
            settling = asyncio.ensure_future(rig.courier.ledger.settle(claimed, delivered))
            await asyncio.to_thread(mortal.start)
            async with asyncio.timeout(15):
                await settling
            assert (await rig.status(lead_id)).state is LeadState.DELIVERED


def test_a_claim_ends_once(database: str) -> None:
    """Told twice, for want of an answer to the first commit, a settlement counts nothing twice."""
    engine = open_postgresql(database)
    with engine.begin() as connection:
        keep(connection)
        claimed = must_claim(connection)
        later = Settlement(decision=TryLater(at=NOW))
        assert [settle(connection, claimed, later, now=NOW) for _ in range(2)] == [True, False]
        assert row_of(connection, claimed.lead_id).tries == 1
    engine.dispose()
