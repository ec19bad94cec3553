"""Creates whose answer was lost: looked for before anything is sent again."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from app.delivery import health
from app.delivery.parcel import MAY_EXIST
from app.errors import StoreUnavailable
from app.lead import LeadState
from app.sandbox.config import ARCHIVED_AGENT, LEAD_SOURCE, SOLVIKEN, SOLVIKEN_AGENT
from app.sandbox.faults import FaultOrder
from app.store.circuits import slow_down
from app.store.claiming import claim_next
from app.store.erasure import InVitec, erase_lead
from app.store.gates import list_gates
from app.store.operator import retry_lead
from app.store.outbox import finish_attempt
from app.store.queues import Selection
from tests.deliveries import Rig, open_rig
from tests.sandboxes import CUSTOMER, Running, run_sandbox
from tests.stores import row_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_either_database")]
pytest_plugins = ["tests.store_fixtures"]

SETTLE = 60
OTHER = {"email": "bo@example.com", "phone": "070-174 06 06", "firstName": "Bo"}

RESEND = f"""
[forms.kontakt]
customer_id = "{CUSTOMER}"
assigned_to_id = "HAN0B5E2D7C41A84F0E9C6D3A1F72E85B90"
lead_source_id = "LKA3F7A90C1E58B4D26A0479BD1C6E2F835"
on_ambiguous = "resend"
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


async def _prove(rig: Rig) -> None:
    """A first lead delivered and read back: looking is known to find what is there."""
    await rig.submit(**OTHER)
    assert await rig.turn()


@pytest.mark.parametrize(
    "fault", ["500_after", "drop_after", "empty_200_after", "html_200_after", "truncated_after"]
)
async def test_what_vitec_took_is_found_and_not_sent_again(
    tmp_path: Path, sandbox: Running, fault: str
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        rig.fault(fault, times=1)
        lead_id = await rig.submit()
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.PENDING
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert "reconciled" in [entry["kind"] for entry in await rig.history(lead_id)]
        assert rig.copies(lead_id) == 1
        assert rig.calls("createLead") == 1


@pytest.mark.parametrize("fault", ["500_before", "drop_before"])
async def test_what_vitec_did_not_take_is_sent_again_once_that_is_certain(
    tmp_path: Path, sandbox: Running, fault: str
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        rig.fault(fault, times=1)
        lead_id = await rig.submit()
        await rig.turn()
        await rig.live(seconds=SETTLE)
        assert (await rig.status(lead_id)).state is LeadState.PENDING
        assert rig.calls("createLead") == 2
        await rig.live(seconds=20, until=LeadState.DELIVERED, lead_id=lead_id)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1


async def test_a_late_commit_is_waited_for(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        rig.fault("late_commit", times=1, seconds=2)
        lead_id = await rig.submit()
        await rig.turn()
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.PENDING
        while rig.copies(lead_id) == 0:
            pass  # the sandbox commits by the real clock
        await rig.live(seconds=30, until=LeadState.DELIVERED, lead_id=lead_id)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1


async def test_a_clock_that_jumps_does_not_shorten_the_settle_time(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        rig.fault("500_before", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        rig.pass_time(days=1)
        await rig.live(seconds=10)
        assert (await rig.status(lead_id)).state is LeadState.PENDING
        assert rig.calls("createLead") == 2


async def test_where_reading_is_not_proven_a_human_decides(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        rig.fault("500_before", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        await rig.live(seconds=2 * SETTLE)
        status = await rig.status(lead_id)
        assert status.state is LeadState.HELD
        assert status.reason == "may exist in Vitec: reading leads back is not proven for this customer"


async def test_a_canary_that_cannot_be_asked_for_is_no_evidence_against_reading(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        canary = rig.vitec_leads[0].id
        rig.sandbox.app.state.board.set(
            [
                FaultOrder(name="500_before", times=1),
                FaultOrder(name="500_before", times=3, operation="*", match=canary),
            ]
        )
        lead_id = await rig.submit()
        await rig.turn()
        await rig.live(seconds=10 * SETTLE, until=LeadState.DELIVERED, lead_id=lead_id)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1
        assert "held" not in [entry["kind"] for entry in await rig.history(lead_id)]


async def test_where_reading_sees_nothing_a_human_decides(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        rig.fault("reads_blind")
        rig.fault("500_after", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        await rig.live(seconds=2 * SETTLE)
        assert (await rig.status(lead_id)).state is LeadState.HELD
        assert rig.calls("createLead") == 2
        assert rig.copies(lead_id) == 1


async def test_where_reading_is_forbidden_a_human_decides_at_once(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        rig.fault("reads_forbidden")
        rig.fault("500_after", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        await rig.turn()
        status = await rig.status(lead_id)
        assert status.state is LeadState.HELD
        assert status.reason == "may exist in Vitec: reading it back is refused"
        [gate] = await rig.store.read(list_gates)
        assert gate.key.call_group == "read"


async def test_a_form_may_choose_to_send_it_twice_rather_than_wait(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE, text=RESEND) as rig:
        rig.fault("reads_forbidden")
        rig.fault("500_after", times=1)
        lead_id = await rig.submit()
        for _ in range(3):
            await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 2
        assert "Möjlig dubblett" in rig.vitec_leads[-1].message


async def test_forbidden_reading_never_keeps_a_lead_from_being_sent(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("reads_forbidden")
        for place in range(4):
            lead_id = await rig.submit(email=f"a{place}@example.com", phone=f"070-174 06 1{place}")
            await rig.turn()
            assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        # A refused login is not asked again until its probe is due.
        assert rig.calls("listLeadsOfContacts") == 1


async def test_a_refused_create_keeps_no_lost_answer_from_being_found(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        rig.fault("500_after", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        rig.fault("403", operation="createLead")
        other = await rig.submit(email="dan@example.com", phone=None)
        selection = Selection(lead_id=other)
        claim = await rig.store.write(
            partial(claim_next, now=rig.moment, leased_until=rig.moment, selection=selection)
        )
        assert claim is not None
        await rig.courier.deliver(claim)
        [gate] = await rig.store.read(list_gates)
        rig.pass_time(seconds=2)
        assert await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert not await rig.turn()
        assert await rig.store.read(list_gates) == [gate]


async def test_a_look_that_fails_decides_nothing(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        rig.fault("500_before", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        rig.fault("500_before", operation="read")
        await rig.live(seconds=3 * SETTLE)
        assert (await rig.status(lead_id)).state is LeadState.PENDING
        assert rig.calls("createLead") == 2
        rig.clear_faults()
        await rig.live(seconds=900, until=LeadState.DELIVERED, lead_id=lead_id)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1


@pytest.mark.parametrize("silences", [1, 2])
async def test_a_moments_silence_before_a_create_leaves_nothing_to_a_human(
    tmp_path: Path, sandbox: Running, silences: int
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        rig.fault("drop_before", operation="listLeadsOfContacts", times=silences)
        rig.fault("drop_before", operation="createLead", times=1)
        lead_id = await rig.submit()
        end = LeadState.DELIVERED if silences == 1 else LeadState.HELD
        await rig.live(seconds=900, until=end, lead_id=lead_id)
        status = await rig.status(lead_id)
        assert status.state is end
        if silences == 1:
            assert rig.copies(lead_id) == 1
        else:
            assert status.reason == f"{MAY_EXIST}: the contact's leads could not be read before it was sent"


async def test_a_lead_whose_contact_is_gone_waits_at_the_gate_of_contacts(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        rig.fault("500_after", times=1)
        await rig.submit()
        await rig.turn()
        [anna] = [one for one in rig.vitec_contacts if one.values.get("firstName") == "Anna"]
        rig.sandbox.app.state.board.set(
            [
                FaultOrder(name="404", operation="listLeadsOfContacts", match=anna.id),
                FaultOrder(name="403", operation="updatePerson"),
            ]
        )
        calls = rig.calls("updatePerson")
        for _ in range(SETTLE + 60):
            rig.pass_time(seconds=1)
            await rig.upkeep.do_once()
            await rig.turn()
        assert rig.calls("updatePerson") == calls + 1


async def test_what_cannot_be_kept_of_a_destinations_health_costs_no_lead_its_answer(
    tmp_path: Path, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE, text=RESEND) as rig:
        lead_id = await rig.submit()
        now = rig.now()
        await rig.store.write(lambda connection: slow_down(connection, sandbox.url, now=now))
        await rig.courier.ledger.health.refresh()

        def fail(*_: object, **__: object) -> None:
            raise StoreUnavailable("away")

        monkeypatch.setattr(health, "raise_allowance", fail)
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1


async def test_five_unknown_creates_are_enough(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=5) as rig:
        await _prove(rig)
        rig.fault("500_before")
        lead_id = await rig.submit()
        await rig.live(seconds=300, until=LeadState.HELD, lead_id=lead_id)
        status = await rig.status(lead_id)
        assert status.reason == "not in Vitec after 5 creates of unknown outcome"
        assert rig.calls("createLead") == 6
        assert rig.copies(lead_id) == 0
        rig.clear_faults()
        now = rig.now()
        await rig.store.write(lambda connection: retry_lead(connection, lead_id, now=now, actor="anna"))
        await rig.live(seconds=20, until=LeadState.DELIVERED, lead_id=lead_id)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1


async def test_an_intent_left_open_by_a_crash_is_looked_for(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        lead_id = await rig.submit()
        claim = await rig.claim()
        assert claim is not None
        parcel = await rig.courier._prepare(claim)
        assert parcel is not None
        await rig.courier._contacts.resolve(parcel)
        await rig.courier.ledger.begin(parcel, "create", snapshot=())
        # Here the process dies; its lease runs out.
        rig.pass_time(seconds=rig.courier.terms.lease.total_seconds() + 1)
        assert await rig.claim() is None
        suspect = await rig.claim(suspects=True)
        assert suspect is not None
        assert suspect.has_open_create
        await rig.courier.deliver(suspect)
        assert rig.calls("createLead") == 1
        await rig.live(seconds=SETTLE + 20, until=LeadState.DELIVERED, lead_id=lead_id)
        assert rig.copies(lead_id) == 1


async def test_a_create_whose_answer_came_meanwhile_is_not_looked_for(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        lead_id = await rig.submit()
        claim = await rig.claim()
        assert claim is not None
        parcel = await rig.courier._prepare(claim)
        assert parcel is not None
        await rig.courier._contacts.resolve(parcel)
        attempt_id = await rig.courier.ledger.begin(parcel, "create", snapshot=())
        rig.pass_time(seconds=rig.courier.terms.lease.total_seconds() + 1)
        assert await rig.claim() is None
        suspect = await rig.claim(suspects=True)
        assert suspect is not None
        # The slow one is told after all: another's lease, but a fact.
        now = rig.now()
        await rig.store.write(partial(finish_attempt, attempt_id=attempt_id, outcome="not_taken", now=now))
        await rig.courier.deliver(suspect)
        row = await rig.store.read(partial(row_of, lead_id=lead_id))
        assert (row.state, row.leased_until, row.crashes) == (LeadState.PENDING, None, 0)
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1


async def test_an_operators_retry_looks_before_it_sends(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        rig.fault("reads_forbidden", times=1)
        rig.fault("500_after", times=1)
        lead_id = await rig.submit()
        await rig.live(seconds=3)
        assert (await rig.status(lead_id)).state is LeadState.HELD
        now = rig.now()
        await rig.store.write(lambda connection: retry_lead(connection, lead_id, now=now, actor="anna"))
        rig.pass_time(days=2)
        await rig.live(seconds=20, until=LeadState.DELIVERED, lead_id=lead_id)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1


async def test_a_person_vitec_cannot_match_is_searched_for_before_resending(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("drop_after", operation="updatePerson", times=1)
        lead_id = await rig.submit(firstName=None, lastName=None, name="Anna")
        await rig.turn()
        rig.pass_time(seconds=5)
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert len(rig.vitec_contacts) == 1


async def test_the_read_path_is_proven_by_the_first_delivery_and_then_daily(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        for place in range(3):
            await rig.submit(email=f"a{place}@example.com", phone=f"070-174 06 1{place}")
            await rig.turn()
        assert rig.calls("getIncomingLead") == 1
        rig.pass_time(days=1, seconds=1)
        await rig.submit(email="b@example.com", phone="070-174 06 19")
        await rig.turn()
        assert rig.calls("getIncomingLead") == 2


async def test_three_crashes_while_alone_make_a_lead_held(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        lead_id = await rig.submit()
        innocent = await rig.submit(**OTHER)
        first, second = await rig.claim(), await rig.claim()
        assert first is not None
        assert second is not None
        for _ in range(4):
            rig.pass_time(seconds=rig.courier.terms.lease.total_seconds() + 1)
            suspect = await rig.claim(suspects=True)
            assert suspect is not None
            if suspect.lead_id == innocent:
                await rig.courier.deliver(suspect)
                suspect = await rig.claim(suspects=True)
                assert suspect is not None
            if suspect.crashes == 4:
                await rig.courier.deliver(suspect)
        assert (await rig.status(innocent)).state is LeadState.DELIVERED
        assert (await rig.status(lead_id)).state is LeadState.HELD
        assert rig.calls("createLead") == 1


@pytest.mark.parametrize("about", ["contactId", "assignedToId"])
async def test_a_refusal_that_can_be_mended_is_mended_once(
    tmp_path: Path, sandbox: Running, about: str
) -> None:
    text = f"""
    [receivers.office]
    assigned_to_id = "FIR12345"
    [forms.kontakt]
    customer_id = "{CUSTOMER}"
    assigned_to_id = "HAND48A17E5039B4C62B1F06C7A92E35D80"
    lead_source_id = "LKA3F7A90C1E58B4D26A0479BD1C6E2F835"
    fallback_receiver = "office"
    """
    async with open_rig(tmp_path, sandbox, text=text if about == "assignedToId" else "") as rig:
        lead_id = await rig.submit()
        if about == "contactId":
            claim = await rig.claim()
            assert claim is not None
            parcel = await rig.courier._prepare(claim)
            assert parcel is not None
            await rig.courier._contacts.resolve(parcel)
            sandbox.app.state.world._contacts.clear()  # merged away by an agent
            rig.pass_time(seconds=rig.courier.terms.lease.total_seconds() + 1)
            suspect = await rig.claim(suspects=True)
            assert suspect is not None
            await rig.courier.deliver(suspect)
        for _ in range(3):
            await rig.turn()
        status = await rig.status(lead_id)
        assert status.state is LeadState.DELIVERED, status.reason
        assert rig.copies(lead_id) == 1


async def test_a_lead_that_falls_back_to_another_customer_is_filed_there(
    tmp_path: Path, sandbox: Running
) -> None:
    text = f"""
    [receivers.solviken]
    customer_id = "{SOLVIKEN.id}"
    assigned_to_id = "{SOLVIKEN_AGENT}"
    [forms.kontakt]
    customer_id = "{CUSTOMER}"
    assigned_to_id = "{ARCHIVED_AGENT}"
    lead_source_id = "{LEAD_SOURCE}"
    fallback_receiver = "solviken"
    """
    async with open_rig(tmp_path, sandbox, text=text) as rig:
        lead_id = await rig.submit()
        while await rig.turn():
            pass
        assert rig.copies(lead_id) == 1
        assert rig.calls("createLead") == 2
        row = await rig.store.read(partial(row_of, lead_id=lead_id))
        assert (row.state, row.login, row.customer_id) == (LeadState.DELIVERED, "default", SOLVIKEN.id)
        remains = await rig.store.write(partial(erase_lead, lead_id=lead_id, now=rig.now(), actor="eva"))
        first, second = rig.vitec_contacts
        assert remains.in_vitec == (
            InVitec(customer_id=CUSTOMER, contact_ids=(first.id,)),
            InVitec(customer_id=SOLVIKEN.id, contact_ids=(second.id,), vitec_lead_id=row.vitec_lead_id),
        )


async def test_an_outage_opens_the_circuit_and_costs_nothing(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("500_before", operation="*")
        leads = [
            await rig.submit(email=f"a{place}@example.com", phone=f"070-174 06 2{place}")
            for place in range(8)
        ]
        worker = rig.worker
        await rig.upkeep.do_once()
        await worker._start_turns()
        for _ in range(200):
            if worker._turns:
                await next(iter(worker._turns))
            await worker._start_turns()
            if rig.courier.ledger.health.is_ill(sandbox.url):
                break
        assert rig.courier.ledger.health.is_ill(sandbox.url)
        before = rig.calls()
        await worker._start_turns()
        assert rig.calls() == before
        rig.clear_faults()
        for _ in range(60):
            rig.pass_time(seconds=5)
            await rig.upkeep.do_once()
            for _ in range(10):
                await worker._start_turns()
                while worker._turns:
                    await next(iter(worker._turns))
        states = {(await rig.status(lead)).state for lead in leads}
        assert states == {LeadState.DELIVERED}
        assert not rig.courier.ledger.health.is_ill(sandbox.url)


async def test_changed_credentials_are_tried_at_once(tmp_path: Path, sandbox: Running) -> None:
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("wrong")
    text = f"""
    [vitec.own]
    username = "leadgate"
    password_file = "{password}"
    base_url = "{sandbox.url}"
    [forms.kontakt]
    vitec = "own"
    customer_id = "{CUSTOMER}"
    assigned_to_id = "HAN0B5E2D7C41A84F0E9C6D3A1F72E85B90"
    lead_source_id = "LKA3F7A90C1E58B4D26A0479BD1C6E2F835"
    """
    async with open_rig(tmp_path, sandbox, text=text) as rig:
        lead_id = await rig.submit()
        await rig.live(seconds=10)
        assert rig.calls("updatePerson") == 1
        password.write_text("sandbox\n")
        await rig.live(seconds=10)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED


async def test_one_form_with_many_leads_starves_no_other(tmp_path: Path, sandbox: Running) -> None:
    text = f"""
    [defaults]
    customer_id = "{CUSTOMER}"
    assigned_to_id = "HAN0B5E2D7C41A84F0E9C6D3A1F72E85B90"
    lead_source_id = "LKA3F7A90C1E58B4D26A0479BD1C6E2F835"
    [forms.kontakt]
    [forms.zebra]
    """
    async with open_rig(tmp_path, sandbox, text=text) as rig:
        for place in range(20):
            await rig.submit(email=f"a{place}@example.com", phone=None)
        rig.pass_time(seconds=60)
        late = await rig.submit("zebra", email="z@example.com", phone=None)
        worker = rig.worker
        await worker._start_turns()
        await next(iter(worker._turns))
        await worker._start_turns()
        await next(iter(worker._turns))
        assert (await rig.status(late)).state is LeadState.DELIVERED
