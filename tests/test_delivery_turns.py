"""How a turn with a lead ends: in its own time, cut off by a stop, or after more calls than usual."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.delivery.parcel import Terms
from app.lead import LeadState
from app.store.operator import retry_lead
from tests.deliveries import Rig, open_rig
from tests.sandboxes import Running, run_sandbox
from tests.stores import row_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_either_database")]
pytest_plugins = ["tests.store_fixtures"]

DEADLINE = 2.0


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


async def row(rig: Rig, lead_id: str) -> Any:
    return await rig.store.read(partial(row_of, lead_id=lead_id))


async def cut_off(rig: Rig, call: str) -> None:
    """Stops a worker of its own while Vitec does not answer."""
    asked = asyncio.Event()

    async def hang(*_: object, **__: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rig.courier.client, call, hang)
        await rig.worker._start_turns()
        await asked.wait()
        await rig.worker.stop(grace=timedelta())
    rig.worker._stopping = False


async def test_a_turn_that_a_stop_cuts_off_is_no_crash(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, deadline=DEADLINE) as rig:
        lead_id = await rig.submit()
        for stops in range(1, 6):
            await cut_off(rig, "update_contact")
            left = await row(rig, lead_id)
            assert (left.state, left.leased_until, left.crashes, left.fence) == ("pending", None, 0, stops)
            assert await rig.claim() is None  # what was under way may still be at work
            rig.pass_time(seconds=DEADLINE)
        assert await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert [entry["outcome"] for entry in (await rig.history(lead_id))[2:]] == ["open"] * 5 + ["done"] * 2


async def test_a_create_that_a_stop_cuts_off_is_looked_for_at_once(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, deadline=DEADLINE) as rig:
        lead_id = await rig.submit()
        await cut_off(rig, "create_lead")
        claim = await rig.claim()
        assert claim is not None
        assert (claim.lead_id, claim.has_open_create, claim.crashes) == (lead_id, True, 0)
        await rig.courier.deliver(claim)
        assert rig.calls("listLeadsOfContacts") == 2
        assert rig.calls("createLead") == 0


async def test_a_stop_makes_no_suspect_innocent(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, deadline=DEADLINE) as rig:
        lead_id = await rig.submit()
        assert await rig.claim() is not None
        rig.pass_time(seconds=rig.courier.terms.lease.total_seconds() + 1)
        await cut_off(rig, "update_contact")
        assert (await row(rig, lead_id)).crashes == 1


async def test_a_look_at_very_many_leads_outlasts_its_lease_and_is_nobody_elses(
    tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(tmp_path, sandbox, deadline=DEADLINE) as rig:
        await rig.submit()
        assert await rig.turn()
        [first] = rig.vitec_leads
        for number in range(30):
            other = replace(first, id=f"LED{number}", utm_tags=(), message="")
            sandbox.app.state.world._leads[other.id] = other
        lead_id = await rig.submit(message="Något annat")
        await rig.store.write(partial(retry_lead, lead_id=lead_id, now=rig.now(), actor="eva"))
        claim = await rig.claim()
        assert claim is not None
        lease = rig.courier.terms.lease
        read, others = rig.courier.client.read_incoming, []

        async def read_slowly(*arguments: Any) -> Any:
            rig.moment += lease / 8
            others.append(await rig.claim(suspects=True))
            return await read(*arguments)

        monkeypatch.setattr(rig.courier.client, "read_incoming", read_slowly)
        await rig.courier.deliver(claim)
        assert len(others) >= 30
        assert not any(others)
        delivered = await row(rig, lead_id)
        assert (delivered.state, delivered.fence) == ("delivered", 2)
        assert rig.copies(lead_id) == 1


def test_a_lease_outlasts_six_calls_that_wait_their_turn() -> None:
    terms = Terms(timeout=timedelta(seconds=30), schedule=(), rate=0.5, concurrency=5)
    assert terms.lease > 6 * (terms.timeout + timedelta(seconds=10))
