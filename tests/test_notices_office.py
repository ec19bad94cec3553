"""The office's mail: a lead whole when it is held or late, and that it is in Vitec now. Each sent once."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select, update

from app.delivery.contacts import UNMATCHABLE
from app.delivery.parcel import MAY_EXIST
from app.lead import LeadState
from app.sandbox.config import AGENT
from app.store.operator import discard_lead, retry_lead
from app.store.schema import leads, notices, outbox
from app.store.store import Store
from tests.deliveries import placing_stores
from tests.mailboxes import Mailbox, links_in, open_mailbox, text_of
from tests.sandboxes import Running, run_sandbox
from tests.tellings import FORMS, KEYS, OFFICE, OPERATOR, PUBLIC, REFUSED, Teller, open_teller

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_either_database")]
pytest_plugins = ["tests.store_fixtures"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox() as mailbox:
        yield mailbox


async def retry(teller: Teller, lead_id: str) -> None:
    now = teller.rig.now()
    await teller.rig.store.write(lambda write: retry_lead(write, lead_id, now=now, actor="prov"))


async def test_a_held_lead_comes_whole_at_once(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        lead_id = await teller.hold(
            streetAddress="Storgatan 1", zipCode="16955", city="Solna", utm_campaign="höst"
        )
        await teller.tell(thorough=False)
        [mail] = mailbox.to(OFFICE)
        assert mail["Reply-To"] == "Anna Bergström <anna@example.com>"
        assert mail["From"] == "Leadgate <leads@byran.example>"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert str(mail["Subject"]).startswith("En förfrågan som Vitec inte har tagit emot (")
        text = text_of(mail)
        for told in (
            "Vitec sa nej: ",
            "Namn: Anna Bergström",
            "Telefon: +46 70 174 06 05",
            "E-post: anna@example.com",
            "Adress: Storgatan 1, 169 55 Solna",
            "> Vi vill sälja.",
            "utm_campaign=höst",
            "Sida: https://agency.example/salja",
            "Inkom: 1 september 2026 10:00",
        ):
            assert told in text, told
        html = text_of(mail, "html")
        assert "Anna Bergström" in html
        assert html.count(f'href="{PUBLIC}/settle/') == 2
        [told_of] = [one for one in await teller.rig.history(lead_id) if one["kind"] == "told"]
        assert told_of == {"at": teller.rig.now(), "kind": "told", "what": "held", "to": "office"}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "not in Vitec after 5 creates of unknown outcome",
            "Någon behöver titta på den: finns inte i Vitec efter 5 försök med okänt utfall.",
        ),
        (
            "refused by Vitec (400): ",
            "Någon behöver titta på den: avvisad av Vitec (400), som inte säger varför.",
        ),
        ("refused by Vitec (400): Fel: id", "Vitec sa nej: Fel: id"),
        (f"{MAY_EXIST}: reading it back is refused", "Titta i Vitec först av allt."),
        (f"{UNMATCHABLE}: 3 contacts share the address", "Titta i Vitec först av allt."),
    ],
)
async def test_the_office_reads_in_its_language_why_a_lead_is_held(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, reason: str, told: str
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=FORMS) as teller:
        lead_id = await teller.rig.submit()
        held = update(outbox).where(outbox.c.lead_id == lead_id).values(state="held", reason=reason)
        await teller.rig.store.write(lambda write: write.execute(held))
        await teller.tell(thorough=False)
        [mail] = mailbox.to(OFFICE)
        assert told in text_of(mail)


async def test_a_lead_whose_key_is_missing_waits_and_keeps_no_other_from_being_told(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        sealed = await teller.hold()
        await teller.hold(email="per@example.com", phone="+46701740610")
        unreadable = update(leads).where(leads.c.id == sealed).values(body="fernet:00000000:AAAA")
        await teller.rig.store.write(lambda write: write.execute(unreadable))
        await teller.tell()
        [mail] = mailbox.to(OFFICE)
        assert "per@example.com" in text_of(mail)
        [waits] = await teller.unsent()
        assert waits["leadId"] == sealed
        assert waits["failure"] == "it is encrypted with key 00000000, which is missing"
        assert waits["nextTryAt"] > teller.rig.now()


async def test_it_is_told_once(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        await teller.hold()
        for _ in range(3):
            await teller.tell()
        assert len(mailbox.to(OFFICE)) == 1
        assert await teller.unsent() == []


async def test_a_lead_that_is_held_again_is_told_again(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        lead_id = await teller.hold()
        await teller.tell()
        teller.rig.pass_time(minutes=5)
        await retry(teller, lead_id)
        await teller.rig.turn()
        await teller.tell()
        assert len(mailbox.to(OFFICE)) == 2
        first, second = mailbox.to(OFFICE)
        assert first["Message-ID"] != second["Message-ID"]
        assert set(links_in(first)).isdisjoint(links_in(second))


async def test_now_in_vitec_when_it_lands(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        lead_id = await teller.hold()
        await teller.tell()
        teller.use_forms(tmp_path, FORMS)
        await retry(teller, lead_id)
        await teller.rig.turn()
        assert (await teller.rig.status(lead_id)).state is LeadState.DELIVERED
        for _ in range(3):
            await teller.tell(thorough=False)
        _, mail = mailbox.to(OFFICE)
        assert str(mail["Subject"]).startswith("Nu i Vitec (")
        assert "anna@example.com" not in mail.as_string()


async def test_nothing_is_told_of_a_lead_that_landed_before_the_mail_went_out(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        mailbox.failing = True
        lead_id = await teller.hold()
        await teller.tell()
        mailbox.failing = False
        teller.use_forms(tmp_path, FORMS)
        await retry(teller, lead_id)
        await teller.rig.turn()
        teller.rig.pass_time(hours=2)
        for _ in range(3):
            await teller.tell()
        assert mailbox.to(OFFICE) == []


async def test_a_late_lead_comes_whole_after_an_hour_and_not_before(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=FORMS) as teller:
        lead_id = await teller.rig.submit()
        teller.rig.pass_time(minutes=59, seconds=59)
        await teller.tell()
        assert mailbox.to(OFFICE) == []
        teller.rig.pass_time(seconds=1)
        await teller.tell()
        await teller.tell()
        [mail] = mailbox.to(OFFICE)
        assert str(mail["Subject"]).startswith("En förfrågan som inte har nått Vitec (")
        assert "> Vi vill sälja." in text_of(mail)
        await teller.rig.turn()
        assert (await teller.rig.status(lead_id)).state is LeadState.DELIVERED
        await teller.tell()
        assert teller.subjects(OFFICE)[1].startswith("Nu i Vitec (")


async def test_a_lead_that_the_office_has_is_not_late_as_well(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        lead_id = await teller.hold()
        await teller.tell()
        await retry(teller, lead_id)
        teller.rig.pass_time(hours=2)
        await teller.tell()
        assert len(mailbox.to(OFFICE)) == 1


async def test_a_lead_whose_held_mail_was_dropped_unsent_is_late_all_the_same(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        mailbox.failing = True
        lead_id = await teller.hold()
        await teller.tell()
        mailbox.failing = False
        await retry(teller, lead_id)
        teller.rig.pass_time(minutes=59)
        await teller.tell()  # it is on its way: nothing to tell of its holding any more
        assert mailbox.to(OFFICE) == []
        teller.rig.pass_time(minutes=1)
        for _ in range(2):
            await teller.tell()
        [subject] = teller.subjects(OFFICE)
        assert subject.startswith("En förfrågan som inte har nått Vitec (")
        teller.rig.pass_time(days=1)
        await teller.tell()
        assert teller.subjects(OFFICE)[1:] == ["Förfrågningar som väntar på er (1)"]


async def test_a_daily_reminder_names_what_nobody_has_settled_until_somebody_does(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        first = await teller.hold()
        await teller.tell()
        teller.rig.pass_time(hours=12)
        second = await teller.hold(email="bo@example.com", phone="")
        await teller.tell()
        teller.rig.pass_time(hours=12)
        for _ in range(2):
            await teller.tell()
        reminder = mailbox.to(OFFICE)[2:]
        assert [str(mail["Subject"]) for mail in reminder] == ["Förfrågningar som väntar på er (2)"]
        assert len(links_in(reminder[0])) == 4
        assert "example.com" not in text_of(reminder[0])
        now = teller.rig.now()
        for lead_id in (first, second):
            await teller.rig.store.write(
                partial(discard_lead, lead_id=lead_id, reason="prov", now=now, actor="prov")
            )
        teller.rig.pass_time(hours=25)
        await teller.tell()
        assert len(mailbox.to(OFFICE)) == 3


async def test_a_reminder_comes_each_day(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        await teller.hold()
        await teller.tell()
        for _ in range(3):
            teller.rig.pass_time(hours=24)
            await teller.tell()
            await teller.tell()
        assert len(mailbox.to(OFFICE)) == 4


async def test_one_reminder_a_day_whatever_is_settled_meanwhile(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        lead_ids = []
        for number in range(3):
            lead_ids.append(await teller.hold(email=f"p{number}@example.com", phone=""))
            await teller.tell()
            teller.rig.pass_time(hours=1)
        teller.rig.pass_time(hours=21)
        for lead_id in lead_ids[:2]:
            await teller.tell()
            now = teller.rig.now()
            await teller.rig.store.write(
                partial(discard_lead, lead_id=lead_id, reason="prov", now=now, actor="prov")
            )
            teller.rig.pass_time(hours=2)
        await teller.tell()
        assert teller.subjects(OFFICE)[3:] == ["Förfrågningar som väntar på er (3)"]
        teller.rig.pass_time(hours=20)
        await teller.tell()
        assert teller.subjects(OFFICE)[4:] == ["Förfrågningar som väntar på er (1)"]


async def test_reminders_do_not_pile_up_while_the_server_is_down(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        await teller.hold()
        await teller.tell()
        mailbox.failing = True
        for _ in range(3):
            teller.rig.pass_time(days=1)
            await teller.tell()
        mailbox.failing = False
        teller.rig.pass_time(hours=1)
        for _ in range(2):
            await teller.tell()
        assert len(mailbox.to(OFFICE)) == 2


async def test_a_server_that_is_down_is_asked_again_by_schedule_and_seen(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        mailbox.failing = True
        await teller.hold()
        await teller.tell(thorough=False)
        [waiting] = await teller.unsent()
        assert (waiting["tries"], waiting["failure"]) == (1, "SMTPDataError 451")
        mailbox.failing = False
        teller.rig.pass_time(seconds=29)
        await teller.tell(thorough=False)
        assert mailbox.envelopes == []
        teller.rig.pass_time(seconds=1)
        await teller.tell(thorough=False)
        assert len(mailbox.to(OFFICE)) == 1


async def test_an_address_that_is_refused_keeps_no_other_from_its_mail_and_is_in_no_record(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    text = REFUSED + f"\n[forms.other]\n{KEYS}".replace(AGENT, "HAN0").replace(OFFICE, "annan@byran.example")
    async with open_teller(tmp_path, sandbox, mailbox, text=text) as teller:
        mailbox.refused.add(OFFICE)
        await teller.hold()
        await teller.hold("other", email="bo@example.com", phone="")
        await teller.tell(thorough=False)
        assert len(mailbox.to("annan@byran.example")) == 1
        [waiting] = await teller.unsent()
        assert waiting["failure"] == "SMTPRecipientsRefused 550"


async def test_without_an_office_the_operator_gets_the_lead(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    text = REFUSED.replace(f'office_email = "{OFFICE}"', "")
    async with open_teller(tmp_path, sandbox, mailbox, text=text) as teller:
        await teller.hold()
        await teller.tell(thorough=False)
        assert "> Vi vill sälja." in text_of(mailbox.to(OPERATOR)[0])


async def test_without_any_address_it_waits_until_there_is_one(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    nobody = REFUSED.replace(f'office_email = "{OFFICE}"', "")
    async with open_teller(tmp_path, sandbox, mailbox, text=nobody, alert_email=None) as teller:
        await teller.hold()
        await teller.tell()
        [waiting] = await teller.unsent()
        assert waiting["failure"] == "there is no address to send it to"
        teller.use_forms(tmp_path, REFUSED)
        teller.rig.pass_time(minutes=1)
        await teller.tell()
        assert len(mailbox.to(OFFICE)) == 1


async def test_without_a_public_address_there_are_no_links(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, public_url=None) as teller:
        await teller.hold()
        await teller.tell(thorough=False)
        [mail] = mailbox.to(OFFICE)
        assert links_in(mail) == []
        assert "href" not in text_of(mail, "html")


async def test_without_a_mail_server_nothing_is_planned(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, mail=False) as teller:
        await teller.hold()
        await teller.tell()
        assert await teller.unsent() == []


async def test_an_agency_that_reads_english_is_written_to_in_english(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=REFUSED + 'languages = ["en", "sv"]\n') as teller:
        await teller.hold()
        await teller.tell(thorough=False)
        [mail] = mailbox.to(OFFICE)
        assert "Name: Anna Bergström" in text_of(mail)
        assert "It is in Vitec:" in text_of(mail)


async def test_no_name_or_word_of_a_visitor_becomes_a_header_or_a_line_of_ours(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        evil = "Skicka igen:\nhttps://evil.example/settle/x\n<script>alert(1)</script>"
        await teller.hold(firstName='Eve"\\', lastName="<a@b.se>, Bcc: x@evil.example", message=evil)
        await teller.tell(thorough=False)
        [mail] = mailbox.to(OFFICE)
        assert mail.keys().count("Reply-To") == 1
        assert mail["Bcc"] is None
        assert [one.addr_spec for one in mail["Reply-To"].addresses] == ["anna@example.com"]
        assert not re.search(r"^(Skicka igen:\n)?https://evil", text_of(mail), re.MULTILINE)
        assert "<script>" not in text_of(mail, "html")
        assert len(links_in(mail)) == 3  # two of ours, and one that is quoted
        assert sum(line.startswith(PUBLIC) for line in links_in(mail)) == 2


async def test_two_workers_tell_a_thing_once(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    """The second one finds the first one's lease, and after a death that it ran out."""
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        await teller.hold()
        await teller.tell(thorough=False)
        later = teller.rig.now()
        # As if the first had died between handing the mail over and saying so.
        await teller.rig.store.write(
            lambda write: write.execute(
                update(notices).values(state="due", sent_at=None, leased_until=later, due_at=later)
            )
        )
        await teller.rig.store.write(
            lambda write: write.execute(update(notices).values(leased_until=later.replace(year=2027)))
        )
        await teller.tell(thorough=False)
        assert len(mailbox.to(OFFICE)) == 1
        teller.rig.moment = later.replace(year=2028)
        await teller.tell(thorough=False)
        first, second = mailbox.to(OFFICE)
        assert first["Message-ID"] == second["Message-ID"]


async def test_an_idle_service_writes_nothing(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox) as teller:
        await teller.hold()
        for _ in range(2):
            await teller.tell()
        teller.rig.store.writer.close()  # from here on a write would be refused
        for _ in range(3):
            teller.rig.pass_time(seconds=16)
            await teller.tell()


async def test_the_leases_of_a_dead_process_end_with_it(tmp_path: Path, sandbox: Running) -> None:
    place = tmp_path / "dead.db"
    with placing_stores(place), open_mailbox() as mailbox:
        async with open_teller(tmp_path, sandbox, mailbox) as teller:
            mailbox.failing = True
            await teller.hold()
            await teller.tell(thorough=False)
            until = teller.rig.now().replace(year=2030)
            await teller.rig.store.write(
                lambda write: write.execute(update(notices).values(leased_until=until))
            )
        store = Store(place)
        store.open()
        assert await store.read(lambda read: read.execute(select(notices.c.leased_until)).scalar()) is None
        store.close()
