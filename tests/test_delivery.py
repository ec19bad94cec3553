"""One lead's way to Vitec, against the sandbox behind a real socket."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from app.errors import StoreUnavailable
from app.forms.model import Forms
from app.lead import LeadState
from app.sandbox.config import AGENT, LEAD_SOURCE
from app.store.circuits import open_circuit
from app.store.gates import list_gates, probe_now
from app.store.operator import discard_lead, retry_lead
from app.store.schema import payloads
from app.store.store import Store
from tests.deliveries import Rig, make_forms, make_login, open_rig
from tests.sandboxes import CUSTOMER, Running, run_sandbox
from tests.stores import row_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_either_database")]
pytest_plugins = ["tests.store_fixtures"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


@pytest.mark.parametrize("wire_format", ["json", "xml"])
async def test_a_lead_arrives_with_its_campaign(tmp_path: Path, sandbox: Running, wire_format: str) -> None:
    async with open_rig(tmp_path, sandbox, wire_format=wire_format) as rig:
        lead_id = await rig.submit()
        assert await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        [lead] = rig.vitec_leads
        tags = dict(lead.utm_tags)
        assert tags == {"utm_source": "google", "leadgate": lead_id}
        assert lead.referrer == "https://agency.example/salja"
        assert "Vi vill sälja." in lead.message
        assert not await rig.turn()


async def test_the_history_tells_every_step(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        lead_id = await rig.submit()
        await rig.turn()
        history = await rig.history(lead_id)
        assert [entry["kind"] for entry in history] == [
            "received",
            "frozen",
            "attempt_contact",
            "attempt_create",
        ]
        assert [entry["outcome"] for entry in history[2:]] == ["done", "done"]


async def test_nothing_sent_is_tried_again_by_schedule(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, base_url="http://127.0.0.1:9") as rig:
        lead_id = await rig.submit()
        await rig.turn()
        assert (await rig.history(lead_id))[-1]["outcome"] == "not_sent"
        assert not await rig.turn()
        rig.forms.current = make_forms(tmp_path, make_login(sandbox.url))
        rig.pass_time(seconds=5)
        assert await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED


async def test_too_many_requests_waits_as_long_as_it_is_told(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("429", times=1, retry_after="600")
        lead_id = await rig.submit()
        await rig.turn()
        rig.pass_time(seconds=599)
        assert not await rig.turn()
        rig.pass_time(seconds=2)
        assert await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert len(rig.vitec_leads) == 1


async def test_a_refused_lead_is_held_with_the_refusal_and_can_be_mended(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("400", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        status = await rig.status(lead_id)
        assert status.state is LeadState.HELD
        assert status.reason is not None
        assert status.reason.startswith("refused by Vitec (400)")
        rig.pass_time(days=1)
        assert not await rig.turn()


async def test_a_refused_contact_is_held(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("400", operation="updatePerson")
        lead_id = await rig.submit()
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.HELD
        assert rig.calls("createLead") == 0


@pytest.mark.parametrize(("fault", "status"), [("401", 401), ("403", 403), ("404", 404)])
@pytest.mark.parametrize("operation", ["updatePerson", "createLead"])
async def test_a_closed_gate_keeps_leads_waiting_and_costs_no_try(
    tmp_path: Path, sandbox: Running, fault: str, status: int, operation: str
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault(fault, operation=operation)
        first = await rig.submit()
        second = await rig.submit(email="bo@example.com", phone="070-174 06 06")
        while await rig.turn():
            pass
        assert rig.calls(operation) == 1
        [gate] = await rig.store.read(list_gates)
        assert gate.status == status
        assert gate.key.customer_id == CUSTOMER
        assert (await rig.status(first)).state is LeadState.PENDING
        rig.clear_faults()
        await rig.store.write(lambda connection: probe_now(connection, now=rig.now(), actor="eva"))
        while await rig.turn():
            pass
        assert (await rig.status(first)).state is LeadState.DELIVERED
        assert (await rig.status(second)).state is LeadState.DELIVERED
        assert await rig.store.read(list_gates) == []


async def test_what_waits_for_a_mistyped_customer_goes_to_the_right_one_when_it_is_sent_again(
    tmp_path: Path, sandbox: Running
) -> None:
    right = (
        f'[forms.kontakt]\ncustomer_id = "{CUSTOMER}"\n'
        f'assigned_to_id = "{AGENT}"\nlead_source_id = "{LEAD_SOURCE}"\n'
    )
    async with open_rig(tmp_path, sandbox, text=right.replace(CUSTOMER, "M99999")) as rig:
        rig.fault("403", operation="updatePerson")
        leads = [await rig.submit(), await rig.submit(email="bo@example.com", phone="070-174 06 06")]
        while await rig.turn():
            pass
        rig.clear_faults()
        rig.forms.current = make_forms(tmp_path, make_login(sandbox.url), right)
        retry = partial(retry_lead, locate=rig.forms.locate, now=rig.now(), actor="eva")
        await rig.store.write(partial(retry, lead_id=leads[0]))
        while await rig.turn():
            pass
        assert [(await rig.status(one)).state for one in leads] == ["delivered", "pending"]
        await rig.live(seconds=6)
        assert len(await rig.store.read(list_gates)) == 1  # the other lead waits for its probe
        await rig.store.write(partial(retry, lead_id=leads[1]))
        await rig.live(seconds=6)
        assert (await rig.status(leads[1])).state is LeadState.DELIVERED
        assert await rig.store.read(list_gates) == []


async def test_the_gate_of_a_customer_that_a_receiver_names_stays(tmp_path: Path, sandbox: Running) -> None:
    text = f"""
    [receivers.solviken]
    customer_id = "M30011"
    [forms.kontakt]
    customer_id = "{CUSTOMER}"
    assigned_to_id = "{AGENT}"
    lead_source_id = "{LEAD_SOURCE}"
    """
    async with open_rig(tmp_path, sandbox, text=text) as rig:
        rig.fault("403", operation="updatePerson")
        lead_id = await rig.submit(receiver="solviken")
        await rig.turn()
        await rig.store.write(
            partial(discard_lead, lead_id=lead_id, reason="a test", now=rig.now(), actor="eva")
        )
        await rig.live(seconds=6)
        [gate] = await rig.store.read(list_gates)
        assert gate.key.customer_id == "M30011"


async def test_probes_of_a_refused_password_come_ever_more_rarely(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("401", operation="updatePerson")
        await rig.submit()
        waits = []
        for _ in range(4):
            assert await rig.turn()
            [gate] = await rig.store.read(list_gates)
            waits.append(gate.probe_at - rig.now())
            rig.moment = gate.probe_at
        assert waits == [timedelta(minutes=5), timedelta(hours=1), timedelta(days=1), timedelta(days=1)]


async def test_a_probe_that_meets_another_trouble_does_not_open_its_gate(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("401", operation="updatePerson", times=2)
        await rig.submit()
        await rig.turn()
        rig.pass_time(minutes=5)
        await rig.turn()
        for trouble in ("500_before", "429", "401"):
            [gate] = await rig.store.read(list_gates)
            assert (gate.status, gate.probes) == (401, 1)
            rig.moment = gate.probe_at
            rig.fault(trouble, operation="updatePerson", times=1)
            assert await rig.turn()
        [gate] = await rig.store.read(list_gates)
        assert (gate.probes, gate.probe_at - rig.now()) == (2, timedelta(days=1))


async def test_a_mended_address_has_refused_nobody(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, base_url=f"{sandbox.url}/wrong") as rig:
        lead_id = await rig.submit()
        await rig.turn()
        assert len(await rig.store.read(list_gates)) == 1
        rig.forms.current = make_forms(tmp_path, make_login(sandbox.url))
        await rig.live(seconds=6)
        assert await rig.store.read(list_gates) == []
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED


async def test_another_customer_is_not_behind_a_closed_gate(tmp_path: Path, sandbox: Running) -> None:
    text = """
    [defaults]
    assigned_to_id = "HAN0B5E2D7C41A84F0E9C6D3A1F72E85B90"
    lead_source_id = "LKA3F7A90C1E58B4D26A0479BD1C6E2F835"
    [forms.kontakt]
    customer_id = "M12345"
    [forms.solviken]
    customer_id = "M30011"
    assigned_to_id = "HAN95D3E0B8726F4A1C8E41B7D60F2C9A53"
    """
    async with open_rig(tmp_path, sandbox, text=text) as rig:
        rig.fault("403", operation="updatePerson", match="M12345")
        stuck = await rig.submit()
        free = await rig.submit("solviken")
        while await rig.turn():
            pass
        assert (await rig.status(stuck)).state is LeadState.PENDING
        assert (await rig.status(free)).state is LeadState.DELIVERED


async def test_a_lead_of_a_form_that_is_gone_is_held(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        lead_id = await rig.submit()
        rig.forms.current = make_forms(
            tmp_path,
            make_login(sandbox.url),
            '[forms.annat]\ncustomer_id = "M1"\nassigned_to_id = "H"\nlead_source_id = "L"\n',
        )
        await rig.turn()
        status = await rig.status(lead_id)
        assert status.state is LeadState.HELD
        assert status.reason == "the forms file has no form 'kontakt' any more"


@pytest.mark.parametrize("contact", ["{garbage", "[]", "{}"])
async def test_what_was_frozen_and_cannot_be_read_is_held_and_mapped_anew(
    tmp_path: Path, sandbox: Running, contact: str
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("429", operation="contact", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        await rig.store.write(lambda write: write.execute(update(payloads).values(contact=contact)))
        rig.pass_time(minutes=1)
        await rig.turn()
        status = await rig.status(lead_id)
        assert (status.state, status.reason) == (
            LeadState.HELD,
            "what was kept cannot be read by this version",
        )
        await rig.store.write(partial(retry_lead, lead_id=lead_id, now=rig.now(), actor="eva"))
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED


async def test_a_clock_set_back_is_followed_once_it_can_be_written(
    tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StoreUnavailable("disk I/O error")

    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("429", operation="contact", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        await rig.upkeep.do_once()
        rig.pass_time(days=-1)
        with monkeypatch.context() as patched:
            patched.setattr(Store, "write", fail)
            with pytest.raises(StoreUnavailable):
                await rig.upkeep.do_once()
        await rig.upkeep.do_once()
        rig.pass_time(minutes=1)
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED


async def test_what_is_under_way_goes_where_it_was_bound_when_its_form_goes_elsewhere(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        lead_id = await _leave_under_way(rig)
        rig.forms.current = _move(rig, tmp_path, customer_id="M30011")
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert await rig.store.read(list_gates) == []
        assert rig.vitec_contacts[0].customer_id == CUSTOMER
        await rig.submit(email="bo@example.com", phone="070-174 06 06")
        await rig.turn()
        [gate] = await rig.store.read(list_gates)  # what comes in by now goes by the other login
        assert (gate.key.login, gate.key.customer_id) == ("other", "M30011")


@pytest.mark.parametrize(
    ("customer_id", "state", "reason"),
    [
        (CUSTOMER, LeadState.DELIVERED, None),
        ("M30011", LeadState.HELD, "there is no login 'default' for Vitec"),
    ],
)
async def test_a_login_that_is_gone_was_renamed_where_the_customer_is_the_same(
    tmp_path: Path, sandbox: Running, customer_id: str, state: LeadState, reason: str | None
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        lead_id = await _leave_under_way(rig)
        moved = _move(rig, tmp_path, customer_id=customer_id)
        renamed = replace(moved.logins["default"], name="other")
        rig.forms.current = replace(moved, logins={"other": renamed})
        while await rig.turn():
            pass
        status = await rig.status(lead_id)
        assert (status.state, status.reason) == (state, reason)
        assert await rig.store.read(list_gates) == []


async def test_what_was_frozen_for_a_renamed_login_meets_the_circuit_of_the_new_one(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        await _leave_under_way(rig)
        moved = _move(rig, tmp_path, customer_id=CUSTOMER)
        renamed = replace(moved.logins["default"], name="other")
        elsewhere = replace(renamed, name="elsewhere", base_url="http://127.0.0.1:9")
        rig.forms.current = replace(moved, logins={"other": renamed, "elsewhere": elsewhere})
        until = rig.now() + timedelta(hours=1)
        await rig.store.write(partial(open_circuit, base_url=sandbox.url, until=until, now=rig.now()))
        await rig.upkeep.do_once()
        calls = rig.calls()
        turns = 0
        while rig.worker._may_claim() and (claim := await rig.worker._claim()) is not None:
            await rig.courier.deliver(claim)
            turns += 1
        assert (turns, rig.calls()) == (1, calls)


async def test_what_a_reload_moves_does_not_knock_at_a_gate_known_to_be_closed(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        before = rig.forms.current
        rig.forms.current = _move(rig, tmp_path, customer_id="M30011")
        await rig.submit()
        await rig.turn()  # Vitec does not know the other login
        rig.forms.current = before
        lead_id = await rig.submit(email="bo@example.com", phone="070-174 06 06")
        rig.forms.current = _move(rig, tmp_path, customer_id="M30011")
        turns = 0
        while await rig.turn():
            turns += 1
        assert (turns, rig.calls("updatePerson")) == (1, 1)
        row = await rig.store.read(partial(row_of, lead_id=lead_id))
        assert (row.login, row.customer_id, row.tries) == ("other", "M30011", 0)


async def _leave_under_way(rig: Rig) -> str:
    """A lead that has been tried once, and is due again."""
    rig.fault("429", operation="updatePerson", times=1)
    lead_id = await rig.submit()
    await rig.turn()
    rig.pass_time(seconds=5)
    return lead_id


def _move(rig: Rig, folder: Path, *, customer_id: str) -> Forms:
    """The form goes to that customer, by another login, which Vitec does not know."""
    password = folder / "password"
    password.touch(0o600)
    password.write_text("unknown")
    text = f"""
    [vitec.other]
    username = "other"
    password_file = "{password}"
    base_url = "{rig.sandbox.url}"
    [forms.kontakt]
    vitec = "other"
    customer_id = "{customer_id}"
    assigned_to_id = "{AGENT}"
    lead_source_id = "{LEAD_SOURCE}"
    """
    return make_forms(folder, make_login(rig.sandbox.url), text)


async def _deliver_twice(rig: Rig) -> list[str]:
    first = await rig.submit()
    second = await rig.submit(message="Något annat")
    assert await rig.claim() is not None
    assert await rig.claim() is None
    return [first, second]


async def test_two_leads_of_one_person_are_never_under_way_at_once(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        await _deliver_twice(rig)


async def test_the_contact_call_is_repeated_byte_for_byte(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("drop_after", operation="updatePerson", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        assert (await rig.history(lead_id))[-1]["outcome"] == "unknown"
        rig.pass_time(seconds=5)
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert len(rig.vitec_contacts) == 1
