"""Whose page may speak to the gateway, and whose may read what it answers."""

from pathlib import Path

import pytest

from app.web.origins import may_speak, read_origin
from tests.gateways import ANNA, HOST, LEADS, LISTED, NOBODY, STRANGER, open_gateway

ALLOWED = ("https://www.byran.se", "https://byran.se:8443", "http://localhost:8002", "http://[::1]:3000")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://www.byran.se", True),
        ("HTTPS://WWW.BYRAN.SE", True),
        ("https://www.byran.se:443", True),
        ("https://byran.se:8443", True),
        ("http://localhost:8002", True),
        ("http://[::1]:3000", True),
        ("https://byran.se", False),
        ("http://www.byran.se", False),
        ("https://www.byran.se:80", False),
        ("https://www.byran.se:0", False),
        ("https://www.byran.se:8443", False),
        ("https://www.byran.se.evil.com", False),
        ("https://evilwww.byran.se", False),
        ("https://sub.www.byran.se", False),
        ("https://www.byran.se.", False),
        ("https://www.byran.se@evil.com", False),
        ("https://evil.com@www.byran.se", False),
        ("https://www.byran.se/", False),
        ("https://www.byran.se/path", False),
        ("https://www.byran.se?x", False),
        ("https://www.byran.se#x", False),
        (" https://www.byran.se", False),
        ("https://www.byran.se https://evil.com", False),
        ("https://www.byran.se, https://evil.com", False),
        ("https://www.byran.se\\@evil.com", False),
        ("https://www.byran.se:99999999", False),
        ("ftp://www.byran.se", False),
        ("https://", False),
        ("https://[", False),
        ("null", False),
        ("", False),
        ("*", False),
    ],
)
def test_an_origin_is_the_listed_one_or_a_stranger(origin: str, allowed: bool) -> None:
    assert may_speak(origin=origin, host=HOST, fetch_site="cross-site", allowed=ALLOWED) is allowed


@pytest.mark.parametrize(
    ("origin", "host", "site", "allowed"),
    [
        # Behind a proxy that ends TLS nothing but the host is left.
        ("https://forms.example.se", "forms.example.se", None, True),
        ("http://forms.example.se", "forms.example.se", None, True),
        ("https://forms.example.se", "FORMS.example.se:443", None, True),
        ("https://forms.example.se:8443", "forms.example.se:8443", None, True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", None, True),
        ("http://[::1]:8000", "[::1]:8000", None, True),
        ("https://forms.example.se:8443", "forms.example.se", None, False),
        ("https://forms.example.se", "forms.example.se:8443", None, False),
        ("https://forms.example.se.evil.com", "forms.example.se", None, False),
        ("https://forms.example.se", None, None, False),
        ("https://forms.example.se", "[", None, False),
        ("null", "null", None, False),
        # The browser's own word.
        ("null", "forms.example.se", "same-origin", True),
        ("https://other.example", "forms.example.se", "same-origin", True),
        ("null", "forms.example.se", "same-site", False),
        ("null", "forms.example.se", "none", False),
        (None, None, None, True),
    ],
)
def test_the_services_own_origin_needs_no_configuration(
    origin: str | None, host: str | None, site: str | None, allowed: bool
) -> None:
    assert may_speak(origin=origin, host=host, fetch_site=site) is allowed


@pytest.mark.parametrize(
    "public_url", ["https://forms.example.se", "https://FORMS.example.se:443/", "https://forms.example.se/x"]
)
def test_the_public_address_is_the_services_own(public_url: str) -> None:
    origin = "https://forms.example.se"
    assert may_speak(origin=origin, host="127.0.0.1:8000", fetch_site=None, public_url=public_url)
    assert not may_speak(origin="https://x.se", host="127.0.0.1", fetch_site=None, public_url=public_url)


def test_an_origin_is_read_as_the_forms_file_writes_it() -> None:
    assert read_origin("HTTP://LocalHost:080") == "http://localhost"
    assert read_origin("https://xn--mklare-bua.se") == "https://xn--mklare-bua.se"
    assert read_origin("https://mäklare.se") is None


REQUESTS = [
    ("POST", LEADS, {"json": ANNA}, 202),
    ("POST", LEADS, {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
    ("POST", LEADS, {"content": b" " * 70_000, "headers": {"content-type": "application/json"}}, 413),
    ("POST", LEADS, {"content": b"a=b"}, 415),
    ("POST", LEADS, {"json": {}}, 422),
    ("PUT", LEADS, {}, 405),
    ("OPTIONS", LEADS, {}, 204),
    ("GET", "/api/v1/forms/kontakt", {}, 200),
    ("HEAD", "/api/v1/forms/kontakt", {}, 200),
    ("DELETE", "/api/v1/forms/kontakt", {}, 405),
    ("OPTIONS", "/api/v1/forms/kontakt", {}, 204),
    ("POST", "/api/v1/forms/okand/leads", {"json": ANNA}, 404),
    ("OPTIONS", "/api/v1/forms/okand/leads", {}, 204),
    ("GET", f"/api/v1/leads/{NOBODY}", {}, 404),
    ("OPTIONS", f"/api/v1/leads/{NOBODY}", {}, 204),
    ("POST", f"/api/v1/leads/{NOBODY}", {}, 405),
    ("GET", "/api/v1/okand", {}, 404),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("method", "path", "options", "status"), REQUESTS)
async def test_every_answer_of_the_api_says_who_may_read_it(
    tmp_path: Path, method: str, path: str, options: dict[str, object], status: int
) -> None:
    async with open_gateway(tmp_path) as gateway:
        for origin, echoed in ((LISTED, LISTED), (f"https://{HOST}", f"https://{HOST}"), (None, None)):
            extra: dict[str, str] = dict(options.get("headers", {}))  # type: ignore[call-overload]
            headers = extra | ({"Origin": origin} if origin else {})
            answer = await gateway.client.request(method, path, **(options | {"headers": headers}))  # type: ignore[arg-type]
            assert answer.status_code == status
            assert answer.headers.get("access-control-allow-origin") == echoed
            assert answer.headers.get_list("vary") == ["Origin"]
            assert "access-control-allow-credentials" not in answer.headers
            exposed = answer.headers.get("access-control-expose-headers", "")
            assert ("Idempotent-Replayed" in exposed and "Retry-After" in exposed) is bool(echoed)
        for stranger in (STRANGER, "null", "http://www.byran.se", "https://vardera.byran.se:444"):
            answer = await gateway.client.request(
                method,
                path,
                **(options | {"headers": extra | {"Origin": stranger}}),  # type: ignore[arg-type]
            )
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["vary"] == "Origin"


@pytest.mark.anyio
async def test_a_broken_store_and_a_defect_say_it_too(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        gateway.store.close()
        for answer in (
            await gateway.post(headers={"Origin": LISTED}),
            await gateway.client.get(f"/api/v1/leads/{NOBODY}", headers={"Origin": LISTED}),
        ):
            assert answer.status_code == 503
            assert answer.headers["access-control-allow-origin"] == LISTED
            assert answer.headers["vary"] == "Origin"
            assert answer.headers["retry-after"] == "5"


@pytest.mark.anyio
async def test_a_preflight_is_kept_for_two_hours(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        asked = {
            "Origin": LISTED,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,idempotency-key,prefer",
        }
        answer = await gateway.client.options(LEADS, headers=asked)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == LISTED
        assert answer.headers["access-control-allow-methods"] == "POST"
        assert answer.headers["access-control-allow-headers"] == "Content-Type, Idempotency-Key, Prefer"
        assert answer.headers["access-control-max-age"] == "7200"


@pytest.mark.anyio
async def test_what_became_of_a_lead_is_read_by_its_forms_pages_alone(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        location = (await gateway.post()).headers["location"]
        mine = await gateway.client.get(location, headers={"Origin": LISTED})
        others = await gateway.client.get(location, headers={"Origin": "https://vardera.byran.se"})
        assert mine.headers["access-control-allow-origin"] == LISTED
        assert "access-control-allow-origin" not in others.headers
        assert mine.headers["cache-control"] == "no-store"


@pytest.mark.anyio
async def test_only_listed_pages_may_post(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for path, body in ((LEADS, {"json": ANNA}), ("/f/kontakt", {"data": ANNA})):
            for headers, refused in (
                ({}, False),
                ({"Origin": LISTED}, False),
                ({"Origin": f"https://{HOST}"}, False),
                ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, False),
                ({"Origin": "null"}, True),
                ({"Origin": STRANGER}, True),
                ({"Origin": STRANGER, "Sec-Fetch-Site": "cross-site"}, True),
                ({"Origin": "https://vardera.byran.se"}, True),
            ):
                answer = await gateway.client.post(path, headers=headers, **body)  # type: ignore[arg-type]
                assert (answer.status_code == 403) is refused, (path, headers)
                assert answer.status_code in {202, 303, 403}
        assert await gateway.count() == 1


@pytest.mark.anyio
async def test_null_is_never_echoed(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        answer = await gateway.post(headers={"Origin": "null", "Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 202
        assert "access-control-allow-origin" not in answer.headers
