"""A restored store: what a life that it knows nothing of has delivered is not delivered again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from app.lead import LeadState
from app.sandbox.config import AGENT, LEAD_SOURCE
from app.sandbox.faults import FaultOrder
from app.store.operator import mark_restored, retry_lead
from app.store.reconciling import DENIED, FORGOTTEN
from app.store.schema import alarms, outbox
from app.vitec.answers import Found, classify_contact
from app.vitec.guard import read_boot_clock
from tests.deliveries import Rig, open_rig
from tests.sandboxes import CUSTOMER, Running, run_sandbox
from tests.stores import row_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_either_database")]
pytest_plugins = ["tests.store_fixtures"]

SETTLE = 60
OTHER = {"email": "bo@example.com", "phone": "070-174 06 06", "firstName": "Bo"}
UNMATCHABLE: dict[str, Any] = {"firstName": None, "lastName": None, "name": "Anna"}
"""Without a last name Vitec makes the person anew at every call."""

RESEND = f"""
[forms.kontakt]
customer_id = "{CUSTOMER}"
assigned_to_id = "{AGENT}"
lead_source_id = "{LEAD_SOURCE}"
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


async def _deliver_unrecorded(rig: Rig, *, create: bool = True) -> None:
    """What was done with the lead that is due, in the life after the backup."""
    claim = await rig.claim()
    assert claim is not None
    parcel = await rig.courier._prepare(claim)
    assert parcel is not None
    client, payload = rig.courier.client, parcel.payload
    answer = await client.update_contact(parcel.login, payload.contact_type, payload.contact)
    contact = classify_contact(answer)
    assert isinstance(contact, Found)
    if create:
        body = json.loads(payload.lead) | {"contactId": contact.id}
        await client.create_lead(parcel.login, CUSTOMER, body, deadline=read_boot_clock() + 5)


async def _restore(rig: Rig) -> None:
    now = rig.now()
    first_look_at = now + timedelta(seconds=SETTLE)
    await rig.store.write(partial(mark_restored, first_look_at=first_look_at, now=now, actor="eva"))


async def _kinds(rig: Rig, lead_id: str) -> list[str]:
    return [entry["kind"] for entry in await rig.history(lead_id)]


@pytest.mark.parametrize("person", [{}, UNMATCHABLE], ids=["matchable", "unmatchable"])
@pytest.mark.parametrize("arrived", ["nothing", "contact", "lead"])
async def test_nothing_is_sent_unseen(
    tmp_path: Path, sandbox: Running, person: dict[str, Any], arrived: str
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        lead_id = await rig.submit(**person)
        if arrived != "nothing":
            await _deliver_unrecorded(rig, create=arrived == "lead")
        await _restore(rig)
        await rig.live(seconds=SETTLE - 1)
        assert (await rig.status(lead_id)).state is LeadState.PENDING
        await rig.live(seconds=10)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1
        assert len(rig.vitec_contacts) == 2
        assert ("reconciled" in await _kinds(rig, lead_id)) == (arrived == "lead")


async def test_one_look_in_vain_is_not_enough(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        lead_id = await rig.submit()
        await _deliver_unrecorded(rig)
        await _restore(rig)
        _, contact = rig.vitec_contacts
        rig.fault("reads_blind", operation="listLeadsOfContacts", match=contact.id, times=1)
        await rig.live(seconds=SETTLE + 10)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1


async def test_two_that_were_made_are_an_alarm(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        lead_id = await rig.submit()
        await _deliver_unrecorded(rig)
        lead = rig.vitec_leads[-1]
        sandbox.app.state.world._leads["LEDCOPY"] = replace(lead, id="LEDCOPY")
        await _restore(rig)
        await rig.live(seconds=SETTLE + 1)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert {"reconciled", "duplicate_suspected"} <= set(await _kinds(rig, lead_id))
        assert await rig.store.read(lambda read: read.execute(select(alarms.c.kind)).scalar()) == "duplicate"


async def test_a_retry_waits_for_the_settle_time(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        lead_id = await rig.submit()
        await _restore(rig)
        await rig.store.write(partial(retry_lead, lead_id=lead_id, now=rig.now(), actor="eva"))
        await rig.live(seconds=SETTLE - 1)
        assert (await rig.status(lead_id)).state is LeadState.PENDING
        assert rig.calls("createLead") == 1


@pytest.mark.parametrize(
    ("faults", "person", "why"),
    [
        ([], {}, "reading leads back is not proven for this customer"),
        ([FaultOrder(name="reads_forbidden")], {}, "reading it back is refused"),
        ([FaultOrder(name="reads_forbidden")], UNMATCHABLE, "the person cannot be searched for"),
    ],
)
async def test_where_looking_proves_nothing_a_human_decides(
    tmp_path: Path, sandbox: Running, faults: list[FaultOrder], person: dict[str, Any], why: str
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        lead_id = await rig.submit(**person)
        await _restore(rig)
        rig.sandbox.app.state.board.set(faults)
        await rig.live(seconds=SETTLE + 10)
        status = await rig.status(lead_id)
        assert status.state is LeadState.HELD
        assert status.reason == f"may exist in Vitec: {why}"
        assert rig.calls("createLead") == 0


@pytest.mark.parametrize("arrived", [True, False])
async def test_it_is_looked_for_at_each_who_shares_the_address(
    tmp_path: Path, sandbox: Running, *, arrived: bool
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        await rig.submit(name="Annika", firstName=None, lastName=None)
        await rig.turn()
        lead_id = await rig.submit(**UNMATCHABLE)
        await _deliver_unrecorded(rig, create=arrived)
        assert len(rig.vitec_contacts) == 3
        await _restore(rig)
        await rig.live(seconds=SETTLE + 10)
        status = await rig.status(lead_id)
        assert rig.copies(lead_id) == arrived
        assert status.state is (LeadState.DELIVERED if arrived else LeadState.HELD)
        assert status.reason == (None if arrived else "may exist in Vitec: 2 contacts share the address")


@pytest.mark.parametrize("kind", ["another", "anonymised"])
async def test_an_old_lead_that_cannot_be_read_holds_nobody(
    tmp_path: Path, sandbox: Running, kind: str
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        await rig.submit()
        await rig.turn()
        # Beside ours one of another origin, of which the store knows nothing.
        old = replace(rig.vitec_leads[-1], id="LEDOLD", utm_tags=(), message="", is_anonymized=True)
        sandbox.app.state.world._leads[old.id] = old
        if kind == "another":
            rig.fault("404", operation="getIncomingLead", match=old.id)
        lead_id = await rig.submit(message="En annan fråga.")
        await _restore(rig)
        await rig.live(seconds=SETTLE + 10)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1


@pytest.mark.parametrize(
    ("faults", "person", "sends"),
    [
        ([], {}, 1),
        ([FaultOrder(name="reads_forbidden")], {}, 1),
        ([FaultOrder(name="reads_forbidden")], UNMATCHABLE, 1),
        ([FaultOrder(name="reads_forbidden"), FaultOrder(name="500_after", times=1)], {}, 2),
    ],
    ids=["unproven", "refused", "unmatchable", "refused, and the answer lost"],
)
async def test_where_looking_proves_nothing_the_form_may_choose_to_send_it(
    tmp_path: Path, sandbox: Running, faults: list[FaultOrder], person: dict[str, Any], sends: int
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE, text=RESEND) as rig:
        lead_id = await rig.submit(**person)
        await _restore(rig)
        sandbox.app.state.board.set(faults)
        await rig.live(seconds=SETTLE - 1)
        assert rig.calls("createLead") == 0
        await rig.live(seconds=10)
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == rig.calls("createLead") == sends
        assert "Möjlig dubblett" in rig.vitec_leads[-1].message


async def test_a_first_look_in_vain_at_a_former_contact_counts_for_no_other(
    tmp_path: Path, sandbox: Running
) -> None:
    async with open_rig(tmp_path, sandbox, settle=SETTLE) as rig:
        await _prove(rig)
        lead_id = await rig.submit()
        copy_risked = update(outbox).where(outbox.c.lead_id == lead_id).values(possible_duplicate=1)
        await rig.store.write(lambda write: write.execute(copy_risked))
        await _restore(rig)
        rig.pass_time(seconds=SETTLE)
        await rig.turn()
        assert (await rig.store.read(partial(row_of, lead_id=lead_id))).reconcile_first == DENIED
        rig.fault("404", operation="listLeadsOfContacts", match=rig.vitec_contacts[-1].id)
        rig.pass_time(seconds=2)
        await rig.turn()
        row = await rig.store.read(partial(row_of, lead_id=lead_id))
        assert (row.resolved_anew, row.reconcile_first) == (1, FORGOTTEN)
