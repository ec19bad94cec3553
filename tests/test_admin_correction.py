"""A held lead corrected by an operator: by hand on its page, and all the way to Vitec."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.intake.correction import correct, list_changes, read_typed
from app.intake.definition import Definition
from app.intake.digests import Digests
from app.lead import Contact, Enquiry, LeadState
from app.store.audit import list_audit
from app.store.history import load_history
from app.store.leads import find_status, load_lead, write_body
from app.store.operator import edit_lead
from app.store.outbox import finish_attempt
from app.store.place import Place
from app.store.schema import attempts, leads, outbox, payloads
from app.store.settling import Hold, Settlement, settle
from app.store.words import Edit
from tests.admins import Admin, open_admin
from tests.deliveries import open_rig
from tests.gateways import SECRET
from tests.sandboxes import Running, run_sandbox
from tests.stores import NOW, begin, must_claim
from tests.test_admin_story import text_of

pytest_plugins = ["tests.store_fixtures"]
pytestmark = pytest.mark.anyio

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
WRONG = Enquiry(
    language="sv",
    contact=Contact(first_name="Anna", last_name="Ek", email="anna@gamla.example"),
    message="Vi vill sälja.",
)
RIGHT = {"firstName": "Anna", "lastName": "Ek", "email": "anna@nya.example", "message": "Vi vill sälja nu."}


@asynccontextmanager
async def open_held(
    place: Place | Path | str, folder: Path, *, outcome: str = "refused", **options: Any
) -> AsyncIterator[tuple[Admin, str]]:
    """A lead whose create ended so, held."""
    async with open_admin(folder, place=place, **options) as admin:
        lead_id = await admin.keep(LeadState.PENDING, body=write_body(WRONG))

        def work(connection: Any) -> None:
            claimed = must_claim(connection)
            number = begin(connection, claimed)
            if outcome != "open":
                finish_attempt(connection, number, outcome=outcome, now=NOW)
            settle(connection, claimed, Settlement(decision=Hold(reason="refused: email")), now=NOW)

        await admin.gateway.store.write(work)
        yield admin, lead_id


async def read_seen(admin: Admin, lead_id: str) -> str:
    page = (await admin.get(f"/admin/leads/{lead_id}/edit")).text
    return page.partition('name="seen" value="')[2].partition('"')[0].replace("&#43;", "+")


async def test_a_correction_is_kept_told_and_sent_again(place: Path | str, tmp_path: Path) -> None:
    async with open_held(place, tmp_path) as (admin, lead_id):
        heard = admin.gateway.hear_acceptance()
        assert f'href="/admin/leads/{lead_id}/edit"' in (await admin.get(f"/admin/leads/{lead_id}")).text
        fields = {**RIGHT, "seen": await read_seen(admin, lead_id)}
        answer = await admin.post(f"/admin/leads/{lead_id}/edit", fields)
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            f"/admin/leads/{lead_id}?done=edited",
        )
        assert heard.is_set()
        store = admin.gateway.store
        lead = await store.read(lambda connection: load_lead(connection, lead_id))
        assert (lead.contact.email, lead.message) == ("anna@nya.example", "Vi vill sälja nu.")
        key = Digests(SECRET).of_email("anna@nya.example")
        kept = await store.read(lambda read: read.execute(select(leads).where(leads.c.id == lead_id)).one())
        row = await store.read(
            lambda read: read.execute(select(outbox).where(outbox.c.lead_id == lead_id)).one()
        )
        assert [(one.email_key, one.phone_key) for one in (kept, row)] == [(key, None)] * 2
        assert (row.state, row.payload_version, row.contact_id) == ("pending", None, None)
        history = await store.read(lambda connection: load_history(connection, lead_id))
        assert [entry["kind"] for entry in history[-2:]] == ["edited", "retried"]
        assert (history[-2]["fields"], history[-2]["actor"]) == (["email", "message"], "web:admin")
        trail = await store.read(lambda connection: list_audit(connection, limit=9))
        assert {entry.action for entry in trail} >= {"edited", "retried"}
        assert "example" not in f"{history} {trail}"
        # Of what was sent before only its customer is kept: the address may have been a stranger's.
        (sent,) = await store.read(lambda read: read.execute(select(payloads)).all())
        assert (json.loads(sent.contact), sent.lead) == ({"customerId": "M1"}, "{}")
        shown = text_of((await admin.get(answer.headers["location"])).text)
        assert "It is corrected and on its way again." in shown
        assert "Corrected admin E-mail, Message" in shown


def read_files(folder: Path, names: str) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob(names))


async def test_a_sealed_lead_stays_sealed(tmp_path: Path) -> None:
    async with open_held(Place(tmp_path / "sealed.db", (KEY,)), tmp_path) as (admin, lead_id):
        await admin.post(f"/admin/leads/{lead_id}/edit", {**RIGHT, "seen": await read_seen(admin, lead_id)})
        lead = await admin.gateway.load(lead_id)
        assert lead.contact.email == "anna@nya.example"
    assert b"nya.example" not in read_files(tmp_path, "sealed.db*")


async def test_errors_are_shown_with_what_was_typed_and_nothing_is_sent(tmp_path: Path) -> None:
    async with open_held(tmp_path / "leads.db", tmp_path) as (admin, lead_id):
        fields = {**RIGHT, "email": "<anna", "seen": await read_seen(admin, lead_id)}
        answer = await admin.post(f"/admin/leads/{lead_id}/edit", fields)
        assert answer.status_code == 422
        assert 'value="&lt;anna"' in answer.text
        assert 'aria-invalid="true" aria-describedby="e-email"' in answer.text
        assert "Vi vill sälja nu." in answer.text
        status = await admin.gateway.store.read(lambda connection: find_status(connection, lead_id))
        assert status is not None
        assert status.state is LeadState.HELD
        assert (await admin.gateway.load(lead_id)).contact == WRONG.contact


@pytest.mark.parametrize("outcome", ["open", "unknown"])
async def test_what_may_be_in_vitec_is_not_corrected(tmp_path: Path, outcome: str) -> None:
    async with open_held(tmp_path / "leads.db", tmp_path, outcome=outcome) as (admin, lead_id):
        assert "/edit" not in (await admin.get(f"/admin/leads/{lead_id}")).text
        path = f"/admin/leads/{lead_id}/edit"
        assert (await admin.get(path)).status_code == 404
        assert (await admin.post(path, {**RIGHT, "seen": NOW.isoformat()})).status_code == 404
        # The page may have been read before: the store has the last word.
        edit = Edit(held_since=NOW, body="{}", email_key=None, phone_key=None, fields=("email",))
        with pytest.raises(Exception, match="may be in Vitec as it is"):
            await admin.gateway.store.write(
                lambda connection: edit_lead(connection, lead_id, edit=edit, now=NOW, actor="eva")
            )
        assert (await admin.gateway.load(lead_id)).contact == WRONG.contact


async def test_a_page_that_is_out_of_date_changes_nothing(tmp_path: Path) -> None:
    async with open_held(tmp_path / "leads.db", tmp_path) as (admin, lead_id):
        path = f"/admin/leads/{lead_id}/edit"
        late = await admin.post(path, {**RIGHT, "seen": "2026-11-24T08:00:00+00:00"})
        assert late.status_code == 409
        assert "stoppats igen: titta på det på nytt" in late.text
        assert (await admin.post(path, {**RIGHT, "seen": "yesterday"})).status_code == 400
        assert (await admin.gateway.load(lead_id)).contact == WRONG.contact


async def test_another_customers_lead_is_none(tmp_path: Path) -> None:
    async with open_held(tmp_path / "leads.db", tmp_path, signed_in="eva") as (admin, lead_id):
        path = f"/admin/leads/{lead_id}/edit"
        assert (await admin.get(path)).status_code == 404
        assert (await admin.post(path, {**RIGHT, "seen": NOW.isoformat()})).status_code == 404


async def test_nothing_changed_is_only_sent_again(tmp_path: Path) -> None:
    async with open_held(tmp_path / "leads.db", tmp_path) as (admin, lead_id):
        same = {**read_typed(WRONG), "seen": await read_seen(admin, lead_id)}
        assert (await admin.post(f"/admin/leads/{lead_id}/edit", same)).status_code == 303
        history = await admin.gateway.store.read(lambda connection: load_history(connection, lead_id))
        assert [entry["kind"] for entry in history if entry.get("actor")] == ["retried"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as sandbox:
        yield sandbox


@pytest.mark.usefixtures("in_either_database")
async def test_vitec_gets_the_corrected_lead_once(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        rig.fault("400", times=1)
        lead_id = await rig.submit()
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.HELD
        lead = await rig.store.read(lambda connection: load_lead(connection, lead_id))
        typed = read_typed(lead) | {"email": "anna.ny@example.com", "message": "Vi vill köpa."}
        mended = correct(lead, typed, Definition(rig.form()), language="sv")
        edit = Edit(
            held_since=rig.now(),
            body=write_body(mended),
            email_key="e",
            phone_key="p",
            fields=list_changes(lead, mended),
        )
        await rig.store.write(
            lambda connection: edit_lead(connection, lead_id, edit=edit, now=rig.now(), actor="eva")
        )
        await rig.turn()
        assert (await rig.status(lead_id)).state is LeadState.DELIVERED
        assert rig.copies(lead_id) == 1
        (sent,) = rig.vitec_leads
        assert "Vi vill köpa." in sent.message
        rows = await rig.store.read(lambda read: read.execute(select(payloads).order_by("version")).all())
        assert ["anna.ny" in row.contact for row in rows] == [False, True]
        assert "anna@example.com" not in rows[0].contact
        assert "Vi vill sälja." not in rows[0].lead
        creates = await rig.store.read(
            lambda read: (
                read.execute(select(attempts.c.payload_version).where(attempts.c.kind == "create"))
                .scalars()
                .all()
            )
        )
        assert list(creates)[-1] == 2
