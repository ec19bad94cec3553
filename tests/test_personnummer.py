"""Somebody's personnummer: pointed out to who wrote it, and nowhere in what is kept."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.store.schema import metadata
from tests.gateways import FORMS, Gateway, open_gateway, read_page

NUMBER = "19121212-1212"
COORDINATION = "701063-2391"
FIELDS = (
    FORMS
    + """
[[forms.kontakt.fields]]
name = "contract"
type = "number"
label = "Avtal"
"""
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def dump(gateway: Gateway) -> str:
    def job(connection: Any) -> str:
        return "".join(
            str(connection.execute(text(f"SELECT * FROM {name}")).all()) for name in metadata.tables
        )

    return await gateway.store.read(job)


@pytest.mark.anyio
@pytest.mark.parametrize("number", [NUMBER, COORDINATION])
async def test_it_is_kept_in_no_field(tmp_path: Path, number: str) -> None:
    page = f"https://www.byran.se/{number}?utm_source={number}&gclid={number}"
    changes: dict[str, Any] = {
        "firstName": number,
        "lastName": f"Bergström {number}",
        "phone": number,
        "message": f"Jag är {number}.",
        "streetAddress": number,
        "city": number,
        "companyName": number,
        "objectReference": number,
        "pageUrl": page,
        "marketing": {"referrer": page, "utmTags": [{"name": "utm_term", "value": number}]},
        "utm_campaign": number,
        "landing_referrer": f"https://annan.se/{number}",
    }
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.post(f"/api/v1/forms/kontakt/leads?utm_content={number}", **changes)
        assert answer.status_code == 202
        kept = await dump(gateway)
        assert number not in kept
        assert number[:6] not in kept
        lead = await gateway.load(answer.json()["id"])
        assert lead.message == "Jag är ******-****."
        assert "personnummer_masked" in [note.code for note in lead.notes]


@pytest.mark.anyio
async def test_a_number_field_masks_it_too(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, FIELDS) as gateway:
        answer = await gateway.post(contract="1212121212")
        assert answer.status_code == 202, answer.text
        assert "1212121212" not in await dump(gateway)


@pytest.mark.anyio
async def test_a_campaign_s_own_number_stays(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.post(utm_id="1212121212", objectReference="1212121212")
        lead = await gateway.load(answer.json()["id"])
        assert lead.marketing.utm_tags[0].value == "1212121212"
        assert lead.answers[0].value == "1212121212"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("language", "says"),
    [("sv", "Du skrev ett personnummer."), ("en", "You wrote a personal identity number.")],
)
async def test_whoever_wrote_it_is_told(tmp_path: Path, language: str, says: str) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = read_page(await gateway.client.get(f"/f/kontakt?lang={language}"))
        sent = page.fields | {"name": "Anna B", "email": "a@example.com", "message": NUMBER}
        answer = await gateway.client.post(f"/f/kontakt?lang={language}", data=sent, follow_redirects=True)
        assert says in answer.text
        assert NUMBER not in answer.text
        other = page.fields | {"token": "", "name": "Anna B", "email": "a@example.com", "message": "Hej"}
        answer = await gateway.client.post(f"/f/kontakt?lang={language}", data=other, follow_redirects=True)
        assert says not in answer.text


@pytest.mark.anyio
async def test_beside_the_field_it_is_told_before_it_is_sent_again(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.client.post("/f/kontakt?lang=sv", data={"name": "Anna", "message": NUMBER})
        assert answer.status_code == 422
        assert "Ett personnummer behövs aldrig här. Det kommer att döljas." in answer.text
