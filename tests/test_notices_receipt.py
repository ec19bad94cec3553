"""The receipt: opt-in, one an address and hour, none for a suspect, and not a word of what was typed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from app.intake.accept import Verdict
from app.lead import LeadState
from app.store.operator import release_lead
from app.store.schema import outbox
from app.store.words import Suspicion
from tests.mailboxes import Mailbox, open_mailbox, text_of
from tests.sandboxes import Running, run_sandbox
from tests.tellings import FORMS, OFFICE, Teller, open_teller

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_either_database")]
pytest_plugins = ["tests.store_fixtures"]

ANNA = "anna@example.com"
WITH = (
    FORMS + 'receipt = true\n[forms.kontakt.privacy]\ncontroller = "Byrån AB"\npolicy_url = "https://b.se"\n'
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with open_mailbox() as mailbox:
        yield mailbox


async def suspect(teller: Teller, lead_id: str) -> None:
    values = {"state": "quarantined", "reason": "honeypot", "leased_until": None}
    await teller.rig.store.write(
        lambda write: write.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(values))
    )


async def test_a_receipt_says_that_it_came_and_repeats_nothing(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=WITH) as teller:
        lead_id = await teller.rig.submit(message="Köp billiga piller på evil.example")
        await teller.tell(thorough=False)
        [mail] = mailbox.to(ANNA)
        assert mail["Reply-To"] == OFFICE
        assert mail["From"] == "Byrån AB <leads@byran.example>"
        assert mail["Subject"] == "Vi har tagit emot din förfrågan"
        text = text_of(mail)
        for typed in ("piller", "evil", "Anna", "Bergström", "070", "174"):
            assert typed not in text
        assert "Din referens är" in text
        assert {"what": "receipt", "to": "visitor"}.items() <= (await teller.rig.history(lead_id))[-1].items()


async def test_it_is_opt_in(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=FORMS) as teller:
        await teller.rig.submit()
        await teller.tell()
        assert mailbox.envelopes == []


async def test_one_an_address_and_hour(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=WITH) as teller:
        await teller.rig.submit(message="ett")
        await teller.rig.submit(message="två", email=ANNA.upper())
        await teller.tell()
        teller.rig.pass_time(minutes=50)
        await teller.rig.submit(message="tre")
        await teller.rig.submit(message="en annan", email="bo@example.com")
        await teller.tell()
        assert len(mailbox.to(ANNA)) == 1
        assert len(mailbox.to("bo@example.com")) == 1
        teller.rig.pass_time(minutes=15)  # what got none keeps none: a late one would only puzzle
        await teller.tell()
        assert len(mailbox.to(ANNA)) == 1
        await teller.rig.submit(message="fyra")
        await teller.tell()
        assert len(mailbox.to(ANNA)) == 2


async def test_a_suspect_gets_none_not_even_when_released(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=WITH) as teller:
        lead_id = await teller.rig.submit()
        await suspect(teller, lead_id)
        await teller.tell()
        now = teller.rig.now()
        await teller.rig.store.write(lambda write: release_lead(write, lead_id, now=now, actor="prov"))
        await teller.tell()
        assert mailbox.to(ANNA) == []


@pytest.mark.parametrize(("score", "receipts"), [(0.25, 1), (0.5, 0)])
async def test_who_worked_to_be_let_in_gets_none(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox, score: float, receipts: int
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=WITH) as teller:
        teller.rig.verdict = Verdict(suspicion=Suspicion(score, ("word:casino",)))
        lead_id = await teller.rig.submit()
        assert (await teller.rig.status(lead_id)).state is LeadState.PENDING
        await teller.tell()
        assert len(mailbox.to(ANNA)) == receipts


async def test_who_gave_no_address_gets_none(tmp_path: Path, sandbox: Running, mailbox: Mailbox) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=WITH) as teller:
        await teller.rig.submit(email="")
        await teller.tell()
        assert mailbox.envelopes == []
        assert await teller.unsent() == []


async def test_a_receipt_comes_in_the_visitor_s_language(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=WITH) as teller:
        await teller.rig.submit(language="en")
        await teller.tell()
        assert mailbox.to(ANNA)[0]["Subject"] == "We have received your enquiry"


async def test_a_receipt_is_given_up_when_it_would_only_puzzle(
    tmp_path: Path, sandbox: Running, mailbox: Mailbox
) -> None:
    async with open_teller(tmp_path, sandbox, mailbox, text=WITH) as teller:
        mailbox.failing = True
        lead_id = await teller.rig.submit()
        for _ in range(12):
            await teller.tell(thorough=False)
            teller.rig.pass_time(hours=1)
        assert await teller.unsent() == []
        assert (await teller.rig.history(lead_id))[-1]["kind"] == "not_told"
