"""One lead's page: its whole way, what a person may do about it, and the trail that this leaves."""

import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from app.errors import OperatorError
from app.i18n import get_translations
from app.identity import reference_of, write_reference
from app.intake.digests import Digests
from app.intake.spam import WEIGHTS
from app.lead import Contact, Enquiry, LeadState, Marketing, Note, Notice, UtmTag
from app.store import operator
from app.store.gates import close_gate, list_gates
from app.store.history import add_event, load_history
from app.store.leads import find_status, write_body
from app.store.notices import NewNotice, add_notice, claim_notices, postpone
from app.store.outbox import finish_attempt
from app.store.place import Place
from app.store.schema import circuits, outbox
from app.store.settling import AttemptEnd, ContactFound, Delivered, Settlement, settle
from app.store.words import Suspicion
from app.web.admin.timeline import tell_story
from app.web.admin.wording import Wording
from tests.admins import OWN, Admin, names_in, open_admin
from tests.gateways import HOST, NOBODY, SECRET
from tests.stores import GATE, NOW, SECOND, begin, keep, must_claim, row_of

pytestmark = pytest.mark.anyio

STORY = Enquiry(
    language="sv",
    contact=Contact(first_name="Anna", last_name="Ek", email="anna@example.com", phone="+46701740605"),
    message="Vi vill sälja.",
    notice=Notice(version="v7", text="Så här gör vi.", language="sv", shown_at=NOW - timedelta(minutes=2)),
    marketing=Marketing(referrer="https://a.example/", utm_tags=(UtmTag(name="utm_source", value="google"),)),
    page_url="https://www.byran.se/salja",
    receiver="solviken",
    receiver_reason="route 1: the postcode is within 13000-13999",
    notes=(Note(code="personnummer_masked"),),
)


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


async def deliver(admin: Admin, lead_id: str) -> None:
    """As a worker does: contact, create, delivered."""

    def work(connection: Connection) -> None:
        claimed = must_claim(connection)
        contact = begin(connection, claimed, "contact")
        end = AttemptEnd(attempt_id=contact, outcome="done", status=200, vitec_id="ADR1")
        settle(
            connection, claimed, Settlement(decision=ContactFound(contact_id="ADR1"), attempt=end), now=NOW
        )
        create = begin(connection, claimed, "create", now=NOW + SECOND)
        end = AttemptEnd(attempt_id=create, outcome="done", status=200, vitec_id="LED9")
        settle(
            connection,
            claimed,
            Settlement(decision=Delivered(vitec_lead_id="LED9"), attempt=end),
            now=NOW + 2 * SECOND,
        )

    await admin.gateway.store.write(work)


async def test_a_lead_is_told_from_page_view_to_vitecs_id(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.PENDING, body=write_body(STORY))
        await deliver(admin, lead_id)
        text = text_of((await admin.get(f"/admin/leads/{lead_id}")).text)
        told = [
            "The form was shown",
            "https://www.byran.se/salja",
            "Received and kept on disk",
            "Receiver: route 1: the postcode is within 13000-13999",
            "A personal identity number was masked",
            "What will be sent was fixed",
            "Asked Vitec for the contact",
            "Vitec answered 200",
            "Id in Vitec: ADR1",
            "Sent the lead to Vitec",
            "Id in Vitec: LED9",
        ]
        places = [text.find(one) for one in told]
        assert -1 not in places
        assert places == sorted(places)
        for part in (
            "Anna Ek",
            "+46701740605",
            "Vi vill sälja.",
            "utm_source google",
            "Så här gör vi.",
            "v7",
            "Delivered",
        ):
            assert part in text


async def act(admin: Admin, lead_id: str, action: str, **fields: str) -> tuple[int, str]:
    answer = await admin.post(f"/admin/leads/{lead_id}/{action}", fields)
    return answer.status_code, answer.headers.get("location", "")


@pytest.mark.parametrize(
    ("action", "before", "after", "done"),
    [
        ("retry", LeadState.HELD, LeadState.PENDING, "retried"),
        ("release", LeadState.QUARANTINED, LeadState.PENDING, "released"),
        ("confirm", LeadState.HELD, LeadState.DISCARDED, "confirmed"),
        ("discard", LeadState.HELD, LeadState.DISCARDED, "discarded"),
    ],
)
async def test_what_a_person_decides_is_done_and_told(
    tmp_path: Path, action: str, before: LeadState, after: LeadState, done: str
) -> None:
    async with open_admin(tmp_path) as admin:
        heard = admin.gateway.hear_acceptance()
        lead_id = await admin.keep(before)
        status, location = await act(admin, lead_id, action, reason="sold already")
        assert (status, location) == (303, f"/admin/leads/{lead_id}?done={done}")
        assert heard.is_set()  # the worker need not wait for its poll
        found = await admin.gateway.store.read(lambda connection: find_status(connection, lead_id))
        assert found is not None
        assert found.state is after
        history = await admin.gateway.store.read(lambda connection: load_history(connection, lead_id))
        kind = "discarded" if action == "confirm" else done
        assert (history[-1]["kind"], history[-1]["actor"]) == (kind, "web:admin")
        assert 'role="status"' in (await admin.get(location)).text
        trail = text_of((await admin.get("/admin/audit")).text)
        assert re.search(r"admin (retried|released|discarded) a lead", trail)
        assert "sold already" not in trail  # what people write may name somebody, and the trail is for ever


@pytest.mark.parametrize(
    ("action", "state", "told"),
    [
        ("retry", LeadState.DELIVERED, "Levererat"),
        ("release", LeadState.HELD, "Stoppat"),
        ("discard", LeadState.DISCARDED, "Kastat"),
    ],
)
async def test_what_cannot_be_done_is_told_and_not_done(
    tmp_path: Path, action: str, state: LeadState, told: str
) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(state)
        swedish = OWN | {"Accept-Language": "sv"}
        answer = await admin.post(f"/admin/leads/{lead_id}/{action}", {"reason": "x"}, headers=swedish)
        assert answer.status_code == 409
        reference = write_reference(reference_of(lead_id))
        assert f"{reference} är i ett annat läge nu: {told}. Inget har gjorts." in text_of(answer.text)
        history = await admin.gateway.store.read(lambda connection: load_history(connection, lead_id))
        assert [entry["kind"] for entry in history] == ["received"]


def test_whatever_the_store_refuses_a_page_can_tell_in_its_language() -> None:
    words, root = Wording(get_translations("sv")), Path(operator.__file__).parent
    refusals = "".join((root / f"{name}.py").read_text("utf-8") for name in ("operator", "erasure"))
    codes = re.findall(r'code="(\w+)"', refusals)
    assert len(codes) == refusals.count("raise OperatorError(")
    for code in codes:
        refused = OperatorError("in English", code=code, state="held", form="kontakt")
        told = words.problem(refused, "0199f3a0-0000-7000-8000-000000000000")
        assert told != words.problem(OperatorError("in English"), "") == "in English"
        assert "{" not in told


async def test_nothing_is_discarded_without_a_reason(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD)
        assert (await act(admin, lead_id, "discard", reason="  "))[0] == 409
        assert (await act(admin, lead_id, "discard"))[0] == 409


async def test_a_form_in_test_mode_releases_nothing(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.QUARANTINED, form="prov")
        assert (await act(admin, lead_id, "release"))[0] == 409
        page = (await admin.get(f"/admin/leads/{lead_id}")).text
        assert "The form is in test mode" in page
        assert f"/admin/leads/{lead_id}/release" not in page


@pytest.mark.parametrize(("action", "state"), [("retry", LeadState.HELD), ("release", LeadState.QUARANTINED)])
async def test_a_lead_that_is_sent_after_all_goes_where_its_form_says_by_now(
    tmp_path: Path, action: str, state: LeadState
) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(state, customer_id="M99999")
        await act(admin, lead_id, action)
        row = await admin.gateway.store.read(lambda connection: row_of(connection, lead_id))
        assert (row.state, row.customer_id) == (LeadState.PENDING, "M1")


@pytest.mark.parametrize("action", ["retry", "release", "discard"])
async def test_nobody_decides_on_another_customers_lead(tmp_path: Path, action: str) -> None:
    async with open_admin(tmp_path, signed_in="eva") as admin:
        lead_id = await admin.keep(LeadState.HELD)
        foreign = await admin.post(f"/admin/leads/{lead_id}/{action}", reason="x")
        nothing = await admin.post(f"/admin/leads/{NOBODY}/{action}", reason="x")
        assert foreign.status_code == nothing.status_code == 404
        assert foreign.text == nothing.text
        found = await admin.gateway.store.read(lambda connection: find_status(connection, lead_id))
        assert found is not None
        assert found.state is LeadState.HELD


async def test_erasing_leaves_a_receipt_and_a_line_in_the_trail(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.DELIVERED)
        assert (await act(admin, lead_id, "erase"))[0] == 200
        page = (await admin.get(f"/admin/leads/{lead_id}")).text
        assert "LED1" in page
        assert "Bergström" not in page + (await admin.get("/admin")).text
        assert f"/admin/leads/{lead_id}/erase" not in page
        assert "erased personal data" in (await admin.get("/admin/audit")).text


async def test_erasing_tells_what_is_left_to_do_by_hand(tmp_path: Path) -> None:
    """The receipt does not know the contact any more: this is the only moment to tell."""
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep()
        await deliver(admin, lead_id)
        answer = await admin.post(f"/admin/leads/{lead_id}/erase", headers=OWN | {"Accept-Language": "en"})
        told = text_of(answer.text)
        assert "what Vitec has must be erased there" in told
        assert "In Vitec, customer M1: erase contact ADR1" in told
        assert "In Vitec, customer M1: erase lead LED9" in told
        assert "Backups of the store" in told
        assert "ADR1" not in (await admin.get(f"/admin/leads/{lead_id}")).text


async def test_erasing_what_the_office_has_seen_in_vitec_sends_somebody_there(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD)
        await act(admin, lead_id, "confirm")
        answer = await admin.post(f"/admin/leads/{lead_id}/erase", headers=OWN | {"Accept-Language": "en"})
        assert "In Vitec, customer M1: look for the person, who may be there" in text_of(answer.text)


async def test_what_is_erased_is_gone_from_the_disk_at_once(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.DELIVERED, name="Hemlighetsson")
        assert any(b"Hemlighetsson" in file.read_bytes() for file in list_files(tmp_path))
        await act(admin, lead_id, "erase")
        assert [file.name for file in list_files(tmp_path) if b"Hemlighetsson" in file.read_bytes()] == []


def list_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_where_a_form_s_leads_go_by_now_is_not_shown_to_those_of_another_customer(
    tmp_path: Path,
) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(customer_id="M2")  # the form has gone over to M1 since
        assert "HAN1" in (await admin.get(f"/admin/leads/{lead_id}")).text
        await admin.post("/admin/logout")
        await admin.sign_in("eva")
        page = (await admin.get(f"/admin/leads/{lead_id}")).text
        assert "Bergström" in page
        assert "HAN1" not in page


async def test_nobody_erases_what_they_do_not_see_or_what_is_being_delivered(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in="eva") as admin:
        foreign, own = await admin.keep(), await admin.keep(customer_id="M2")
        assert (await act(admin, foreign, "erase"))[0] == 404
        under_way = update(outbox).values(leased_until=datetime(2999, 1, 1, tzinfo=UTC))
        await admin.gateway.store.write(lambda write: write.execute(under_way))
        assert (await act(admin, own, "erase"))[0] == 409
        assert "Bergström" in (await admin.get(f"/admin/leads/{own}")).text


async def test_an_action_that_there_is_not_is_not_found(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD)
        assert (await act(admin, lead_id, "deliver"))[0] == 404
        assert (await admin.client.get(f"/admin/leads/{lead_id}/retry")).status_code == 405


async def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD)
        admin.gateway.stop_writing()
        answer = await admin.post(f"/admin/leads/{lead_id}/retry")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]


async def test_the_trail_shows_each_user_what_concerns_their_customers(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        foreign, own = await admin.keep(LeadState.HELD), await admin.keep(LeadState.HELD, customer_id="M2")
        for lead_id in (foreign, own):
            await act(admin, lead_id, "retry")
        everything = (await admin.get("/admin/audit")).text
        assert foreign in everything
        assert own in everything
        await admin.post("/admin/logout")
        await admin.sign_in("eva")
        seen = (await admin.get("/admin/audit")).text
        assert foreign not in seen
        assert own in seen
        assert "eva" in text_of(seen)


async def test_a_long_trail_has_pages(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD)
        for _ in range(110):
            await act(admin, lead_id, "retry")
        first = (await admin.get("/admin/audit")).text
        onward = re.search(r'href="(\?before=\d+)" rel="next"', first)
        assert onward
        second = (await admin.get(f"/admin/audit{onward[1]}")).text
        assert first.count("retried a lead") + second.count("retried a lead") == 110
        assert "signed in" in second
        assert 'rel="next"' not in second
        for before in ("x", "-1", "9" * 30, ""):
            assert (await admin.get(f"/admin/audit?before={before}")).status_code == 200


async def close(admin: Admin, customer_id: str) -> None:
    def job(connection: Connection) -> None:
        keep(connection, customer_id=customer_id)
        claimed = must_claim(connection)
        key = replace(GATE, customer_id=customer_id)
        close_gate(
            connection, key, claimed, status=401, probe_at=NOW + timedelta(days=1), credential="c", now=NOW
        )

    await admin.gateway.store.write(job)


async def test_closed_gates_are_shown_and_tried_at_once(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        await close(admin, "M1")
        await close(admin, "M2")
        text = text_of((await admin.get("/admin/gates")).text)
        for part in ("M1: new leads", "M2: new leads", "Vitec answered 401", "Check user name and password"):
            assert part in text
        await admin.post("/admin/logout")
        await admin.sign_in("eva")
        text = text_of((await admin.get("/admin/gates")).text)
        assert "M2: new leads" in text
        assert "M1" not in text
        answer = await admin.post("/admin/gates/probe")
        assert answer.status_code == 303
        gates = await admin.gateway.store.read(list_gates)
        due = {gate.key.customer_id: gate.probe_at <= admin.gateway.store.now() for gate in gates}
        assert due == {"M2": True, "M1": NOW + timedelta(days=1) <= admin.gateway.store.now()}
        assert "had closed gates tried M2" in text_of((await admin.get("/admin/audit")).text)


async def test_an_open_circuit_is_shown_and_tried_at_once(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in="eva") as admin:
        later = admin.gateway.store.now() + timedelta(minutes=5)

        def insert(connection: Connection) -> None:
            for base_url in ("https://vitec.test", "https://other.test"):
                values = {"base_url": base_url, "state": "open", "allowance": 0, "openings": 1}
                connection.execute(circuits.insert().values(**values, until=later, changed_at=NOW))

        await admin.gateway.store.write(insert)
        text = text_of((await admin.get("/admin/gates")).text)
        assert "https://vitec.test Open: nobody calls" in text
        assert "other.test" not in text  # none of her customers' leads goes there
        for base_url in ("https://vitec.test", "https://other.test", "nonsense"):
            assert (await admin.post("/admin/circuits/probe", destination=base_url)).status_code == 303
        rows = await admin.gateway.store.read(
            lambda connection: connection.execute(circuits.select().order_by(circuits.c.base_url)).all()
        )
        assert [row.until <= admin.gateway.store.now() for row in rows] == [False, True]


async def test_forms_are_shown_with_their_snippet_and_preview(tmp_path: Path) -> None:
    async with open_admin(tmp_path, public_url="http://leads.byran.se") as admin:
        assert "test: nothing is sent to Vitec" in (await admin.get("/admin/forms")).text
        page = (await admin.get("/admin/forms/kontakt")).text
        snippet = html.unescape(re.sub(r"</?code>", "", page[page.index("<pre") : page.index("</pre>")]))
        assert '<div data-leadgate-form="kontakt" data-leadgate-lang="sv"></div>' in snippet
        assert '<script async src="http://leads.byran.se/embed/v1.js"></script>' in snippet
        assert '<noscript><a href="http://leads.byran.se/f/kontakt">' in snippet
        assert '<iframe class="preview" src="/f/kontakt?lang=en"' in page
        assert "sandbox " in page
        assert (await admin.get("/admin/forms/okand")).status_code == 404


async def test_a_user_sees_the_forms_of_their_customers_alone(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in="eva") as admin:
        page = (await admin.get("/admin/forms")).text
        assert "/admin/forms/solviken" in page
        assert "/admin/forms/kontakt" not in page
        assert (await admin.get("/admin/forms/kontakt")).status_code == 404
        own = text_of((await admin.get("/admin/forms/solviken")).text)
        assert "M2" in own
        assert "M1" not in own


async def test_what_a_newer_version_wrote_is_shown_as_it_is(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD)
        await admin.gateway.store.write(
            lambda connection: add_event(
                connection, lead_id, "mail_sent", now=NOW, actor="web:eva", to="office"
            )
        )
        text = text_of((await admin.get(f"/admin/leads/{lead_id}")).text)
        assert "Mail sent eva" in text
        assert "to: office" in text


async def test_why_it_looked_like_spam_is_told(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        suspicion = Suspicion(1.35, (*WEIGHTS, "phrase:viagra", "newer"))
        lead_id = await admin.keep(LeadState.QUARANTINED, suspicion=suspicion)
        text = text_of((await admin.get(f"/admin/leads/{lead_id}")).text)
        for part in (
            "looked like spam",
            "Score: 1.35",
            "A field that nobody sees was filled in",
            "(viagra)",
            "newer",
        ):
            assert part in text
        history = await admin.gateway.store.read(lambda connection: load_history(connection, lead_id))
        for language in ("sv", "en"):
            steps = tell_story(None, history, get_translations(language).gettext)
            assert not set(WEIGHTS) & set(steps[-1].lines)


async def test_what_is_encrypted_is_found_by_its_exact_address_alone(tmp_path: Path) -> None:
    place = Place(tmp_path / "sealed.db", ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",))
    async with open_admin(tmp_path, place=place) as admin:
        lead_id = await admin.keep(email_key=Digests(SECRET).of_email("anna@example.com"))
        page = (await admin.get("/admin")).text
        assert names_in(page) == ["Anna Bergström"]
        assert "what is kept is encrypted" in page
        assert names_in((await admin.post("/admin/search", q="Anna")).text) == []
        answer = await admin.post("/admin/search", q="anna@example.com")
        assert names_in((await admin.get(answer.headers["location"])).text) == ["Anna Bergström"]
        assert (await admin.get(f"/admin/leads/{lead_id}")).status_code == 200


@pytest.mark.parametrize(
    "outcome", ["open", "done", "not_sent", "not_taken", "refused", "gate", "unknown", "not_created"]
)
async def test_every_outcome_has_its_sentence(tmp_path: Path, outcome: str) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep()

        def work(connection: Connection) -> None:
            attempt = begin(connection, must_claim(connection), "create")
            if outcome != "open":
                finish_attempt(connection, attempt, outcome=outcome, now=NOW + SECOND, detail="words")

        await admin.gateway.store.write(work)
        history = await admin.gateway.store.read(lambda connection: load_history(connection, lead_id))
        lead = await admin.gateway.load(lead_id)
        for language in ("sv", "en"):
            step = tell_story(lead, history, get_translations(language).gettext)[-1]
            assert step.lines[0] != outcome
            assert step.words == (None if outcome == "open" else "words")


HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/admin/login", {"name": "admin", "password": "wrong password"}),
        ("/admin/search", {"q": "Anna"}),
        ("/admin/leads/LEAD/release", {}),
    ],
)
async def test_answers_to_a_post_have_the_same_headers(
    tmp_path: Path, path: str, fields: dict[str, str]
) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD)
        answer = await admin.post(path.replace("LEAD", lead_id), fields)
        assert HEADERS.items() <= answer.headers.items()
        assert answer.headers.get("access-control-allow-origin") is None
        assert str(answer.url).startswith(f"http://{HOST}/admin")


async def test_what_waits_to_be_told_is_listed_to_whom_it_concerns(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        assert "Everything has been told." in (await admin.get("/admin/messages")).text
        theirs = await admin.keep(LeadState.HELD)
        own = await admin.keep(LeadState.HELD, customer_id="M2")

        def fail(connection: Connection) -> None:
            for lead_id in (theirs, own):
                new = NewNotice(key=lead_id, kind="held", lead_id=lead_id, since=NOW, unsettled=True)
                add_notice(connection, new, now=NOW)
            add_notice(connection, NewNotice(key="gate", kind="gate_closed"), now=NOW)
            for notice in claim_notices(connection, now=NOW, leased_until=NOW + SECOND):
                postpone(connection, notice, due_at=NOW + SECOND, failure="ConnectionRefusedError")

        await admin.gateway.store.write(fail)
        page = text_of((await admin.get("/admin/messages")).text)
        assert page.count("ConnectionRefusedError") == 3
        assert "gate_closed" in page
        await admin.post("/admin/logout")
        await admin.sign_in("eva")
        page = (await admin.get("/admin/messages")).text
        assert page.count("ConnectionRefusedError") == 1
        assert f"/admin/leads/{own}" in page
