"""Erasure on request: nothing of the person is left, nothing in flight is touched, and the rest is told."""

import asyncio
import io
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Connection, func, select, update

from app.errors import LeadNotFound, OperatorError
from app.identity import IdentitySource, reference_of, write_reference
from app.intake.digests import Digests
from app.lead import Account, Contact, Enquiry, LeadState, Marketing, UtmTag
from app.store.acceptance import accept_all
from app.store.erasure import InVitec, Remains, erase_lead, find_kin, find_people
from app.store.history import add_event, load_history
from app.store.leads import find_status, write_body
from app.store.operator import confirm_in_vitec, discard_lead
from app.store.outbox import finish_attempt, freeze_payload, hold, keep_contact, mark_delivered
from app.store.place import Place
from app.store.reconciling import ReadPath, keep_canary, load_read_path
from app.store.schema import attempts, idempotency_keys, leads, outbox
from app.store.secret import load_or_make_secret
from app.store.store import Store
from app.store.words import Acceptance, Payload
from tests.conftest import Shell
from tests.deliveries import open_rig
from tests.processes import NOWHERE, start_gateway
from tests.sandboxes import Running, run_sandbox
from tests.stores import ACCOUNT, NOW, PAYLOAD, SECOND, begin, keep, must_claim, new_lead

pytest_plugins = ["tests.store_fixtures"]

SECRET = "Hemlighetsson"
ENQUIRY = Enquiry(
    language="sv",
    contact=Contact(first_name=SECRET, email=f"{SECRET}@example.com", phone="+46701740605"),
    message=f"{SECRET} " * 400,
    marketing=Marketing(
        referrer=f"https://a.example/{SECRET}", utm_tags=(UtmTag(name="gclid", value=SECRET),)
    ),
)
BODY = write_body(ENQUIRY)
HOUR = 3600 * SECOND


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def fill(connection: Connection, **changes: Any) -> str:
    """A lead with its person in every column that can hold one; it is held."""
    lead_id = keep(connection, body=BODY, **changes)
    claimed = must_claim(connection)
    payload = Payload(
        version=0,
        contact_type=PAYLOAD.contact_type,
        contact=json.dumps({"customerId": "M1", "lastName": SECRET * 90}).encode(),
        lead=SECRET * 90,
    )
    freeze_payload(connection, claimed, payload, account=ACCOUNT, notes=(), now=NOW)
    attempt = begin(connection, claimed, "contact")
    finish_attempt(connection, attempt, outcome="done", now=NOW, vitec_id="CON1")
    keep_contact(connection, attempt, "CON1")
    attempt = begin(connection, claimed)
    finish_attempt(connection, attempt, outcome="refused", now=NOW, detail=f"no {SECRET}")
    add_event(connection, lead_id, "held", now=NOW, reason=SECRET)
    hold(connection, claimed, reason=f"no {SECRET}", now=NOW)
    return lead_id


def deliver(connection: Connection, *, number: int = 1, contact: str = "CON1", **changes: Any) -> str:
    lead_id = keep(connection, body=BODY, **changes)
    claimed = must_claim(connection)
    attempt = begin(connection, claimed)
    finish_attempt(connection, attempt, outcome="done", now=NOW, vitec_id=f"LED{number}")
    connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(contact_id=contact))
    mark_delivered(connection, lead_id, vitec_lead_id=f"LED{number}", now=NOW)
    return lead_id


def erase(connection: Connection, lead_id: str, *, now: Any = NOW) -> Remains:
    return erase_lead(connection, lead_id, now=now, actor="eva")


def test_a_delivered_lead_leaves_a_receipt_and_what_to_do_in_vitec(connection: Connection) -> None:
    lead_id = deliver(connection, email_key="anna")
    remains = erase(connection, lead_id, now=NOW + HOUR)
    assert remains.in_vitec == (InVitec(customer_id="M1", contact_ids=("CON1",), vitec_lead_id="LED1"),)
    assert not remains.was_undelivered
    status = find_status(connection, lead_id)
    assert status is not None
    assert (status.state, status.vitec_lead_id, status.purged_at) == (LeadState.DELIVERED, "LED1", NOW + HOUR)
    received, create, erased = load_history(connection, lead_id)
    assert (received["kind"], create["kind"]) == ("received", "attempt_create")
    assert (erased["kind"], erased["actor"]) == ("erased", "eva")


@pytest.mark.parametrize("state", [LeadState.PENDING, LeadState.HELD, LeadState.QUARANTINED])
def test_a_lead_that_had_not_arrived_never_will(connection: Connection, state: LeadState) -> None:
    lead_id = keep(connection, body=BODY)
    reason = None if state is LeadState.PENDING else SECRET
    connection.execute(update(outbox).values(state=state, reason=reason))
    assert erase(connection, lead_id).was_undelivered
    status = find_status(connection, lead_id)
    assert status is not None
    assert (status.state, status.state.public, status.reason) == (LeadState.DISCARDED, "closed", "erased")


def test_a_lead_that_is_being_delivered_is_refused(connection: Connection) -> None:
    lead_id = keep(connection)
    claimed = must_claim(connection)
    with pytest.raises(OperatorError, match="is being delivered at this moment; try again in a minute"):
        erase(connection, lead_id)
    assert erase(connection, lead_id, now=claimed.leased_until).was_undelivered


def test_a_lead_that_may_be_in_vitec_is_refused_until_somebody_has_decided(connection: Connection) -> None:
    lead_id = keep(connection, body=BODY)
    claimed = must_claim(connection)
    attempt = begin(connection, claimed)
    finish_attempt(connection, attempt, outcome="unknown", now=NOW)
    hold(connection, claimed, reason="may exist in Vitec", now=NOW)
    name = write_reference(reference_of(lead_id))
    with pytest.raises(OperatorError, match=f"{name} may exist in Vitec.*leads discard {name} --reason"):
        erase(connection, lead_id)
    discard_lead(connection, lead_id, reason="looked", now=NOW, actor="eva")
    remains = erase(connection, lead_id)
    assert remains.in_vitec == (InVitec(customer_id="M1", may_have_more=True),)
    kinds = [entry["kind"] for entry in load_history(connection, lead_id)]
    assert kinds == ["received", "discarded", "erased", "attempt_create"]


@pytest.mark.parametrize("created", [True, False])
def test_what_the_office_has_seen_in_vitec_is_to_be_looked_for_there(
    connection: Connection, *, created: bool
) -> None:
    lead_id = keep(connection, body=BODY)
    claimed = must_claim(connection)
    if created:
        attempt = begin(connection, claimed)
        finish_attempt(connection, attempt, outcome="unknown", now=NOW)
    hold(connection, claimed, reason="may exist in Vitec", now=NOW)
    confirm_in_vitec(connection, lead_id, now=NOW, actor="office")
    assert erase(connection, lead_id).in_vitec == (InVitec(customer_id="M1", may_have_more=True),)
    assert erase(connection, lead_id).in_vitec == ()


def test_the_command_says_that_somebody_may_be_there(shell: Shell) -> None:
    def job(connection: Connection) -> str:
        lead_id = keep(connection, body=BODY)
        confirm_in_vitec(connection, lead_id, now=NOW, actor="office")
        return lead_id

    outcome = shell("leads", "erase", work(shell.folder, job))
    assert "  by hand in Vitec, customer M1: look for the person, who may be there\n" in outcome.out


def test_no_attempt_s_number_is_given_twice(connection: Connection) -> None:
    """The newest tells how far the store has come, and what a late answer says is recorded by number."""
    deliver(connection)
    lead_id = deliver(connection, number=2)
    newest = connection.execute(select(func.max(attempts.c.id))).scalar_one()
    erase(connection, lead_id)
    assert connection.execute(select(func.max(attempts.c.id))).scalar_one() == newest
    deliver(connection, number=3)
    assert connection.execute(select(func.max(attempts.c.id))).scalar_one() == newest + 1


def test_a_stranger_is_no_lead(connection: Connection) -> None:
    with pytest.raises(LeadNotFound):
        erase(connection, "0" * 36)


def test_an_erased_lead_can_be_erased_again(connection: Connection) -> None:
    lead_id = deliver(connection)
    assert erase(connection, lead_id).in_vitec[0].contact_ids == ("CON1",)
    assert erase(connection, lead_id).in_vitec == (InVitec(customer_id="M1", vitec_lead_id="LED1"),)


def test_an_idempotency_key_outlives_an_erasure(connection: Connection) -> None:
    new = new_lead(idempotency_key="k", body_fingerprint="b", body=BODY)
    identities = IdentitySource()
    (first,) = accept_all(connection, [new], identities)
    assert isinstance(first, Acceptance)
    erase(connection, first.lead_id)
    (again,) = accept_all(connection, [new], identities)
    assert isinstance(again, Acceptance)
    assert (again.lead_id, again.replayed) == (first.lead_id, True)
    assert connection.execute(select(idempotency_keys.c.key)).scalar_one() == "k"


def test_a_person_is_found_by_e_mail_or_phone_and_then_no_more(connection: Connection) -> None:
    by_both = keep(connection, email_key="anna", phone_key="070")
    by_phone = keep(connection, email_key="other", phone_key="070")
    keep(connection, email_key="else", phone_key="071")
    assert find_people(connection, email_key="anna") == [by_both]
    assert find_people(connection, phone_key="070") == [by_both, by_phone]
    assert find_people(connection, email_key="nobody") == []
    assert find_kin(connection, [by_both]) == [reference_of(by_phone)]
    assert find_kin(connection, [by_both, by_phone]) == []
    erase(connection, by_both)
    assert find_people(connection, email_key="anna") == []
    assert find_people(connection, phone_key="070") == [by_phone]


ELSEWHERE = Payload(
    version=0, contact_type=PAYLOAD.contact_type, contact=b'{"customerId":"M2"}', lead=PAYLOAD.lead
)


def send_elsewhere(connection: Connection, lead_id: str, *, outcome: str = "done") -> None:
    """Its contact was made for one customer, or may have been, and the lead is for another now."""
    claimed = must_claim(connection)
    attempt = begin(connection, claimed, "contact")
    finish_attempt(
        connection, attempt, outcome=outcome, now=NOW, vitec_id="CON1" if outcome == "done" else None
    )
    freeze_payload(
        connection,
        claimed,
        ELSEWHERE,
        account=Account(login="other", customer_id="M2"),
        notes=(),
        now=NOW,
    )
    attempt = begin(connection, claimed, "contact")
    finish_attempt(connection, attempt, outcome="done", now=NOW, vitec_id="CON2")
    keep_contact(connection, attempt, "CON2")
    mark_delivered(connection, lead_id, vitec_lead_id="LED2", now=NOW)


def test_every_contact_is_named_with_the_customer_who_has_it(connection: Connection) -> None:
    lead_id = keep(connection, body=BODY)
    send_elsewhere(connection, lead_id)
    assert erase(connection, lead_id).in_vitec == (
        InVitec(customer_id="M1", contact_ids=("CON1",)),
        InVitec(customer_id="M2", contact_ids=("CON2",), vitec_lead_id="LED2"),
    )


def test_what_another_customer_may_have_is_named_though_the_lead_arrived(connection: Connection) -> None:
    lead_id = keep(connection, body=BODY)
    send_elsewhere(connection, lead_id, outcome="unknown")
    first, _ = erase(connection, lead_id).in_vitec
    assert first == InVitec(customer_id="M1", may_have_more=True)


def test_the_command_names_every_customer(shell: Shell) -> None:
    def job(connection: Connection) -> str:
        lead_id = keep(connection, body=BODY)
        send_elsewhere(connection, lead_id)
        return lead_id

    outcome = shell("leads", "erase", work(shell.folder, job))
    assert "  by hand in Vitec, customer M1: erase contact CON1\n" in outcome.out
    assert "  by hand in Vitec, customer M2: erase contact CON2, lead LED2\n" in outcome.out


@pytest.mark.anyio
async def test_a_payload_whose_key_is_lost_keeps_nobody_from_erasing(place: Path | str) -> None:
    lost, new = (Place(place, (Fernet.generate_key().decode(),)) for _ in range(2))
    store = Store(lost, reserve=0)
    store.open()
    lead_id = await store.write(deliver)
    store.close()
    store = Store(new, reserve=0)
    store.open()
    try:
        remains = await store.write(partial(erase, lead_id=lead_id))
    finally:
        store.close()
    assert remains.in_vitec == (InVitec(customer_id="M1", contact_ids=("CON1",), vitec_lead_id="LED1"),)


def put_canary(connection: Connection, lead_id: str) -> None:
    path = ReadPath(
        contact_id="CON1",
        vitec_lead_id="LED1",
        lead_id=lead_id,
        reference=reference_of(lead_id),
        proven_at=NOW,
        checked_at=NOW,
    )
    keep_canary(connection, "https://vitec.test", "default", "M1", path=path)


def load_canary(connection: Connection) -> ReadPath | None:
    return load_read_path(connection, "https://vitec.test", "default", "M1")


def test_the_canary_moves_to_another_person_s_lead(connection: Connection) -> None:
    lead_id = deliver(connection)
    put_canary(connection, lead_id)
    other = deliver(connection, number=2, contact="CON2")
    deliver(connection, number=3)  # the same person's
    erase(connection, lead_id)
    found = load_canary(connection)
    assert found is not None
    assert (found.lead_id, found.reference) == (other, reference_of(other))
    assert (found.contact_id, found.vitec_lead_id, found.proven_at) == ("CON2", "LED2", None)


def test_a_canary_without_another_is_forgotten(connection: Connection) -> None:
    lead_id = deliver(connection)
    put_canary(connection, lead_id)
    erase(connection, lead_id)
    assert load_canary(connection) is None


@pytest.mark.anyio
async def test_the_read_path_is_proven_anew_by_the_next_lead(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        first = await rig.submit()
        assert await rig.turn()
        await rig.store.write(partial(erase_lead, lead_id=first, now=rig.now(), actor="eva"))
        second = await rig.submit(email="b@example.com", phone="070-174 06 06")
        assert await rig.turn()
        url, customer = rig.sandbox.url, rig.form().destination.customer_id
        path = await rig.store.read(
            partial(load_read_path, base_url=url, login="default", customer_id=customer)
        )
        assert path is not None
        assert (path.lead_id, path.proven_at) == (second, rig.now())


@pytest.mark.anyio
async def test_a_worker_that_comes_too_late_changes_nothing(tmp_path: Path, sandbox: Running) -> None:
    async with open_rig(tmp_path, sandbox) as rig:
        lead_id = await rig.submit()
        claim = await rig.claim()
        assert claim is not None
        rig.pass_time(hours=1)  # its lease has run out
        await rig.store.write(partial(erase_lead, lead_id=lead_id, now=rig.now(), actor="eva"))
        await rig.courier.deliver(claim)
        assert rig.copies(lead_id) == 0
        assert (await rig.status(lead_id)).state is LeadState.DISCARDED


# --- commands ---------------------------------------------------------------------------------------


def work(folder: Path, job: Callable[[Connection], Any]) -> Any:
    """Writes into the folder's store, and leaves it."""
    store = Store(folder / "data" / "leadgate.db", reserve=0)
    store.open()
    try:
        return asyncio.run(store.write(job))
    finally:
        store.close()


def digests_of(folder: Path) -> Digests:
    return Digests(load_or_make_secret(folder / "data" / "leadgate.db"))


def grep(folder: Path) -> list[str]:
    """The files beside the store in which the person can be found."""
    files = [one for one in (folder / "data").iterdir() if one.is_file()]
    return [one.name for one in files if SECRET.encode() in one.read_bytes()]


def fill_in_disorder(connection: Connection, *, digests: Digests) -> list[str]:
    """Rows that are written, moved and overwritten, so that pages keep copies of what went elsewhere."""
    phone_key = digests.of_phone("+46701740605")
    ids = [fill(connection, email_key=digests.of_email(f"{SECRET}@example.com"), phone_key=phone_key)]
    bo = write_body(Enquiry(language="sv", contact=Contact(first_name="Bo"), message="x" * 900))
    for _ in range(60):
        keep(connection, body=bo, state=LeadState.QUARANTINED, reason="honeypot")
        ids.append(fill(connection, phone_key=phone_key))
    return ids


@pytest.mark.parametrize("name", ["070-174 06 05", "0701740605", "+46701740605"])
def test_after_an_erasure_no_byte_of_the_person_is_on_the_disk(shell: Shell, name: str) -> None:
    digests = digests_of(shell.folder)
    ids = work(shell.folder, partial(fill_in_disorder, digests=digests))
    assert grep(shell.folder) == ["leadgate.db"]
    outcome = shell("leads", "erase", name)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.count(" is erased; it had not been delivered and will not be\n") == len(ids)
    assert outcome.out.count("by hand in Vitec, customer M1: erase contact CON1\n") == len(ids)
    assert "by hand: backups of the store, and mail about" in outcome.out
    assert SECRET not in outcome.out
    assert grep(shell.folder) == []


def test_beside_a_running_server_the_log_is_emptied_too(shell: Shell) -> None:
    with start_gateway(shell.folder, NOWHERE, "--no-delivery") as service:
        lead = service.post(lastName=SECRET, email=f"{SECRET}@example.com").json()
        service.post(email="bo@example.com", firstName="Bo")
        assert "leadgate.db-wal" in grep(shell.folder)
        outcome = shell("leads", "erase", f"{SECRET.upper()}@Example.com")
        assert (outcome.code, outcome.err) == (0, "")
        assert grep(shell.folder) == []
        assert not any(SECRET in line for line in service.log)
        assert (shell.folder / "data" / "leadgate.db-wal").exists()
        states = {row["id"]: row["status"] for row in json.loads(shell("leads", "list", "--json").out)}
        assert states.pop(lead["id"]) == "discarded"
        assert list(states.values()) == ["pending"]


def test_what_is_in_flight_keeps_no_other_lead_from_it(shell: Shell) -> None:
    key = digests_of(shell.folder).of_email("anna@example.com")

    def job(connection: Connection) -> tuple[str, str]:
        free = fill(connection, email_key=key)
        stuck = keep(connection, email_key=key)
        claimed = must_claim(connection)
        attempt = begin(connection, claimed)
        finish_attempt(connection, attempt, outcome="unknown", now=NOW)
        hold(connection, claimed, reason="may exist in Vitec", now=NOW)
        return free, stuck

    free, stuck = (write_reference(reference_of(one)) for one in work(shell.folder, job))
    outcome = shell("leads", "erase", "anna@example.com")
    assert outcome.code == 1
    assert f"{free} is erased" in outcome.out
    assert f"perhaps the same person's, by e-mail or phone: {stuck}" not in outcome.out
    assert outcome.err.startswith(f"{stuck} may exist in Vitec, and is looked for there")


def test_leads_that_share_a_number_are_named(shell: Shell) -> None:
    digests = digests_of(shell.folder)
    key, phone = digests.of_email("anna@example.com"), digests.of_phone("+46701740605")
    work(shell.folder, lambda connection: fill(connection, email_key=key, phone_key=phone))
    other = work(shell.folder, lambda connection: keep(connection, phone_key=phone))
    outcome = shell("leads", "erase", "anna@example.com")
    assert (
        f"perhaps the same person's, by e-mail or phone: {write_reference(reference_of(other))}"
        in outcome.out
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nobody@example.com", "there is no lead with that e-mail address"),
        ("an@address", "that is no e-mail address"),
        ("0701740699", "there is no lead with that phone number"),
        ("K7Q2-9XMF-3H", "there is no lead K7Q2-9XMF-3H"),
    ],
)
def test_who_is_unknown_is_said(shell: Shell, name: str, says: str) -> None:
    work(shell.folder, lambda _: None)
    outcome = shell("leads", "erase", name)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", says + "\n")


def test_a_lead_is_erased_by_its_reference(shell: Shell) -> None:
    lead_id = work(shell.folder, fill)
    other = work(shell.folder, fill)
    name = write_reference(reference_of(lead_id))
    assert shell("leads", "erase", name).out.startswith(f"{name} is erased")
    gone = work(
        shell.folder,
        lambda connection: connection.execute(select(leads.c.id).where(leads.c.body == "")).scalars().all(),
    )
    assert gone == [lead_id]
    assert other != lead_id


@pytest.mark.anyio
async def test_a_store_of_several_machines_tells_what_its_database_does(database: str, shell: Shell) -> None:
    store = Store(database)
    store.open()
    lead_id = await store.write(fill)
    store.close()
    shell.set(LEADGATE_DATABASE_URL=database, LEADGATE_SECRET_KEY="0" * 32)
    outcome = await asyncio.to_thread(shell, "leads", "erase", lead_id)
    assert outcome.code == 0
    assert "by hand in PostgreSQL: its next VACUUM" in outcome.out


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_at_a_terminal_it_is_asked_first(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_id = work(shell.folder, fill)
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    outcome = shell("leads", "erase", lead_id)
    assert outcome.code == 1
    assert "Erase 1 lead for good?" in outcome.out
    assert grep(shell.folder)
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert shell("leads", "erase", lead_id, "--yes").code == 0
    assert not grep(shell.folder)
