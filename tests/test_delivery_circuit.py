"""How a destination that fails is left alone and let back, against the sandbox behind a real socket."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from app.delivery.canary import deliver_alone
from app.lead import LeadState
from app.sandbox.config import AGENT, LEAD_SOURCE
from app.store.circuits import Circuit, open_circuit
from app.store.queues import Selection
from app.vitec.answers import Answer
from tests.deliveries import Rig, open_rig
from tests.sandboxes import CUSTOMER, Running, run_sandbox
from tests.stores import row_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_either_database")]
pytest_plugins = ["tests.store_fixtures"]

HOUR = timedelta(hours=1)
BO = {"email": "bo@example.com", "phone": "070-174 06 06", "firstName": "Bo"}
FAILED = Answer(sent=True, status=500)
SILENT = Answer(sent=True, error="ReadTimeout")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


async def work(rig: Rig, *, seconds: int) -> None:
    """As the worker itself chooses, a lead at a time."""
    for _ in range(0, seconds, 5):
        rig.pass_time(seconds=5)
        await rig.upkeep.do_once()
        await serve(rig)


async def serve(rig: Rig) -> None:
    while rig.worker._may_claim() and (claim := await rig.worker._claim()) is not None:
        await rig.courier.deliver(claim)


def circuit(rig: Rig) -> Circuit:
    return rig.courier.ledger.health.circuits[rig.sandbox.url]


async def answer(rig: Rig, answer: Answer, *, lead_id: str) -> None:
    await rig.courier.ledger.health.record(rig.sandbox.url, answer, lead_id=lead_id)


async def open_and_try(rig: Rig) -> None:
    """Opened once by failures, and now being tried: the probe has been answered."""
    for lead_id in "abcde":
        await answer(rig, FAILED, lead_id=lead_id)
    assert circuit(rig).state == "open"
    rig.moment = circuit(rig).until
    await rig.upkeep.do_once()
    assert (circuit(rig).state, circuit(rig).openings) == ("trying", 1)


# One lead's trouble, or everybody's


@pytest.mark.parametrize("fault", ["500_before", "hang_before"])
async def test_a_lead_that_cannot_be_read_back_holds_up_no_other(
    tmp_path: Path, sandbox: Running, fault: str
) -> None:
    async with open_rig(tmp_path, sandbox, settle=60, deadline=0.3) as rig:
        await rig.submit(**BO)
        await serve(rig)
        rig.fault("500_after", times=1)
        bad = await rig.submit()
        await rig.turn()
        [anna] = [one for one in rig.vitec_contacts if one.values.get("firstName") == "Anna"]
        rig.fault("500_before", operation="*")
        others = [
            await rig.submit(firstName=f"P{n}", email=f"p{n}@example.com", phone=None) for n in range(8)
        ]
        await work(rig, seconds=30)
        assert circuit(rig).state == "open"
        rig.clear_faults()
        rig.fault(fault, operation="listLeadsOfContacts", match=anna.id)
        await work(rig, seconds=300)
        assert {(await rig.status(one)).state for one in others} == {LeadState.DELIVERED}
        assert not rig.courier.ledger.health.is_ill(sandbox.url)
        assert (await rig.store.read(lambda read: row_of(read, bad))).tries > 1
        rig.clear_faults()
        rig.pass_time(minutes=15)
        await work(rig, seconds=10)
        assert (await rig.status(bad)).state is LeadState.DELIVERED
        assert rig.copies(bad) == 1


async def test_an_answer_that_fails_for_one_lead_does_not_shut_out_the_next(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        await open_and_try(rig)
        for _ in range(3):
            await answer(rig, FAILED, lead_id="a")
        assert circuit(rig).state == "trying"
        await answer(rig, FAILED, lead_id="b")
        assert (circuit(rig).state, circuit(rig).openings) == ("open", 2)
        rig.moment = circuit(rig).until
        await rig.upkeep.do_once()
        await answer(rig, FAILED, lead_id="a")  # what failed at the last opening counts no more
        assert circuit(rig).state == "trying"


async def test_silence_shuts_it_at_once(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        await open_and_try(rig)
        await answer(rig, SILENT, lead_id="a")
        assert (circuit(rig).state, circuit(rig).openings) == ("open", 2)


async def test_a_failure_after_an_answered_probe_costs_that_lead_a_try(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox, deadline=0.3) as rig:
        await open_and_try(rig)
        rig.fault("hang_before", operation="updatePerson")
        lead_id, other = await rig.submit(), await rig.submit(**BO)
        await serve(rig)
        assert circuit(rig).state == "open"
        assert (await rig.store.read(lambda read: row_of(read, lead_id))).tries == 1
        assert (await rig.store.read(lambda read: row_of(read, other))).tries == 0


async def test_what_may_have_been_taken_goes_first_every_other_time(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        await open_and_try(rig)
        turns = []
        for _ in range(4):
            turns.append(
                rig.worker.select()
                == Selection(allowances={frozenset({"default"}): 1}, looks_first=frozenset({"default"}))
            )
            await answer(rig, SILENT, lead_id="a")
            rig.moment = circuit(rig).until
            await rig.upkeep.do_once()
        assert turns == [True, False, True, False]


# What it asks for


async def test_a_probe_that_is_told_to_wait_waits(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("429", operation="*", retry_after="3600")
        await rig.submit()
        await serve(rig)
        assert circuit(rig).until == rig.now() + HOUR
        rig.pass_time(seconds=3601)
        await rig.upkeep.do_once()
        assert circuit(rig).until == rig.now() + HOUR
        assert circuit(rig).openings == 0  # it is not ill


async def test_who_asks_for_less_without_saying_how_long_is_called_ever_more_rarely(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("429", operation="*")
        leads = [await rig.submit(firstName=f"P{n}", email=f"p{n}@example.com", phone=None) for n in range(5)]
        await work(rig, seconds=3600)
        assert rig.calls() < 30
        assert {(await rig.store.read(partial(row_of, lead_id=one))).tries for one in leads} == {0}
        rig.clear_faults()
        await work(rig, seconds=400)
        assert {(await rig.status(one)).state for one in leads} == {LeadState.DELIVERED}


async def test_who_lets_something_through_is_spared_no_longer_than_before(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        busy = Answer(sent=True, status=429)
        for _ in range(4):
            await answer(rig, busy, lead_id="a")
            assert circuit(rig).state == "trying"
            await answer(rig, Answer(sent=True, status=200), lead_id="a")
            await answer(rig, busy, lead_id="a")
            assert (circuit(rig).state, circuit(rig).openings) == ("open", 0)
            rig.moment = circuit(rig).until
            await rig.upkeep.do_once()
            for _ in range(3):
                await answer(rig, Answer(sent=True, status=200), lead_id="a")
            assert circuit(rig).state == "closed"


async def test_a_server_error_may_ask_for_longer_than_the_pause(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        busy = Answer(sent=True, status=503, retry_after=HOUR)
        for lead_id in "abcde":
            await answer(rig, busy, lead_id=lead_id)
        assert circuit(rig).until == rig.now() + HOUR


@pytest.mark.parametrize(
    "later", [SILENT, FAILED, Answer(sent=True, status=429, retry_after=timedelta(seconds=1))]
)
async def test_what_was_under_way_makes_no_wait_shorter(
    tmp_path: Path, sandbox: Running, later: Answer
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        await answer(rig, Answer(sent=True, status=429, retry_after=HOUR), lead_id="a")
        until = circuit(rig).until
        for lead_id in "bcdefgh":
            await answer(rig, later, lead_id=lead_id)
        assert (circuit(rig).state, circuit(rig).until) == ("open", until)
        assert circuit(rig).openings == 0


async def test_another_process_that_opens_it_makes_no_wait_shorter(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        now, url = rig.now(), sandbox.url
        for wait in (HOUR, timedelta(seconds=15)):
            await rig.store.write(partial(open_circuit, base_url=url, until=now + wait, now=now))
        await rig.upkeep.do_once()
        assert (circuit(rig).until, circuit(rig).openings) == (now + HOUR, 2)


# Whom to ask


async def test_an_address_that_only_a_receiver_uses_is_probed_before_its_leads(
    tmp_path: Path, sandbox: Running
) -> None:
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("sandbox")
    text = f"""
    [vitec.other]
    username = "leadgate"
    password_file = "{password}"
    base_url = "{sandbox.url}"
    [receivers.other]
    vitec = "other"
    [forms.kontakt]
    customer_id = "{CUSTOMER}"
    assigned_to_id = "{AGENT}"
    lead_source_id = "{LEAD_SOURCE}"
    """
    async with open_rig(tmp_path, sandbox, base_url="http://127.0.0.1:9", text=text) as rig:
        for lead_id in "abcde":
            await answer(rig, FAILED, lead_id=lead_id)
        rig.moment = circuit(rig).until
        rig.fault("500_before", operation="*")
        await rig.upkeep.do_once()
        assert rig.calls() == 1
        assert circuit(rig).state == "open"


@pytest.mark.parametrize("readable", [True, False])
async def test_a_password_that_cannot_be_read_keeps_no_other_customer_waiting(
    tmp_path: Path, sandbox: Running, *, readable: bool
) -> None:
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("sandbox")
    text = f"""
    [vitec.other]
    username = "leadgate"
    password_file = "{password}"
    base_url = "{sandbox.url}"
    [forms.andra]
    vitec = "other"
    customer_id = "M30011"
    assigned_to_id = "{AGENT}"
    lead_source_id = "{LEAD_SOURCE}"
    [forms.kontakt]
    customer_id = "{CUSTOMER}"
    assigned_to_id = "{AGENT}"
    lead_source_id = "{LEAD_SOURCE}"
    """
    async with open_rig(tmp_path, sandbox, text=text) as rig:
        password.unlink()
        if not readable:
            rig.forms.current = replace(
                rig.forms.current,
                logins=dict.fromkeys(("default", "other"), rig.forms.current.logins["other"]),
            )
        for lead_id in "abcde":
            await answer(rig, FAILED, lead_id=lead_id)
        rig.moment = circuit(rig).until
        await rig.upkeep.do_once()
        assert rig.calls() == int(readable)
        assert circuit(rig).state == "trying"


async def test_an_address_that_no_form_uses_any_more_is_forgotten(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        now = rig.now()
        for url in ("https://gone.test", sandbox.url):
            await rig.store.write(partial(open_circuit, base_url=url, until=now, now=now))
        for _ in range(61):
            await rig.upkeep.do_once()
        assert set(rig.courier.ledger.health.circuits) == {sandbox.url}


async def test_a_lead_that_is_brought_on_its_way_alone_waits_for_its_destination(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.moment = rig.store.now()
        lead_id = await rig.submit()
        until = rig.now() + HOUR
        await rig.store.write(lambda write: open_circuit(write, sandbox.url, until=until, now=rig.now()))
        await deliver_alone(rig.worker, rig.store, lead_id, patience=timedelta(seconds=0.5))
        assert rig.calls() == 0
        assert (await rig.status(lead_id)).state is LeadState.PENDING
