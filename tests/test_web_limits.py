"""Limits, API keys and proxies, as clients meet them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.cli.process import make_server
from app.environment import read_environment
from app.store.proxies import find_proxy
from app.web.proxies import ProxyWatch
from tests.conftest import Shell
from tests.gateways import ANNA, FORMS, HOST, LEADS, Gateway, open_gateway, read_page

pytestmark = pytest.mark.anyio

SECRETS = {"portal": "portal-secret", "annan": "annan-secret"}
KEYED = f"""{FORMS}
[forms.server.spam]
require_key = true

[forms.massa.spam]
trusted_networks = ["127.0.0.0/8"]

[api_keys.portal]
hash = "{sha256(SECRETS["portal"].encode()).hexdigest()}"
forms = ["kontakt", "server"]
rate = "4/minute"

[api_keys.annan]
hash = "{sha256(SECRETS["annan"].encode()).hexdigest()}"
forms = ["prov"]
"""
PORTAL = {"Authorization": f"Bearer {SECRETS['portal']}"}
SERVER = "/api/v1/forms/server/leads"


@asynccontextmanager
async def limited(folder: Path, rate_limit: str = "2/minute, 100/hour") -> AsyncIterator[Gateway]:
    async with open_gateway(folder, KEYED, rate_limit=rate_limit) as gateway:
        yield gateway


async def post(gateway: Gateway, path: str = LEADS, /, **headers: str) -> httpx.Response:
    """A lead unlike any other."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer: httpx.Response = await gateway.post(
        path, headers=named, message=f"Nummer {await gateway.count()}"
    )
    return answer


async def test_a_client_that_has_sent_enough_is_told_when_it_may_send_again(tmp_path: Path) -> None:
    async with limited(tmp_path) as gateway:
        assert [(await post(gateway)).status_code for _ in range(2)] == [202, 202]
        for language, title in (
            ("sv", "Det har kommit många meddelanden från ditt nätverk"),
            ("en", "Many messages have come from your network"),
        ):
            answer = await post(gateway, Accept_Language=language)
            problem = answer.json()
            assert (answer.status_code, problem["type"]) == (429, "urn:leadgate:problem:limit-reached")
            assert problem["title"] == title
            assert 50 <= int(answer.headers["retry-after"]) <= 60
            assert answer.headers["content-type"] == "application/problem+json"
        assert await gateway.count() == 2
        assert (await post(gateway, "/api/v1/forms/prov/leads")).status_code == 202


async def test_a_visitor_over_the_limit_keeps_what_she_wrote(tmp_path: Path) -> None:
    async with limited(tmp_path) as gateway:
        page = read_page(await gateway.client.get("/f/kontakt"))
        for number in range(2):
            sent = page.fields | ANNA | {"message": str(number)}
            assert (await gateway.client.post("/f/kontakt", data=sent)).status_code == 303
        sent = page.fields | ANNA | {"message": "Ett till", "phone": "070-174 06 05"}
        answer = await gateway.client.post("/f/kontakt", data=sent)
        again = read_page(answer)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert again.fields["message"] == "Ett till"
        assert again.fields["phone"] == "070-174 06 05"
        assert again.fields["token"] == page.fields["token"]
        assert "Det har kommit många meddelanden" in again.text
        as_script = await gateway.client.post("/f/kontakt", data=sent, headers={"Accept": "application/json"})
        assert (as_script.status_code, as_script.json()["status"]) == (429, 429)
        # What she had sent before is thanked for as ever.
        before = page.fields | ANNA | {"message": "1"}
        assert (await gateway.client.post("/f/kontakt", data=before)).status_code == 303


async def test_only_leads_that_were_kept_count_and_each_once(tmp_path: Path) -> None:
    async with limited(tmp_path) as gateway:
        for _ in range(5):
            assert (await gateway.client.post(LEADS, json={})).status_code == 422
            assert (await gateway.client.post(LEADS, content=b"{")).status_code == 415
        keyed = {"Idempotency-Key": "k"}
        for _ in range(5):
            assert (await gateway.post(headers=keyed)).status_code == 202
        assert (await post(gateway)).status_code == 202
        assert (await post(gateway)).status_code == 429
        replayed = await gateway.post(headers=keyed)
        assert (replayed.status_code, replayed.headers["idempotent-replayed"]) == (202, "true")
        assert await gateway.count() == 2


async def test_a_hundred_at_once_are_still_a_hundred(tmp_path: Path) -> None:
    async with limited(tmp_path, "7/minute") as gateway:
        answers = await asyncio.gather(*(gateway.post(message=f"Samtidigt {n}") for n in range(40)))
        assert sorted(answer.status_code for answer in answers) == [202] * 7 + [429] * 33
        assert await gateway.count() == 7


async def test_what_the_store_could_not_keep_counts_nothing(tmp_path: Path) -> None:
    async with limited(tmp_path) as gateway:
        gateway.stop_writing()
        assert [(await post(gateway)).status_code for _ in range(4)] == [503] * 4


async def test_a_trusted_network_has_no_limit(tmp_path: Path) -> None:
    async with limited(tmp_path) as gateway:
        answers = [await post(gateway, "/api/v1/forms/massa/leads") for _ in range(25)]
        assert {answer.status_code for answer in answers} == {202}


async def test_off_is_no_limit(tmp_path: Path) -> None:
    async with limited(tmp_path, "off") as gateway:
        assert {(await post(gateway)).status_code for _ in range(5)} == {202}


async def test_a_server_with_a_key_has_a_limit_of_its_own(tmp_path: Path) -> None:
    async with limited(tmp_path) as gateway:
        assert [(await post(gateway, **PORTAL)).status_code for _ in range(3)] == [202] * 3
        assert [(await post(gateway, SERVER, **PORTAL)).status_code for _ in range(2)] == [202, 429]
        # Nobody else's place was taken.
        assert (await post(gateway)).status_code == 202


@pytest.mark.parametrize(
    ("path", "authorization", "status", "kind"),
    [
        (SERVER, None, 401, "key-required"),
        (SERVER, "Basic dTpw", 401, "key-required"),
        (SERVER, "Bearer fel", 401, "key-required"),
        (LEADS, "Bearer fel", 401, "key-required"),
        (LEADS, f"Bearer {SECRETS['annan']}", 403, "key-not-allowed"),
        (SERVER, f"Bearer {SECRETS['annan']}", 403, "key-not-allowed"),
    ],
)
async def test_a_key_that_does_not_fit_is_refused(
    tmp_path: Path, path: str, authorization: str | None, status: int, kind: str
) -> None:
    async with limited(tmp_path) as gateway:
        headers = {"Authorization": authorization} if authorization else {}
        answer = await gateway.post(path, headers=headers)
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (status, f"urn:leadgate:problem:{kind}")
        assert (answer.headers.get("www-authenticate") == "Bearer") is (status == 401)
        assert "secret" not in answer.text
        assert await gateway.count() == 0


async def test_the_page_of_a_form_for_servers_stays_open(tmp_path: Path) -> None:
    async with limited(tmp_path) as gateway:
        page = read_page(await gateway.client.get("/f/server"))
        assert (await gateway.client.post("/f/server", data=page.fields | ANNA)).status_code == 303
        assert (await gateway.post(SERVER, headers=PORTAL, message="Hej")).status_code == 202


def believe(trusted: str, client: str, forwarded: str) -> tuple[str, str]:
    """By which scheme, and from whom, a request comes, as `leadgate serve` with these trusted proxies sees it."""
    seen: dict[str, Any] = {}

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.update(scope)

    settings = read_environment({"LEADGATE_TRUSTED_PROXIES": trusted}, dotenv=Path("none")).settings
    config = make_server(app, trusted_proxies=settings.trusted_proxies).config
    config.load()
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded.split("|")]
    headers += [
        (b"x-forwarded-proto", b"https"),
        (b"x-real-ip", b"198.51.100.66"),
        (b"forwarded", b"for=198.51.100.66"),
    ]
    scope = {"type": "http", "scheme": "http", "client": (client, 1), "headers": headers}
    asyncio.run(config.loaded_app(scope, None, None))
    return seen["scheme"], seen["client"][0]


VISITOR, EVIL = "203.0.113.9", "198.51.100.1"


@pytest.mark.parametrize(
    ("trusted", "client", "forwarded", "believed"),
    [
        ("", "127.0.0.1", VISITOR, "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", VISITOR, VISITOR),
        ("127.0.0.1", "127.0.0.1", f"{EVIL}, {VISITOR}", VISITOR),
        ("127.0.0.1", "127.0.0.1", f"{EVIL}|{VISITOR}", VISITOR),
        ("127.0.0.1", "127.0.0.1", f"127.0.0.1, {EVIL}, {VISITOR}", VISITOR),
        ("127.0.0.1,10.0.0.0/8", "127.0.0.1", f"{EVIL}, {VISITOR}, 10.1.2.3", VISITOR),
        ("127.0.0.1,10.0.0.0/8", "127.0.0.1", f"{EVIL}, {VISITOR}, 10.1.2.3, 10.9.9.9", VISITOR),
        # A hop that nobody named is as far as anybody is believed.
        ("127.0.0.1", "127.0.0.1", f"{VISITOR}, 10.1.2.3", "10.1.2.3"),
        ("10.0.0.0/8", EVIL, VISITOR, EVIL),
        ("10.0.0.0/8", "::ffff:10.0.0.7", VISITOR, VISITOR),
        ("10.0.0.0/8", "::ffff:11.0.0.7", VISITOR, "::ffff:11.0.0.7"),
        ("2001:db8::/32", "2001:db8::1", f"{EVIL}, 2001:db9::1", "2001:db9::1"),
    ],
)
def test_who_sends_is_read_from_the_right_past_named_proxies_alone(
    trusted: str, client: str, forwarded: str, believed: str
) -> None:
    scheme = "http" if believed == client else "https"
    assert believe(trusted, client, forwarded) == (scheme, believed)


def test_a_proxy_that_nobody_named_is_noticed_by_its_visitors() -> None:
    watch = ProxyWatch()
    notes = [watch.note("10.0.0.1", {"x-forwarded-for": f"203.0.113.{n % 5}"}) for n in range(25)]
    assert notes.index(True) == 19
    assert notes.count(True) == 1
    assert watch.suspected
    assert not watch.note("198.51.100.1", {})
    assert not watch.suspected


@pytest.mark.parametrize(
    "row",
    [
        # Named proxies: each visitor is believed to be who they say.
        [(f"203.0.113.{n}", {"x-forwarded-for": f"203.0.113.{n}"}) for n in range(60)],
        [
            (f"203.0.113.{n % 30}", {"x-forwarded-for": f"198.51.100.1, 203.0.113.{n % 30}"})
            for n in range(60)
        ],
        # No proxy at all.
        [("203.0.113.1", {})] * 60,
        # One visitor who writes such a header, among others or alone.
        [("203.0.113.1", {"x-forwarded-for": "198.51.100.1"}), ("203.0.113.2", {})] * 30,
        [("203.0.113.1", {"x-forwarded-for": "198.51.100.1"})] * 60,
    ],
)
def test_what_is_no_unnamed_proxy_is_not_taken_for_one(row: list[tuple[str, dict[str, str]]]) -> None:
    watch = ProxyWatch()
    assert not any(watch.note(client, headers) for client, headers in row)


async def test_an_unnamed_proxy_is_told_by_log_metric_and_check(tmp_path: Path, shell: Shell) -> None:
    async with open_gateway(tmp_path) as gateway:
        with capture_logs() as logs:
            for number in range(22):
                await gateway.post(headers={"X-Forwarded-For": f"203.0.113.{number}"}, message=str(number))
        warnings = [entry for entry in logs if entry["event"] == "proxy_not_named"]
        assert [entry["log_level"] for entry in warnings] == ["warning"]
        assert "203.0.113" not in json.dumps(logs, default=str)
        scraped = await gateway.client.get("/metrics", headers={"Host": "127.0.0.1:8000"})
        assert "leadgate_unnamed_proxy 1.0" in scraped.text
        assert await gateway.store.read(find_proxy)
    shell.set(LEADGATE_DATABASE_URL=f"sqlite:///{tmp_path / 'leads.db'}")
    shell.set(LEADGATE_VITEC_USERNAME="u", LEADGATE_VITEC_PASSWORD="p")
    told = await asyncio.to_thread(shell, "check")
    assert "LEADGATE_TRUSTED_PROXIES: is not set, and on " in told.out
    shell.set(LEADGATE_TRUSTED_PROXIES="10.0.0.0/8")
    assert "TRUSTED_PROXIES" not in (await asyncio.to_thread(shell, "check")).out


def test_an_address_that_only_a_proxy_can_answer_asks_for_its_name(tmp_path: Path) -> None:
    names = {"LEADGATE_PUBLIC_URL": f"https://{HOST}"}
    (warning,) = read_environment(names, dotenv=tmp_path / ".env").warnings
    assert warning.source == "LEADGATE_TRUSTED_PROXIES"
    named = names | {"LEADGATE_TRUSTED_PROXIES": "127.0.0.1"}
    assert not read_environment(named, dotenv=tmp_path / ".env").warnings
