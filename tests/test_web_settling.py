"""The links in the office's mail: a GET shows, a POST settles, each works once, and nobody else's page may press."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from string import ascii_letters, digits

import pytest
from sqlalchemy import select, update

from app.lead import LeadState
from app.links import GOOD_FOR, Act, LinkSigner
from app.store.history import load_history
from app.store.leads import find_status
from app.store.outbox import start_attempt
from app.store.reconciling import has_unresolved
from app.store.schema import outbox, spent_links
from app.store.words import LeadStatus
from tests.gateways import ANNA, HOST, SECRET, STRANGER, Gateway, open_gateway, read_page
from tests.stores import must_claim

pytestmark = pytest.mark.anyio

OWN = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}


async def hold(gateway: Gateway) -> str:
    lead_id = str((await gateway.post()).json()["id"])
    await gateway.settle(lead_id, LeadState.HELD)
    return lead_id


def link(lead_id: str, act: Act, occasion: str = "held:1", *, secret: bytes = SECRET) -> str:
    return f"/settle/{LinkSigner(secret).issue(lead_id, act, occasion=occasion)}"


async def status(gateway: Gateway, lead_id: str) -> LeadStatus:
    found = await gateway.store.read(partial(find_status, lead_id=lead_id))
    assert found is not None
    return found


@pytest.mark.parametrize("act", list(Act))
async def test_a_link_shows_what_it_is_about_and_changes_nothing(tmp_path: Path, act: Act) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        for method in ("GET", "HEAD"):
            answer = await gateway.client.request(method, link(lead_id, act))
            assert answer.status_code == 200
        page = (await gateway.client.get(link(lead_id, act))).text
        assert read_page(await gateway.client.get(link(lead_id, act))).form["method"] == "post"
        assert (await status(gateway, lead_id)).state is LeadState.HELD
        for private in (ANNA["firstName"], ANNA["lastName"], ANNA["email"], ANNA["message"]):
            assert private not in page
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert await gateway.store.read(lambda read: read.execute(select(spent_links)).all()) == []


async def test_it_is_in_vitec_ends_it(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        answer = await gateway.client.post(link(lead_id, Act.EXISTS), headers=OWN)
        assert (answer.status_code, answer.headers["location"]) == (303, link(lead_id, Act.EXISTS))
        found = await status(gateway, lead_id)
        assert (found.state, found.reason) == (LeadState.DISCARDED, "it is in Vitec, says the office")
        history = await gateway.store.read(partial(load_history, lead_id=lead_id))
        assert (history[-1]["kind"], history[-1]["actor"]) == ("discarded", "office")
        page = await gateway.client.get(link(lead_id, Act.EXISTS))
        assert "Klart" in page.text
        assert "<form" not in page.text


async def test_it_is_in_vitec_ends_the_looking_for_it_too(tmp_path: Path) -> None:
    """The create whose outcome nobody knew is known now: somebody has seen the lead."""
    async with open_gateway(tmp_path) as gateway:
        lead_id = str((await gateway.post()).json()["id"])
        now = gateway.store.now()
        claim = await gateway.store.write(lambda write: must_claim(write, now=now))
        await gateway.store.write(
            lambda write: start_attempt(
                write, claim, kind="create", payload_version=1, now=now, deadline_at=now
            )
        )
        await gateway.store.write(lambda write: write.execute(update(outbox).values(leased_until=None)))
        await gateway.settle(lead_id, LeadState.HELD)
        assert await gateway.store.read(has_unresolved)
        await gateway.client.post(link(lead_id, Act.EXISTS), headers=OWN)
        assert not await gateway.store.read(has_unresolved)


async def test_send_it_again_is_an_operator_s_retry_and_wakes_delivery(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        heard = gateway.hear_acceptance()
        assert (await gateway.client.post(link(lead_id, Act.RETRY), headers=OWN)).status_code == 303
        assert heard.is_set()
        assert (await status(gateway, lead_id)).state is LeadState.PENDING
        assert "Den skickas igen" in (await gateway.client.get(link(lead_id, Act.RETRY))).text
        row = await gateway.store.read(lambda read: read.execute(select(outbox)).one())
        assert row.reconcile_first == 1


async def test_sent_again_it_goes_where_the_form_says_by_now(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        filed = outbox.c.customer_id
        right = await gateway.store.read(lambda read: read.execute(select(filed)).scalar_one())
        await gateway.store.write(lambda write: write.execute(update(outbox).values(customer_id="M99999")))
        await gateway.client.post(link(lead_id, Act.RETRY), headers=OWN)
        assert await gateway.store.read(lambda read: read.execute(select(filed)).scalar_one()) == right


async def test_a_link_works_once(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        await gateway.client.post(link(lead_id, Act.RETRY), headers=OWN)
        await gateway.settle(lead_id, LeadState.HELD)
        again = await gateway.client.post(link(lead_id, Act.RETRY), headers=OWN)
        assert again.status_code == 303
        assert (await status(gateway, lead_id)).state is LeadState.HELD
        page = await gateway.client.get(link(lead_id, Act.RETRY))
        assert "Den kunde inte skickas" in page.text
        assert "<form" not in page.text
        # The next mail has a link of its own.
        await gateway.client.post(link(lead_id, Act.RETRY, "held:2"), headers=OWN)
        assert (await status(gateway, lead_id)).state is LeadState.PENDING


async def test_pressed_twice_is_pressed_once(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        for _ in range(2):
            assert (await gateway.client.post(link(lead_id, Act.EXISTS), headers=OWN)).status_code == 303


async def test_what_is_in_vitec_meanwhile_needs_nobody(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        await gateway.settle(lead_id, LeadState.DELIVERED)
        assert "Förfrågan har nått Vitec" in (await gateway.client.get(link(lead_id, Act.EXISTS))).text
        answer = await gateway.client.post(link(lead_id, Act.EXISTS), headers=OWN)
        assert answer.status_code == 409
        assert "Förfrågan har nått Vitec" in answer.text
        assert (await status(gateway, lead_id)).state is LeadState.DELIVERED


async def test_a_lead_under_way_is_left_alone_and_the_link_stays_good(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = str((await gateway.post()).json()["id"])
        now = gateway.store.now()
        await gateway.store.write(lambda write: must_claim(write, now=now))
        answer = await gateway.client.post(link(lead_id, Act.EXISTS), headers=OWN)
        assert answer.status_code == 409
        assert "Den skickas just nu" in answer.text
        await gateway.store.write(lambda write: write.execute(update(outbox).values(leased_until=None)))
        assert (await gateway.client.post(link(lead_id, Act.EXISTS), headers=OWN)).status_code == 303


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("wrong", ["nonsense", "secret", "changed"])
async def test_a_link_that_was_not_made_here_is_none(tmp_path: Path, method: str, wrong: str) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        good = link(lead_id, Act.EXISTS)
        path = {
            "nonsense": "/settle/nonsense",
            "secret": link(lead_id, Act.EXISTS, secret=b"1" * 32),
            # Not its last letter, of which two bits are nobody's.
            "changed": good[:-2] + ("a" if good[-2] != "a" else "b") + good[-1],
        }[wrong]
        headers = OWN | {"Accept-Language": "en"}
        answer = await gateway.client.request(method, path, headers=headers)
        assert answer.status_code == 404
        assert "This link is no longer good" in answer.text
        assert (await status(gateway, lead_id)).state is LeadState.HELD


async def test_a_link_that_was_used_is_not_good_again_in_another_spelling(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        used = link(lead_id, Act.RETRY)
        assert (await gateway.client.post(used, headers=OWN)).status_code == 303
        await gateway.settle(lead_id, LeadState.HELD)
        spellings = [used[:-1] + letter for letter in ascii_letters + digits + "-_"]
        codes = [(await gateway.client.post(one, headers=OWN)).status_code for one in spellings]
        assert sorted(codes) == [303] * 4 + [404] * 60
        assert (await status(gateway, lead_id)).state is LeadState.HELD


async def test_the_link_of_an_erased_lead_is_none(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        nobody = "01890000-0000-7000-8000-000000000000"
        assert (await gateway.client.get(link(nobody, Act.EXISTS))).status_code == 404


def test_a_link_grows_old() -> None:
    signer, now = LinkSigner(SECRET), datetime.now(UTC)
    token = signer.issue("l", Act.RETRY, occasion="o")
    assert signer.read(token, now=now + GOOD_FOR - timedelta(minutes=1)) is not None
    assert signer.read(token, now=now + GOOD_FOR + timedelta(minutes=1)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": STRANGER},
        {"Origin": "null"},
        {"Origin": "https://www.byran.se"},  # listed for a form's page, which has no business here
        {"Origin": STRANGER, "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_another_site_s_page_cannot_press_the_button(tmp_path: Path, headers: dict[str, str]) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        assert (await gateway.client.post(link(lead_id, Act.EXISTS), headers=headers)).status_code == 403
        assert (await status(gateway, lead_id)).state is LeadState.HELD


async def test_the_page_is_there_in_english_too(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = await hold(gateway)
        page = await gateway.client.get(link(lead_id, Act.RETRY) + "?lang=en")
        assert read_page(page).language == "en"
        assert "Send it to Vitec again?" in page.text
