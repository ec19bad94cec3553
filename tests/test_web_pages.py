"""The visitor's pages, as a browser without JavaScript meets them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from itsdangerous import TimestampSigner

from app.web.tokens import TokenSigner
from tests.gateways import (
    ANNA,
    FORMS,
    HOST,
    LISTED,
    NOBODY,
    SECRET,
    STRANGER,
    Gateway,
    Markup,
    open_gateway,
    read_page,
)

pytestmark = pytest.mark.anyio

FRAMED = {"Sec-Fetch-Dest": "iframe"}
CAMPAIGN = "utm_source=google&UTM_Medium=cpc&gclid=abc&token=hemlig&other=1"


async def open_page(gateway: Gateway, query: str = "", **headers: str) -> Markup:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_page(await gateway.client.get(f"/f/kontakt?{query}", headers=named))


async def send(gateway: Gateway, page: Markup, /, **changes: str) -> httpx.Response:
    """As the browser sends the form that it was given."""
    assert page.form["method"] == "post"
    return await gateway.client.post(page.form["action"], data=page.fields | ANNA | changes)


def lead_of(answer: httpx.Response) -> str:
    assert answer.status_code == 303
    return answer.headers["location"].rpartition("/")[2].partition("?")[0]


async def test_a_form_is_shown_filled_in_sent_and_thanked_for(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await send(gateway, await open_page(gateway), **{"consents.newsletter": "true"})
        location = answer.headers["location"]
        assert location == f"/f/kontakt/thanks/{lead_of(answer)}"
        thanks = await gateway.client.get(location)
        lead = await gateway.load(lead_of(answer))
        assert thanks.status_code == 200
        assert f"{lead.reference[:4]}-{lead.reference[4:8]}-{lead.reference[8:]}" in read_page(thanks).text
        assert lead.contact.email == ANNA["email"]
        assert lead.consents[0].given
        assert lead.notice
        assert lead.notice.shown_at
        assert datetime.now(UTC) - lead.notice.shown_at < timedelta(minutes=1)
        assert not lead.notes


async def test_multipart_is_as_good_and_files_are_passed_over(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway)
        fields = {name: (None, value) for name, value in (page.fields | ANNA).items()}
        files = {**fields, "cv": ("cv.pdf", b"%PDF")}
        answer = await gateway.client.post("/f/kontakt", files=files)
        assert (await gateway.load(lead_of(answer))).contact.last_name == "Bergström"


async def test_only_fields_of_the_form_are_filled_in_by_its_address(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(
            gateway,
            "email=anna%40example.com&email=&message=Hej&objectReference=TV-1042&companyName=X"
            "&consents.newsletter=true&token=x&language=en&notice.version=9&action=x",
        )
        assert page.fields["email"] == "anna@example.com"
        assert page.fields["message"] == "Hej"
        assert page.fields["objectReference"] == "TV-1042"
        assert page.fields["language"] == "sv"
        assert page.fields["token"] != "x"
        assert page.fields["notice.version"] != "9"
        assert not {"companyName", "consents.newsletter", "action"} & page.fields.keys()


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "", "sv"),
        ("", "en", "en"),
        ("lang=en", "sv", "en"),
        ("lang=en-GB", "", "en"),
        ("lang=xx", "en", "en"),
        ("lang=", "en", "en"),
        ("lang=xx", "fr", "sv"),
    ],
)
async def test_the_language_is_the_addresss_then_the_browsers(
    tmp_path: Path, query: str, accepted: str, language: str
) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway, query, Accept_Language=accepted)
        assert page.language == page.fields["language"] == language
        answer = await send(gateway, page, email="fel")
        assert read_page(answer).language == language


async def test_the_other_language_keeps_what_the_address_filled_in_and_nothing_typed(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await gateway.client.get("/f/kontakt?lang=sv&message=Prefylld&utm_source=x")
        [link] = re.findall(r'<a href="(\?[^"]*)" lang="en"', page.text)
        assert link == "?utm_source=x&amp;message=Prefylld&amp;lang=en"
        answer = await send(gateway, read_page(page), email="fel")
        [link] = re.findall(r'<a href="(\?[^"]*)" lang="en"', answer.text)
        assert link == "?utm_source=x&amp;lang=en"


async def test_a_campaign_reaches_the_lead(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway, CAMPAIGN, Referer="https://www.google.com/search?q=x")
        assert "other" not in page.fields
        again = read_page(await send(gateway, page, email="fel"))
        lead = await gateway.load(lead_of(await send(gateway, again)))
        assert {tag.name: tag.value for tag in lead.marketing.utm_tags} == {
            "utm_source": "google",
            "utm_medium": "cpc",
            "gclid": "abc",
            "landing_referrer": "https://www.google.com/search",
        }


async def test_of_a_repeated_parameter_the_last_that_is_not_empty_counts(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway, "utm_source=a&utm_source=b&utm_source=")
        assert page.fields["utm_source"] == "b"


async def test_a_frame_knows_the_page_around_it(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        told = "https%3A%2F%2Fwww.byran.se%2Fsalja%3Futm_source%3Dmeta%26token%3Dhemlig"
        for query, page_url, source in (
            (f"pageUrl={told}&receiver=anna", "https://www.byran.se/salja?utm_source=meta", ["meta"]),
            ("receiver=anna", "https://www.byran.se/", []),
        ):
            page = await open_page(gateway, query, Referer="https://www.byran.se/", **FRAMED)
            assert "landing_referrer" not in page.fields
            lead = await gateway.load(lead_of(await send(gateway, page, message=query)))
            assert (lead.page_url, lead.marketing.referrer) == (page_url, page_url)
            assert lead.receiver == "anna"
            assert [tag.value for tag in lead.marketing.utm_tags] == source


async def test_a_page_of_ours_is_neither_referrer_nor_the_page_around(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        own = f"http://{HOST}/f/kontakt/thanks/{NOBODY}"
        framed, alone = (
            await open_page(gateway, Referer=own, **FRAMED),
            await open_page(gateway, Referer=own),
        )
        assert not {"pageUrl", "landing_referrer"} & (framed.fields | alone.fields).keys()
    async with open_gateway(tmp_path, public_url="https://ut.example.se") as gateway:
        framed = await open_page(gateway, Referer="https://ut.example.se/f/kontakt", **FRAMED)
        assert "pageUrl" not in framed.fields


async def test_the_other_language_keeps_where_the_visitor_came_from(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        query = (
            f"{CAMPAIGN}&pageUrl=https%3A%2F%2Fx.se%2F%3Fa%3D1%26b%3D%22&receiver=anna&objectReference=%C3%85"
        )
        page = await open_page(gateway, query, **FRAMED)
        link = page.links["en"]
        assert dict(parse_qsl(urlsplit(link).query, strict_parsing=True)) == {
            "utm_source": "google",
            "UTM_Medium": "cpc",
            "gclid": "abc",
            "pageUrl": 'https://x.se/?a=1&b="',
            "receiver": "anna",
            "objectReference": "Å",
            "lang": "en",
        }
        other = await open_page(gateway, link.removeprefix("?"), Referer=f"http://{HOST}/", **FRAMED)
        ours = {"token", "language"}
        assert other.language == "en"
        assert {k: v for k, v in other.fields.items() if k not in ours} == {
            k: v for k, v in page.fields.items() if k not in ours
        }
        refused = read_page(await send(gateway, page, email="fel"))
        assert "email" not in refused.links["en"]
        assert "utm_source=google" in refused.links["en"]


async def test_what_needs_correction_keeps_its_values_and_its_token(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway)
        answer = await send(
            gateway, page, email="anna@", message="Rad 1\r\nRad 2", **{"consents.newsletter": "on"}
        )
        again = read_page(answer)
        assert answer.status_code == 422
        assert answer.headers["cache-control"] == "no-store"
        assert again.fields["token"] == page.fields["token"]
        assert again.fields["email"] == "anna@"
        assert again.fields["message"] == "Rad 1\nRad 2"
        assert again.fields["consents.newsletter"] == "true"
        assert await gateway.count() == 0
        lead = await gateway.load(lead_of(await send(gateway, again)))
        assert lead.consents[0].given


async def test_pressing_twice_or_going_back_is_the_same_thanks(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway)
        first, second = await send(gateway, page), await send(gateway, page)
        changed = await send(gateway, page, message="Jag menade något annat.")
        assert first.headers["location"] == second.headers["location"]
        assert lead_of(changed) != lead_of(first)
        assert (await send(gateway, page)).headers["location"] == first.headers["location"]
        assert await gateway.count() == 2


def old_token(age: timedelta) -> str:
    class PastSigner(TimestampSigner):
        def get_timestamp(self) -> int:
            return int((datetime.now(UTC) - age).timestamp())

    signer = TokenSigner(SECRET)
    signer._serializer.signer = PastSigner
    return signer._serializer.dumps(["kontakt", NOBODY])


async def test_a_token_that_is_too_old_costs_no_lead_and_is_renewed(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway)
        old = old_token(timedelta(hours=25))
        again = read_page(await send(gateway, page, token=old, email="fel"))
        assert again.fields["token"] != old
        lead = await gateway.load(lead_of(await send(gateway, page, token=old)))
        assert lead.notice
        assert lead.notice.shown_at
        # It says yet when the notice was shown, and is no key any more.
        assert timedelta(hours=24) < datetime.now(UTC) - lead.notice.shown_at < timedelta(hours=26)
        keys = "SELECT count(*) FROM idempotency_keys"
        assert await gateway.store.read(lambda read: read.exec_driver_sql(keys).scalar()) == 0


async def test_a_token_that_is_none_of_ours_costs_no_lead(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway)
        foreign = read_page(await gateway.client.get("/f/objekt")).fields["token"]
        future = old_token(-timedelta(days=400))
        for number, token in enumerate(
            ("", "x", page.fields["token"] + "x", page.fields["token"][1:], foreign, "é" * 9, "a.b.c", future)
        ):
            answer = await send(gateway, page, token=token, message=f"Nummer {number}")
            lead = await gateway.load(lead_of(answer))
            noted = "page_token_missing" in {note.code for note in lead.notes}
            assert noted is (token is not future)
            refused = read_page(await send(gateway, page, token=token, email="fel"))
            assert refused.fields["token"]


async def test_a_lead_goes_on_to_where_the_form_says(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        shown = await gateway.client.get("/f/vardering", headers=FRAMED)
        # Inside a frame the agency's own thanks would be a page within its page.
        assert read_page(shown).form["target"] == "_top"
        assert "target" not in read_page(await gateway.client.get("/f/vardering")).form
        home = {"streetAddress": "Storgatan 1", "zipCode": "16955", "city": "Solna", "phone": "0701740605"}
        form = gateway.forms.find("vardering")
        assert form
        chosen = {field.name: field.options[0].value for field in form.fields if field.options}
        answer = await gateway.client.post(
            "/f/vardering", data=ANNA | home | chosen | {"area": "75", "rooms": "3"}
        )
        assert answer.headers["location"] == "https://tack.byran.se/klart?a=1"


async def test_a_store_that_cannot_be_written_keeps_what_was_typed(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway, "utm_source=google")
        gateway.stop_writing()
        for language, sentence in (("sv", "Ingenting har skickats"), ("en", "Nothing has been sent")):
            answer = await send(gateway, page, language=language)
            again = read_page(answer)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.headers["cache-control"] == "no-store"
            assert sentence in again.text
            kept = {"token", "utm_source", "email", "message"}
            assert {name: again.fields[name] for name in kept} == {
                name: (page.fields | ANNA)[name] for name in kept
            }


async def test_thanks_are_the_forms_own_and_cannot_be_guessed(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        lead_id = lead_of(await send(gateway, await open_page(gateway)))
        assert (await gateway.client.get(f"/f/kontakt/thanks/{lead_id}")).status_code == 200
        for path in (
            f"/f/objekt/thanks/{lead_id}",
            f"/f/okand/thanks/{lead_id}",
            f"/f/kontakt/thanks/{NOBODY}",
            f"/f/kontakt/thanks/{lead_id}x",
            f"/f/kontakt/thanks/{lead_id.upper()}",
            "/f/kontakt/thanks/%00",
            "/f/kontakt/thanks/%ff%fe",
            "/f/kontakt/thanks/%27%20OR%201=1",
            "/f/kontakt/thanks/" + "9" * 5000,
            "/f/kontakt/thanks/",
        ):
            answer = await gateway.client.get(path)
            assert answer.status_code == 404, path
            assert read_page(answer).text
        gateway.store.close()
        answer = await gateway.client.get(f"/f/kontakt/thanks/{lead_id}")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_thanks_are_in_the_leads_language_until_another_is_asked_for(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await send(gateway, await open_page(gateway, "lang=en"))
        location = answer.headers["location"]
        thanks = read_page(await gateway.client.get(location, headers={"Accept-Language": "sv"}))
        assert thanks.language == "en"
        other = read_page(await gateway.client.get(f"{location}{thanks.links['sv']}"))
        assert other.language == "sv"


async def test_a_refusal_is_a_page_with_the_way_back(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        refusals: list[tuple[str, str, Mapping[str, object], int]] = [
            ("POST", "/f/kontakt", {"data": ANNA, "headers": {"Origin": STRANGER}}, 403),
            ("POST", "/f/kontakt", {"json": ANNA}, 415),
            ("POST", "/f/kontakt", {"data": {"message": "x" * 70_000}}, 413),
            ("POST", "/f/kontakt", {"data": {f"f{number}": "x" for number in range(201)}}, 413),
            ("POST", "/f/kontakt", {"files": {f"f{number}": (None, "x") for number in range(201)}}, 413),
            (
                "POST",
                "/f/kontakt",
                {"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}},
                400,
            ),
            ("PUT", "/f/kontakt", {}, 405),
        ]
        for method, path, options, status in refusals:
            for language in ("sv", "en"):
                answer = await gateway.client.request(method, f"{path}?lang={language}", **options)  # type: ignore[arg-type]
                page = read_page(answer)
                assert answer.status_code == status
                assert page.language == language
                assert f"/f/kontakt?lang={language}" in page.links.values()
        unknown = await gateway.client.get("/f/okand", headers={"Accept-Language": "en"})
        assert (unknown.status_code, read_page(unknown).language) == (404, "en")
        assert await gateway.count() == 0


async def test_a_plain_form_on_a_listed_page_may_post(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        headers = {"Origin": LISTED, "Sec-Fetch-Site": "cross-site", "Referer": f"{LISTED}/"}
        answer = await gateway.client.post(
            "/f/kontakt?utm_source=meta", data=ANNA | {"_gotcha": "x"}, headers=headers
        )
        lead = await gateway.load(lead_of(answer))
        assert {note.code for note in lead.notes} == {"fields_ignored", "page_token_missing"}
        assert [tag.value for tag in lead.marketing.utm_tags] == ["meta"]
        assert lead.marketing.referrer == f"{LISTED}/"
        assert lead.notice is None


async def test_head_is_get_without_its_body(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for path in (
            "/f/kontakt",
            "/f/vardering/theme.css",
            "/healthz",
            "/static/leadgate.css",
            "/openapi.json",
        ):
            answer = await gateway.client.head(path)
            assert answer.status_code == 200
            assert answer.headers["content-length"] != "0"


async def test_a_themes_stylesheet_is_where_the_page_says(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.client.get("/f/vardering/theme.css")
        assert answer.headers["content-type"] == "text/css; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=86400"
        assert "--lg-accent:#0a5c36" in answer.text
        assert (await gateway.client.get("/f/okand/theme.css")).status_code == 404


async def test_a_mistyped_domain_is_pointed_out(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await send(gateway, await open_page(gateway), email="anna@gmial.com", lastName="")
        assert "Menade du anna@gmail.com?" in read_page(answer).text


async def test_a_trailing_slash_is_no_detour_in_the_clear(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        assert (await gateway.client.post("/f/kontakt/", data=ANNA)).status_code == 404


AS_JSON = {"Accept": "application/json"}


async def send_as_script(gateway: Gateway, page: Markup, /, **changes: str) -> httpx.Response:
    return await gateway.client.post(page.form["action"], data=page.fields | ANNA | changes, headers=AS_JSON)


async def test_the_pages_script_is_told_what_became_of_it(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway)
        answer = await send_as_script(gateway, page)
        told = answer.json()
        lead = await gateway.load(told["id"])
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert told == {
            "id": lead.id,
            "reference": f"{lead.reference[:4]}-{lead.reference[4:8]}-{lead.reference[8:]}",
            "thanks": f"/f/kontakt/thanks/{lead.id}",
            "redirect": None,
            "conversion": True,
        }
        # Its answer may have been lost: sent again by script or page, it is the same lead.
        assert (await send_as_script(gateway, page)).json() == told
        assert lead_of(await send(gateway, page)) == lead.id


async def test_the_pages_script_learns_where_the_form_leads(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = read_page(await gateway.client.get("/f/vardering"))
        home = {"streetAddress": "Storgatan 1", "zipCode": "16955", "propertyType": "villa"}
        told = (await send_as_script(gateway, page, **home)).json()
        assert told["redirect"] == "https://tack.byran.se/klart?a=1"


async def test_a_test_is_no_conversion(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = read_page(await gateway.client.get("/f/prov"))
        assert (await send_as_script(gateway, page)).json()["conversion"] is False


async def test_the_pages_script_is_refused_with_problems(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = await open_page(gateway, "lang=en")
        refused = await send_as_script(gateway, page, email="fel", firstName="")
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["errors"] == [
            {"pointer": "#/firstName", "code": "required", "detail": "Please fill in “First name”."},
            {
                "pointer": "#/email",
                "code": "invalid_email",
                "detail": "Please check the email address. It should look like name@example.com.",
            },
        ]
        stranger = await gateway.client.post("/f/kontakt", data=ANNA, headers=AS_JSON | {"Origin": STRANGER})
        assert (stranger.status_code, stranger.json()["type"]) == (
            403,
            "urn:leadgate:problem:origin-not-allowed",
        )
        gateway.stop_writing()
        away = await send_as_script(gateway, page)
        assert (away.status_code, away.headers["retry-after"]) == (503, "5")
        assert away.json()["detail"].startswith("Nothing has been sent.")
        assert await gateway.count() == 0


async def test_a_framed_form_weighs_fifteen_kilobytes_at_most(tmp_path: Path) -> None:
    """Page, styles and scripts as they are sent, of the longest preset in the most elaborate theme."""
    text = FORMS.replace('accent = "#0a5c36"', 'accent = "#0a5c36"\nbackground = "#faf6ef"\nmode = "auto"')
    async with open_gateway(tmp_path, text) as gateway:
        page = await gateway.client.get("/f/vardering?lang=en", headers=FRAMED)
        addresses = re.findall(r'(?:src|href)="(/(?:static|f)/[^"]+\?v=[^"]+)"', page.text)
        files = [await gateway.client.get(address) for address in addresses]
        assert {urlsplit(address).path for address in addresses} >= {
            "/static/leadgate.css",
            "/static/leadgate-dark.css",
            "/static/form.js",
            "/f/vardering/theme.css",
        }
        weights = [answer.num_bytes_downloaded for answer in (page, *files)]
        assert all(weights)
        assert sum(weights) <= 15_000, weights


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("gzip;q=0, identity", False),
        ("identity, gzip; q=0.000", False),
        ("x-gzip", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("path", ["/f/kontakt", "/f/kontakt?email=a@b.se"])
async def test_a_page_is_compressed_for_whoever_takes_it(
    tmp_path: Path, path: str, accepted: str, *, packed: bool
) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.client.get(path, headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.text.rstrip().endswith("</html>")


@pytest.mark.parametrize("encoding", ["gzip, br", "identity"])
@pytest.mark.parametrize("path", ["/f/kontakt", "/f/kontakt?email=a@b.se&utm_source=x", "/f/unknown"])
async def test_a_form_comes_past_the_framework_as_it_would_come_through_it(
    tmp_path: Path, path: str, encoding: str
) -> None:
    headers = {"Accept-Encoding": encoding, "Sec-Fetch-Dest": "iframe", "Accept": "text/html"}
    async with open_gateway(tmp_path) as gateway:
        past = await gateway.client.get(path, headers=headers)
        through = await gateway.client.head(path, headers=headers)
    assert past.status_code == through.status_code
    length = past.headers.pop("content-length")
    assert through.headers.pop("content-length") != "0"
    assert sorted(past.headers.multi_items()) == sorted(through.headers.multi_items())
    assert past.headers.get("content-encoding") == ("gzip" if "gzip" in encoding else None)
    assert "gzip" in encoding or length == str(len(past.content))
    assert past.text.endswith("</html>")
