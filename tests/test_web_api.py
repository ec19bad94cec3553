"""Leads as JSON: what is answered when one is kept, when one is not, and when one comes again."""

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from app.forms.campaign import last_touch_parameters
from app.identity import write_reference
from app.lead import LeadState
from tests.gateways import ANNA, FORMS, LEADS, NOBODY, open_gateway

pytestmark = pytest.mark.anyio

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
MOMENT = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
JSON = {"Content-Type": "application/json"}


async def test_a_lead_is_answered_with_its_id_reference_status_and_time(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.post()
        body = answer.json()
        assert answer.status_code == 202
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["location"] == f"/api/v1/leads/{body['id']}"
        assert list(body) == ["id", "reference", "status", "receivedAt"]
        assert re.fullmatch(UUID, body["id"])
        assert re.fullmatch(MOMENT, body["receivedAt"])
        assert body["status"] == "accepted"
        lead = await gateway.load(body["id"])
        assert write_reference(lead.reference) == body["reference"]
        assert "idempotent-replayed" not in answer.headers
        assert "preference-applied" not in answer.headers


async def test_what_was_sent_is_what_is_kept(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.post(
            f"{LEADS}?utm_medium=cpc",
            phone="070-174 06 05",
            consents={"newsletter": True},
            receiver="anna",
            pageUrl="https://www.byran.se/salja?utm_campaign=host&token=hemlig",
            utm_source="google",
            language="en",
            objectReference="TV-1042",
        )
        lead = await gateway.load(answer.json()["id"])
        assert (lead.contact.full_name, lead.contact.phone) == ("Anna Bergström", "+46701740605")
        assert (lead.language, lead.receiver) == ("en", "anna")
        assert lead.page_url == "https://www.byran.se/salja?utm_campaign=host"
        assert {tag.name: tag.value for tag in lead.marketing.utm_tags} == {
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": "host",
        }
        assert [answer.value for answer in lead.answers] == ["TV-1042"]
        assert [consent.given for consent in lead.consents] == [True]


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (LeadState.PENDING, "accepted"),
        (LeadState.QUARANTINED, "accepted"),
        (LeadState.DELIVERED, "delivered"),
        (LeadState.HELD, "held"),
        (LeadState.DISCARDED, "closed"),
    ],
)
async def test_what_became_of_a_lead_is_told_without_personal_data(
    tmp_path: Path, state: LeadState, status: str
) -> None:
    async with open_gateway(tmp_path) as gateway:
        kept = (await gateway.post()).json()
        if state is not LeadState.PENDING:
            await gateway.settle(kept["id"], state)
        answer = await gateway.client.get(f"/api/v1/leads/{kept['id']}")
        delivered_at = kept["receivedAt"] if state is LeadState.DELIVERED else None
        assert answer.json() == kept | {"status": status, "deliveredAt": delivered_at}
        assert answer.headers["cache-control"] == "no-store"
        assert (await gateway.post()).json() == kept | {"status": status}


async def test_a_form_in_test_mode_accepts_like_any_other(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.post("/api/v1/forms/prov/leads", headers={"Prefer": "wait=5"})
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")


async def test_a_form_describes_itself(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.client.get("/api/v1/forms/kontakt")
        form = answer.json()
        assert answer.headers["cache-control"] == "public, max-age=60"
        assert form["languages"] == ["sv", "en"]
        assert set(form["title"]) == {"sv", "en"}
        assert form["consents"]["newsletter"]["label"]["en"] == "News, please"
        live = gateway.forms.find("kontakt")
        assert live
        assert form["notice"] == {"version": live.privacy.version, "text": live.privacy.notice}
        assert form["schema"]["properties"]["email"]["format"] == "email"
        assert form["parameters"] == list(last_touch_parameters(live.parameters))
        assert {"utm_source", "gclid", "landing_referrer"} < set(form["parameters"])


REFUSALS: list[tuple[dict[str, Any], int, str, tuple[str, str]]] = [
    (
        {"content": b"{", "headers": JSON},
        400,
        "malformed",
        ("Vi kunde inte läsa det som skickades", "We could not read what was sent"),
    ),
    (
        {"headers": JSON | {"Origin": "https://www.annan.se"}},
        403,
        "origin-not-allowed",
        ("Formuläret kan inte användas från den här sidan", "The form cannot be used from this page"),
    ),
    (
        {"content": b"[" + b" " * 65_536, "headers": JSON},
        413,
        "too-large",
        ("Det blev för mycket text för oss", "That was too much text for us"),
    ),
    (
        {"content": b"a=b", "headers": {"Content-Type": "text/plain"}},
        415,
        "unsupported-media-type",
        ("Vi kunde inte läsa det som skickades", "We could not read what was sent"),
    ),
    ({"json": {}}, 422, "invalid-fields", ("Något behöver rättas", "Something needs to be corrected")),
    (
        {"json": ANNA, "headers": {"Idempotency-Key": ""}},
        400,
        "invalid-idempotency-key",
        ("Idempotency-Key kan inte användas", "The Idempotency-Key cannot be used"),
    ),
]


@pytest.mark.parametrize(("options", "status", "kind", "titles"), REFUSALS)
async def test_a_refusal_is_a_problem_in_both_languages(
    tmp_path: Path, options: dict[str, Any], status: int, kind: str, titles: tuple[str, str]
) -> None:
    async with open_gateway(tmp_path) as gateway:
        for language, title in zip(("sv", "en"), titles, strict=True):
            answer = await gateway.client.post(LEADS, params={"lang": language}, **options)
            problem = answer.json()
            assert answer.status_code == problem["status"] == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["cache-control"] == "no-store"
            assert problem["type"] == f"urn:leadgate:problem:{kind}"
            assert problem["title"] == title
            assert problem["detail"]
            assert ("errors" in problem) is (status == 422)
        assert await gateway.count() == 0


async def test_what_is_not_there_is_a_problem(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for method, path, status, kind in (
            ("POST", "/api/v1/forms/okand/leads", 404, "unknown-form"),
            ("GET", "/api/v1/forms/okand", 404, "unknown-form"),
            ("GET", f"/api/v1/leads/{NOBODY}", 404, "not-found"),
            ("GET", f"/api/v1/leads/{NOBODY.upper()}x", 404, "not-found"),
            ("GET", "/api/v2", 404, "not-found"),
            ("POST", f"/api/v1/leads/{NOBODY}", 405, "method-not-allowed"),
        ):
            answer = await gateway.client.request(method, path, json=ANNA)
            assert (answer.status_code, answer.json()["type"]) == (status, f"urn:leadgate:problem:{kind}")


async def test_a_405_names_every_method(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for path, methods in (
            (LEADS, {"POST", "OPTIONS"}),
            ("/api/v1/forms/kontakt", {"GET", "HEAD", "OPTIONS"}),
            ("/f/kontakt", {"GET", "HEAD", "POST"}),
            (f"/f/kontakt/thanks/{NOBODY}", {"GET", "HEAD"}),
            ("/static/leadgate.css", {"GET", "HEAD"}),
        ):
            answer = await gateway.client.delete(path)
            assert answer.status_code == 405
            assert set(answer.headers["allow"].split(", ")) == methods


async def test_all_errors_come_at_once_with_pointers(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        wrong = {
            "email": "anna@",
            "lastName": " ",
            "consents": {"newsletter": "ja"},
            "okand": 1,
            "message": "x" * 5001,
        }
        for language, sentence in (("sv", "Fyll i ”Efternamn”."), ("en", "Please fill in “Last name”.")):
            answer = await gateway.post(headers={"Accept-Language": language}, **wrong)
            errors = {error["pointer"]: error for error in answer.json()["errors"]}
            assert answer.status_code == 422
            assert {pointer: error["code"] for pointer, error in errors.items()} == {
                "#/lastName": "required",
                "#/email": "invalid_email",
                "#/message": "too_long",
                "#/consents/newsletter": "invalid_consent",
                "#/okand": "unknown_field",
            }
            assert errors["#/lastName"]["detail"] == sentence
            assert "anna@" not in answer.text


async def test_a_refusal_is_in_one_language_throughout(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.post(f"{LEADS}?lang=sv", language="en", lastName="")
        problem = answer.json()
        assert problem["title"] == "Something needs to be corrected"
        assert problem["errors"][0]["detail"] == "Please fill in “Last name”."
        for hostile in (5, ["en"], "", "xx", "*"):
            answer = await gateway.post(f"{LEADS}?lang=en", language=hostile, lastName="")
            assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"null", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b'{"firstName": "Anna"', 400),
        (b'{"area": NaN}', 400),
        (b'{"a": "\xff"}', 400),
        (b'{"a": ' + b"9" * 5000 + b"}", 400),
        (b'{"marketing":' + b"[" * 30_000, 400),
        (b'{"firstName": "\\ud800"}', 422),
        (b'{"a": 1e400}', 422),
        (b"\xef\xbb\xbf" + json.dumps(ANNA).encode(), 202),
        (json.dumps(ANNA | {"message": "Hej \ud83d"}).encode(), 202),
        (json.dumps(ANNA | {"message": None}).encode(), 202),
    ],
)
async def test_a_body_that_is_no_object_is_malformed(tmp_path: Path, body: bytes, status: int) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.client.post(LEADS, content=body, headers=JSON)
        assert answer.status_code == status


async def test_nesting_is_never_a_defect(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        start = json.dumps(ANNA)[:-1] + ', "marketing": '
        for deep in (10, 150, 190, 199, 250, 700, 800, 850, 900, 930, 960, 990, 2000):
            body = f"{start}{'[' * deep}{']' * deep}}}"
            answer = await gateway.client.post(LEADS, content=body, headers=JSON)
            assert answer.status_code in {202, 400}


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", " application/json ;x=y"]
)
async def test_json_is_known_by_its_type(tmp_path: Path, kind: str) -> None:
    async with open_gateway(tmp_path) as gateway:
        content = json.dumps(ANNA).encode()
        answer = await gateway.client.post(LEADS, content=content, headers={"Content-Type": kind})
        assert answer.status_code == 202


async def test_64_kib_is_accepted_and_a_byte_more_is_not(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        content = json.dumps(ANNA).encode()
        whole = content + b" " * (65_536 - len(content))
        assert (await gateway.client.post(LEADS, content=whole, headers=JSON)).status_code == 202
        assert (await gateway.client.post(LEADS, content=whole + b" ", headers=JSON)).status_code == 413


@pytest.mark.parametrize(
    ("one", "other"),
    [("abc", "abc"), ('"abc"', "abc"), ("k" * 255, f'"{"k" * 255}"'), ("a b;c=d", '"a b;c=d"')],
)
async def test_the_same_key_and_content_is_the_same_lead(tmp_path: Path, one: str, other: str) -> None:
    async with open_gateway(tmp_path) as gateway:
        first = await gateway.post(headers={"Idempotency-Key": one})
        await gateway.settle(first.json()["id"], LeadState.DELIVERED)
        turned = dict(reversed(ANNA.items()))
        again = await gateway.client.post(LEADS, json=turned, headers={"Idempotency-Key": other})
        assert (first.status_code, again.status_code) == (202, 202)
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["location"] == first.headers["location"]
        assert again.json() == first.json() | {"status": "delivered"}
        assert await gateway.count() == 1


async def test_the_same_key_for_other_content_is_refused(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        key = {"Idempotency-Key": "abc"}
        await gateway.post(headers=key)
        for language, title in (
            ("sv", "Idempotency-Key har redan använts, med annat innehåll"),
            ("en", "The Idempotency-Key was used before, with other content"),
        ):
            answer = await gateway.post(f"{LEADS}?lang={language}", headers=key, message="Något annat.")
            assert answer.status_code == 422
            assert answer.json()["type"] == "urn:leadgate:problem:idempotency-key-reused"
            assert answer.json()["title"] == title
            assert "errors" not in answer.json()
        assert await gateway.count() == 1


async def test_what_is_refused_consumes_no_key(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        key = {"Idempotency-Key": "abc"}
        assert (await gateway.post(headers=key, email="anna@")).status_code == 422
        assert (await gateway.post(headers=key | {"Origin": "https://www.annan.se"})).status_code == 403
        broken = await gateway.client.post(LEADS, content=b"{", headers=JSON | key)
        assert broken.status_code == 400
        kept = await gateway.post(headers=key)
        assert kept.status_code == 202
        assert "idempotent-replayed" not in kept.headers


async def test_a_key_is_the_forms_own(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        key = {"Idempotency-Key": "abc"}
        one = await gateway.post(headers=key)
        other = await gateway.post("/api/v1/forms/prov/leads", headers=key, message="Något annat.")
        assert (one.status_code, other.status_code) == (202, 202)
        assert one.json()["id"] != other.json()["id"]


@pytest.mark.parametrize("key", ["", '""', "k" * 256, f'"{"k" * 256}"', "nyckel-\u00e5", "a\tb"])
async def test_a_key_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.client.post(
            LEADS, json=ANNA, headers=[(b"Idempotency-Key", key.encode("latin-1"))]
        )
        assert answer.status_code == 400
        assert answer.json()["type"] == "urn:leadgate:problem:invalid-idempotency-key"
        assert await gateway.count() == 0


async def test_one_key_sent_many_times_at_once_is_one_lead(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answers = await asyncio.gather(*(gateway.post(headers={"Idempotency-Key": "x"}) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


async def test_without_a_key_the_same_again_is_the_same_lead_and_other_content_names_the_first(
    tmp_path: Path,
) -> None:
    async with open_gateway(tmp_path) as gateway:
        first, again, other = (
            await gateway.post(),
            await gateway.post(),
            await gateway.post(message="Och en fråga till."),
        )
        assert again.json()["id"] == first.json()["id"]
        assert again.headers["idempotent-replayed"] == "true"
        assert other.json()["id"] != first.json()["id"]
        lead = await gateway.load(other.json()["id"])
        assert write_reference(lead.follows or "") == first.json()["reference"]


@pytest.mark.parametrize("state", [LeadState.DELIVERED, LeadState.HELD, LeadState.DISCARDED])
async def test_who_waits_hears_as_soon_as_the_lead_is_settled(tmp_path: Path, state: LeadState) -> None:
    async with open_gateway(tmp_path) as gateway:
        accepted, began = gateway.hear_acceptance(), time.monotonic()
        headers = [("Prefer", 'respond-async; foo="wait=0"'), ("Prefer", "wait=99")]
        waiting = asyncio.create_task(gateway.client.post(LEADS, json=ANNA, headers=headers))
        await accepted.wait()
        await gateway.settle(await gateway.find_newest(), state)
        answer = await waiting
        assert time.monotonic() - began < 5
        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "wait=10"
        assert answer.json()["status"] == state.public


async def test_when_the_time_is_up_the_lead_is_still_accepted(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for seconds in (0, 1):
            began = time.monotonic()
            answer = await gateway.post(headers={"Prefer": f"wait={seconds}"})
            assert seconds <= time.monotonic() - began < seconds + 2
            assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
            assert answer.headers["preference-applied"] == f"wait={seconds}"


async def test_a_lead_is_kept_though_the_store_fails_while_its_sender_waits(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        accepted = gateway.hear_acceptance()
        waiting = asyncio.create_task(gateway.post(headers={"Prefer": "wait=5"}))
        await accepted.wait()
        gateway.store.close()
        answer = await waiting
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")


async def test_a_lead_that_is_erased_while_its_sender_waits_is_closed(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        accepted = gateway.hear_acceptance()
        waiting = asyncio.create_task(gateway.post(headers={"Idempotency-Key": "x", "Prefer": "wait=5"}))
        await accepted.wait()
        lead_id = await gateway.find_newest()
        await gateway.store.write(lambda write: write.exec_driver_sql("DELETE FROM leads"))
        gateway.store.announce_settled(lead_id)
        answer = await waiting
        assert answer.json()["status"] == "closed"
        again = await gateway.post(headers={"Idempotency-Key": "x"})
        assert again.json() == answer.json()


async def test_a_store_that_cannot_be_written_is_a_503_that_says_when_to_come_back(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        kept = await gateway.post()
        gateway.stop_writing()
        for language, title in (
            ("sv", "Vi kan inte ta emot ditt meddelande just nu"),
            ("en", "We cannot receive your message right now"),
        ):
            answer = await gateway.post(f"{LEADS}?lang={language}", message="Nytt")
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["retry-after"] == "5"
            assert answer.json()["title"] == title
        assert (await gateway.client.get(kept.headers["location"])).status_code == 200


async def test_a_new_forms_file_is_in_force_at_once(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        assert (await gateway.post(city="Solna")).status_code == 202
        other = tmp_path / "other"
        other.mkdir()
        text = FORMS.replace(
            "[forms.prov]", '[[forms.kontakt.fields]]\nname = "city"\nrequired = true\n[forms.prov]'
        )
        async with open_gateway(other, text) as changed:
            gateway.forms.current = changed.forms.current
        answer = await gateway.post()
        assert answer.json()["errors"][0]["pointer"] == "#/city"
