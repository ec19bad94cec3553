"""What no browser sends: never a defect, and never a lead that is lost to it."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.gateways import ANNA, Gateway, open_gateway

# Thousands of examples of what other tests cover, each traced, would take twice as long.
pytestmark = [pytest.mark.anyio, pytest.mark.no_cover]

NASTY = (
    b"",
    b" ",
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"%",
    b"%%",
    b"%00",
    b"%ff%fe",
    b"%ED%A0%80",
    b"%C3",
    b"%u0041",
    b"%0d%0aSet-Cookie:x=1",
    b"..%2f..%2fetc",
    b"[",
    b"]",
    b"http://[",
    b"http://[::1",
    b"http://x:99999999/",
    b"https://x:y@z.se:443/?a=b#c",
    b"//",
    b"///f/kontakt",
    b"@",
    b":",
    b":99999",
    b"&&==&;",
    b"a" * 20_000,
    b"%F0%9F%8F%A0" * 500,
    b'"',
    b'"\\',
    b"'><script>alert(1)</script>",
    b"{{7*7}}{% raw %}",
    b"*",
    b"*/*;q=1e9",
    b"sv;q=nan, en;q=-1",
    b"wait=99999999999999999999",
    b"1" * 5000,
    b"-1",
    b"null",
    b"\xe2\x80\xae",
    b"xn--",
    b"xn--a" * 100,
)
HEADERS = (
    b"accept-language",
    b"accept",
    b"prefer",
    b"host",
    b"origin",
    b"referer",
    b"sec-fetch-site",
    b"sec-fetch-dest",
    b"cookie",
    b"if-none-match",
    b"if-modified-since",
    b"range",
    b"content-type",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"forwarded",
)
PARAMETERS = (
    b"lang",
    b"utm_source",
    b"pageUrl",
    b"receiver",
    b"email",
    b"landing_referrer",
    b"objectReference",
)
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
Headers = dict[bytes, bytes]


async def ask(
    gateway: Gateway,
    method: str,
    path: bytes,
    *,
    query: bytes = b"",
    headers: Headers | None = None,
    body: bytes = b"",
) -> tuple[int, bytes]:
    """As uvicorn hands on what httpx would refuse to send."""
    sent: list[Any] = []
    unread = [{"type": "http.request", "body": body}]

    async def receive() -> Any:
        return unread.pop() if unread else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": list({b"host": b"forms.example.se", **(headers or {})}.items()),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await gateway.app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def harass(gateway: Gateway, nasty: bytes) -> None:
    lead, typed = json.dumps(ANNA).encode(), b"firstName=A&lastName=B&email=a%40example.com&message=x"
    for method, path in (
        ("GET", b"/" + nasty),
        ("GET", b"/f/" + nasty),
        ("POST", b"/f/" + nasty),
        ("GET", b"/f/kontakt/thanks/" + nasty),
        ("GET", b"/f/" + nasty + b"/theme.css"),
        ("GET", b"/api/v1/forms/" + nasty),
        ("POST", b"/api/v1/forms/" + nasty + b"/leads"),
        ("GET", b"/api/v1/leads/" + nasty),
        ("OPTIONS", b"/api/v1/leads/" + nasty),
        ("GET", b"/static/" + nasty),
    ):
        status, _ = await ask(gateway, method, path)
        assert status in {200, 204, 404, 405, 415, 307}, path
    queries = [nasty, *(name + b"=" + nasty for name in PARAMETERS), nasty + b"=1"]
    options: list[dict[str, Any]] = [{"query": query} for query in queries]
    options += [{"headers": {name: nasty}} for name in HEADERS]
    for option in options:
        kind = {b"content-type": JSON} | option.get("headers", {})
        for method, path, body, good in (
            ("GET", b"/f/kontakt", b"", {200}),
            ("POST", b"/f/kontakt", typed, {303, 403, 415}),
            ("POST", b"/api/v1/forms/kontakt/leads", lead, {202, 403, 415}),
            ("GET", b"/api/v1/forms/kontakt", b"", {200}),
            ("GET", b"/static/leadgate.css", b"", {200, 206, 304, 400, 416}),
            ("GET", b"/okand", b"", {404}),
        ):
            sent = (
                {**kind, b"content-type": FORM} if body is typed and kind[b"content-type"] == JSON else kind
            )
            found = {
                **option,
                "headers": {name: value for name, value in sent.items() if name != b"prefer"},
            }
            status, answer = await ask(gateway, method, path, body=body, **found)
            assert status in good, (path, option)
            assert b"<script>alert" not in answer


async def send_bodies(gateway: Gateway, nasty: bytes) -> None:
    text = nasty.decode("utf-8", "surrogatepass") if nasty != b"\xff\xfe" else "\udcff"
    for name in ("firstName", "email", "phone", "message", "pageUrl", "receiver", "language", text):
        body = json.dumps(ANNA | {name: text}).encode()
        status, _ = await ask(
            gateway, "POST", b"/api/v1/forms/kontakt/leads", headers={b"content-type": JSON}, body=body
        )
        assert status in {202, 422}
    for body in (nasty, b"email=" + nasty, nasty + b"=x", b"token=" + nasty + b"&language=" + nasty):
        status, _ = await ask(gateway, "POST", b"/f/kontakt", headers={b"content-type": FORM}, body=body)
        assert status in {303, 422}
    kind = b"multipart/form-data; boundary=x"
    part = b'--x\r\nContent-Disposition: form-data; name="' + nasty + b'"\r\n\r\n' + nasty + b"\r\n--x--\r\n"
    for content_type, body in (
        (kind, part),
        (kind, nasty),
        (kind, part[:-6]),
        (b"multipart/form-data; boundary=" + nasty, part),
        (b"multipart/form-data; charset=" + nasty + b"; boundary=x", part),
    ):
        status, _ = await ask(
            gateway, "POST", b"/f/kontakt", headers={b"content-type": content_type}, body=body
        )
        assert status in {303, 400, 422}


async def test_nothing_hostile_is_a_defect(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for nasty in NASTY:
            await harass(gateway, nasty)


async def test_a_hostile_body_is_a_lead_or_a_refusal(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        for nasty in NASTY:
            await send_bodies(gateway, nasty)
