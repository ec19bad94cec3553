"""Headers, cookies, routes and defects: what holds of every answer, whoever asks."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount, Route

from app.errors import ConfigurationError, Mistake
from app.lead import LeadState
from app.links import Act, LinkSigner
from app.log import configure_logging
from app.main import create_watch_app
from app.web.routing import make_route
from tests.gateways import (
    ANNA,
    HOST,
    LEADS,
    LISTED,
    NOBODY,
    SECRET,
    STRANGER,
    Gateway,
    build,
    open_gateway,
    read_page,
)

ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
CLOSED = {"content-security-policy": "default-src 'none'; frame-ancestors 'none'"}
NO_STORE = {"cache-control": "no-store"}
VARY = {"vary": "Origin"}
GZIP = {"content-encoding": "gzip", "vary": "Accept-Encoding"}
_PAGE = (
    "default-src 'none'; style-src 'self'{0}; script-src 'self'; img-src 'self' data:{1}; connect-src 'self'; "
    "form-action 'self'{2}; base-uri 'none'; frame-ancestors 'self'{3}"
)
SHARED_ALIKE = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
SHARED = SHARED_ALIKE | {"content-encoding": "gzip", "vary": "Accept-Encoding"}
LISTED_FRAMES = " https://www.byran.se https://byran.se:8443 http://localhost:8002"


def page(styles: str = "", images: str = "", targets: str = "", frames: str = "") -> dict[str, str]:
    return NO_STORE | {"content-security-policy": _PAGE.format(styles, images, targets, frames)}


KONTAKT = page(frames=LISTED_FRAMES)
VARDERING = page(
    " https://stil.byran.se",
    " https://bilder.byran.se",
    " https://tack.byran.se",
    " https://vardera.byran.se",
)
UNFRAMED = page()["content-security-policy"].replace("frame-ancestors 'self'", "frame-ancestors 'none'")
# As good as a key: its address goes to nobody else, and nobody frames it.
SETTLE = {name: value.replace(f"'self'{LISTED_FRAMES}", "'none'") for name, value in KONTAKT.items()} | {
    "referrer-policy": "same-origin"
}
# What each answer says beside ALWAYS. Of the content alone: type, length, digest and date.
HEADERS: list[tuple[str, str, int, dict[str, str]]] = [
    ("POST", LEADS, 202, CLOSED | VARY | {"leadgate-conversion": "1"}),
    ("POST", LEADS, 400, CLOSED | VARY | NO_STORE),
    ("POST", LEADS, 403, CLOSED | VARY | NO_STORE),
    ("POST", "/api/v1/forms/okand/leads", 404, CLOSED | VARY | NO_STORE),
    ("POST", LEADS, 413, CLOSED | VARY | NO_STORE),
    ("POST", LEADS, 415, CLOSED | VARY | NO_STORE),
    ("POST", LEADS, 422, CLOSED | VARY | NO_STORE),
    ("POST", LEADS, 503, CLOSED | VARY | NO_STORE),
    ("GET", LEADS, 405, CLOSED | VARY | NO_STORE),
    ("OPTIONS", LEADS, 204, CLOSED | VARY),
    ("OPTIONS", "/api/v1/forms/kontakt", 204, CLOSED | VARY),
    ("GET", "/api/v1/forms/kontakt", 200, CLOSED | VARY | {"cache-control": "public, max-age=60"}),
    ("GET", "/api/v1/forms/okand", 404, CLOSED | VARY | NO_STORE),
    ("OPTIONS", "/api/v1/leads/KEPT", 204, CLOSED | VARY),
    ("GET", "/api/v1/leads/KEPT", 200, CLOSED | VARY | NO_STORE),
    ("GET", "/api/v1/leads/KEPT", 503, CLOSED | VARY | NO_STORE),
    ("GET", f"/api/v1/leads/{NOBODY}", 404, CLOSED | VARY | NO_STORE),
    ("GET", "/f/kontakt", 200, KONTAKT | GZIP),
    ("POST", "/f/kontakt", 303, CLOSED),
    ("POST", "/f/kontakt", 403, KONTAKT | GZIP),
    ("POST", "/f/kontakt", 413, KONTAKT | GZIP),
    ("POST", "/f/kontakt", 415, KONTAKT | GZIP),
    ("POST", "/f/kontakt", 422, KONTAKT | GZIP),
    ("POST", "/f/kontakt", 503, KONTAKT | GZIP),
    ("PUT", "/f/kontakt", 405, KONTAKT),
    ("GET", "/f/kontakt/thanks/KEPT", 200, KONTAKT),
    ("GET", "/f/kontakt/thanks/KEPT", 503, KONTAKT),
    ("GET", f"/f/kontakt/thanks/{NOBODY}", 404, KONTAKT),
    ("GET", "/f/vardering", 200, VARDERING | GZIP),
    ("GET", "/f/objekt", 200, page() | GZIP),
    ("GET", "/f/okand", 404, page() | GZIP),
    ("GET", "/f/vardering/theme.css", 200, CLOSED | {"cache-control": "public, max-age=86400"}),
    ("GET", "/f/okand/theme.css", 404, page()),
    ("GET", "/settle/LINK", 200, SETTLE),
    ("POST", "/settle/LINK", 303, CLOSED),
    ("GET", "/settle/x", 404, SETTLE | {"content-security-policy": UNFRAMED}),
    ("GET", "/healthz", 200, CLOSED | NO_STORE),
    ("GET", "/readyz", 200, CLOSED | NO_STORE),
    ("GET", "/readyz", 503, CLOSED | NO_STORE | {"vary": "Accept"}),
    ("DELETE", "/readyz", 405, CLOSED | NO_STORE | {"vary": "Accept"}),
    ("GET", "/metrics", 200, CLOSED | NO_STORE),
    ("GET", "/metrics", 403, CLOSED | NO_STORE),
    ("GET", "/openapi.json", 200, CLOSED),
    (
        "GET",
        "/static/leadgate.css",
        200,
        CLOSED
        | GZIP
        | {"cache-control": "public, max-age=300", "cross-origin-resource-policy": "cross-origin"},
    ),
    ("GET", "/admin", 404, page()),
    ("POST", "/admin/login", 404, page()),
    ("GET", "/embed/v1.js", 200, CLOSED | SHARED | {"cache-control": "public, max-age=300"}),
    ("GET", "/embed/okand.js", 404, CLOSED | NO_STORE | {"vary": "Accept"}),
    ("GET", "/embed/v1/kontakt", 200, CLOSED | NO_STORE | SHARED_ALIKE),
    ("GET", "/static/okand.css", 404, CLOSED | NO_STORE | {"vary": "Accept"}),
    ("GET", "/", 404, CLOSED | NO_STORE | {"vary": "Accept"}),
    ("GET", "/defect", 500, CLOSED | NO_STORE | {"vary": "Accept"}),
    ("GET", "/api/v1/defect", 500, CLOSED | NO_STORE | VARY),
    ("GET", "/f/kontakt/defect", 500, page()),
]
_OF_CONTENT = {
    "content-type",
    "retry-after",
    "content-length",
    "etag",
    "last-modified",
    "accept-ranges",
    "allow",
    "location",
}
_OF_PREFLIGHT = {f"access-control-{name}" for name in ("allow-methods", "allow-headers", "max-age")}

SENTINEL = "anna@example.com 19121212-1212"


async def fail(request: Request) -> Response:
    raise ValueError(SENTINEL)


def add_defects(gateway: Gateway) -> None:
    paths = (
        "/defect",
        "/api/v1/defect",
        "/f/kontakt/defect",
        "/f/{form}/x/defect",
        "/api/v1/forms/{form}/defect",
    )
    gateway.app.router.routes.extend(make_route(path, GET=fail, POST=fail) for path in paths)


@pytest.fixture
def log() -> Iterator[StringIO]:
    root, stream = logging.getLogger(), StringIO()
    before = root.handlers[:], root.level
    configure_logging("json", stream=stream)
    yield stream
    root.handlers[:], root.level = before


NEW = ANNA | {"message": "Ny"}


NEAR = {"headers": {"Host": "127.0.0.1:8000"}}
"""As this machine asks."""


def fill_in(path: str, lead_id: str) -> str:
    link = LinkSigner(SECRET).issue(lead_id, Act.EXISTS, occasion="held:1")
    return path.replace("KEPT", lead_id).replace("LINK", link)


def send_for(status: int, path: str) -> dict[str, Any]:
    """What a POST sends to be answered so."""
    page = path.startswith("/f/")
    match status:
        case 400:
            return {"content": b"{", "headers": {"Content-Type": "application/json"}}
        case 403:
            return {"json": NEW, "headers": {"Origin": STRANGER}}
        case 413:
            return {"data": {"message": "x" * 70_000}} if page else {"json": {"message": "x" * 70_000}}
        case 415:
            return {"json": NEW} if page else {"data": NEW}
        case 422:
            return {"data": {"email": "x"}} if page else {"json": {}}
    return {"data": NEW} if page else {"json": NEW}


@pytest.mark.anyio
@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(("method", "path", "status", "headers"), HEADERS)
async def test_every_answer_has_its_headers_and_no_other(
    tmp_path: Path, method: str, path: str, status: int, headers: dict[str, str]
) -> None:
    async with open_gateway(tmp_path) as gateway:
        add_defects(gateway)
        kept = await gateway.post()
        if status == 503:
            gateway.store.close()
        if "LINK" in path:
            await gateway.settle(kept.json()["id"], LeadState.HELD)
        answer = await gateway.client.request(
            method,
            fill_in(path, kept.json()["id"]),
            **send_for(status, path)
            if method == "POST"
            else NEAR
            if (path, status) == ("/metrics", 200)
            else {},
        )
        left_out = _OF_CONTENT | (_OF_PREFLIGHT if method == "OPTIONS" else set())
        assert answer.status_code == status
        assert {k: v for k, v in answer.headers.items() if k not in left_out} == ALWAYS | headers


VISITORS, DEVELOPERS, WATCHERS = "visitors", "developers", "whoever watches the process"
STRANGERS, OPERATORS = "whoever wants to sign in", "operators who have signed in"
EMBEDDERS, OFFICES = "pages that embed a form", "an office that was sent the link"
ROUTES = {
    ("/openapi.json", "GET"): DEVELOPERS,
    ("/api/v1/forms/{form}/leads", "POST"): DEVELOPERS,
    ("/api/v1/forms/{form}/leads", "OPTIONS"): DEVELOPERS,
    ("/api/v1/forms/{form}", "GET"): DEVELOPERS,
    ("/api/v1/forms/{form}", "OPTIONS"): DEVELOPERS,
    ("/api/v1/leads/{id}", "GET"): DEVELOPERS,
    ("/api/v1/leads/{id}", "OPTIONS"): DEVELOPERS,
    ("/f/{form}", "GET"): VISITORS,
    ("/f/{form}", "POST"): VISITORS,
    ("/f/{form}/thanks/{id}", "GET"): VISITORS,
    ("/f/{form}/theme.css", "GET"): VISITORS,
    ("/static", "GET"): VISITORS,
    ("/admin/login", "GET"): STRANGERS,
    ("/admin/login", "POST"): STRANGERS,
    ("/admin/logout", "POST"): OPERATORS,
    ("/admin", "GET"): OPERATORS,
    ("/admin/search", "POST"): OPERATORS,
    ("/admin/leads/{id}", "GET"): OPERATORS,
    ("/admin/leads/{id}/{action}", "POST"): OPERATORS,
    ("/admin/leads/{id}/edit", "GET"): OPERATORS,
    ("/admin/leads/{id}/edit", "POST"): OPERATORS,
    ("/admin/messages", "GET"): OPERATORS,
    ("/admin/gates", "GET"): OPERATORS,
    ("/admin/gates/probe", "POST"): OPERATORS,
    ("/admin/circuits/probe", "POST"): OPERATORS,
    ("/admin/forms", "GET"): OPERATORS,
    ("/admin/forms/{form}", "GET"): OPERATORS,
    ("/admin/audit", "GET"): OPERATORS,
    ("/embed/{file}", "GET"): EMBEDDERS,
    ("/embed/v1/{form}", "GET"): EMBEDDERS,
    ("/healthz", "GET"): WATCHERS,
    ("/readyz", "GET"): WATCHERS,
    ("/metrics", "GET"): WATCHERS,
    ("/settle/{token}", "GET"): OFFICES,
    ("/settle/{token}", "POST"): OFFICES,
}
"""Every way in, and for whom it is. A new route fails this test until somebody has thought about that."""


PUBLIC = {VISITORS, EMBEDDERS, DEVELOPERS, OFFICES, WATCHERS}
"""Who needs no account. The others' routes are not there until one is configured."""


def list_public() -> list[tuple[str, str]]:
    return [route for route, audience in ROUTES.items() if audience in PUBLIC]


def list_routes(app: Any) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        if isinstance(route, Mount):
            yield route.path, "GET"
        else:
            assert isinstance(route, Route)
            yield from ((route.path, method) for method in (route.methods or set()) - {"HEAD"})


def test_every_route_is_known_with_its_audience(tmp_path: Path) -> None:
    app, _, _ = build(tmp_path)
    found = list(list_routes(app))
    assert len(found) == len(set(found))
    assert set(found) == set(ROUTES)
    assert set(ROUTES.values()) <= PUBLIC | {STRANGERS, OPERATORS}


def find_route(app: Any, method: str, path: str) -> str | None:
    """The pattern of the route that an address leads to."""
    scope = {"type": "http", "method": method, "path": path, "root_path": ""}
    matches = [(route.matches(scope)[0], route.path) for route in app.routes]
    return next((path for match, path in matches if match is not Match.NONE), None)


def test_a_route_without_an_audience_or_a_snapshot_does_not_go_unnoticed(tmp_path: Path) -> None:
    app, _, _ = build(tmp_path)
    app.router.routes.append(make_route("/ny", GET=fail))
    assert ("/ny", "GET") in set(list_routes(app)) - set(ROUTES)
    assert {("/ny", "GET")} <= set(list_routes(app)) - find_snapshots(app).keys()


def find_snapshots(app: Any) -> dict[tuple[str, str], set[int]]:
    """The statuses whose headers are held, by route and method."""
    found: dict[tuple[str, str], set[int]] = {}
    for method, path, status, _ in HEADERS:
        if (pattern := find_route(app, method, path)) is not None:
            found.setdefault((pattern, method), set()).add(status)
    return found


def test_every_route_has_a_snapshot_of_a_success_and_of_a_refusal(tmp_path: Path) -> None:
    app, _, _ = build(tmp_path)
    found = find_snapshots(app)
    by_path: dict[str, set[int]] = {}
    for path, method in list_public():
        assert min(found.get((path, method), {999})) < 400, (path, method)
        by_path.setdefault(path, set()).update(found[path, method])
    # These can only be refused for their method, as any other is.
    assert {path for path, statuses in by_path.items() if max(statuses) < 400} <= {
        "/openapi.json",
        "/healthz",
        "/embed/v1/{form}",
    }


METHODS = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"),
    *("PROPFIND", "TRACK", "DEBUG", "GET2", "\u00c5"),
)
OVERRIDES = {"X-HTTP-Method-Override": "GET", "X-HTTP-Method": "POST", "X-Method-Override": "DELETE"}


@pytest.mark.anyio
async def test_a_method_that_a_route_does_not_know_is_refused_with_those_it_does(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        known: dict[str, set[str]] = {}
        for path, method in list_public():
            known.setdefault(path, set()).update({method, "HEAD"} if method == "GET" else {method})
        for pattern, methods in known.items():
            path = pattern.replace("{form}", "kontakt").replace("{id}", NOBODY)
            path += "/leadgate.css" if pattern == "/static" else ""
            for method in set(METHODS) - methods:
                answer = await gateway.client.request(method, path + "?_method=GET", headers=OVERRIDES)
                assert answer.status_code == 405, (method, path)
                assert set(answer.headers["allow"].split(", ")) == methods
                assert OVERRIDES.keys().isdisjoint(answer.headers)
                assert "Override" not in answer.text  # TRACE would send back what was sent


@pytest.mark.anyio
async def test_https_is_said_to_stay_where_visitors_come_by_it(tmp_path: Path) -> None:
    year = "max-age=31536000"
    async with open_gateway(tmp_path, public_url="https://forms.byran.se") as gateway:
        for path in ("/f/kontakt", "/api/v1/okand", "/static/leadgate.css"):
            assert (await gateway.client.get(path)).headers["strict-transport-security"] == year
    async with open_gateway(tmp_path, public_url="http://localhost:8000") as gateway:
        assert "strict-transport-security" not in (await gateway.client.get("/f/kontakt")).headers
        # As uvicorn has it once a trusted proxy has said so.
        answer = await gateway.client.get(f"https://{HOST}/f/kontakt")
        assert answer.headers["strict-transport-security"] == year


@pytest.mark.anyio
@pytest.mark.parametrize("public_url", [None, "https://forms.byran.se"])
async def test_no_answer_is_made_of_the_name_it_was_asked_by(tmp_path: Path, public_url: str | None) -> None:
    """Any name is served, as a proxy may not hand on the visitor's: so the name must not be believed."""
    names = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil.example",
    }
    names |= {
        "Forwarded": "host=evil.example",
        "X-Original-URL": "/evil.example",
        "X-Rewrite-URL": "/evil.example",
    }
    async with open_gateway(tmp_path, public_url=public_url) as gateway:
        kept = (await gateway.post()).json()["id"]
        for method, path, status, _ in HEADERS:
            if status not in {500, 503}:
                answer = await gateway.client.request(
                    method,
                    fill_in(path, kept),
                    **merge_headers(send_for(status, path) if method == "POST" else {}, names),
                )
                assert answer.status_code in {status, 403, 404}
                assert "evil.example" not in answer.text + str(answer.headers)


def merge_headers(options: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    return options | {"headers": options.get("headers", {}) | headers}


@pytest.mark.anyio
async def test_what_watches_a_delivering_process_is_held_to_the_same(tmp_path: Path, log: StringIO) -> None:
    _, store, forms = build(tmp_path)
    store.open()
    app = create_watch_app(forms=forms, store=store)
    watched = {(path, method) for (path, method), whose in ROUTES.items() if whose is WATCHERS}
    assert set(list_routes(app)) == watched
    app.router.routes.append(make_route("/defect", GET=fail))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        answers = [
            await client.get(path) for path in ("/healthz", "/readyz", "/metrics", "/defect", "/okand")
        ]
        store.close()
        answers.append(await client.get("/readyz"))
    assert [answer.status_code for answer in answers] == [200, 200, 403, 500, 404, 503]
    for answer in answers:
        assert (ALWAYS | CLOSED).items() <= dict(answer.headers).items()
    assert "anna" not in log.getvalue() + answers[3].text


@pytest.mark.anyio
async def test_no_public_route_sets_a_cookie(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        page = read_page(await gateway.client.get("/f/kontakt"))
        thanks = await gateway.client.post("/f/kontakt", data=page.fields | ANNA, follow_redirects=True)
        assert thanks.status_code == 200
        await gateway.post()
        for path, _ in ROUTES:
            await gateway.client.get(path.replace("{form}", "kontakt").replace("{id}", NOBODY))
        assert not list(gateway.client.cookies.jar)


@pytest.mark.anyio
async def test_a_defect_is_told_without_its_text_and_logged_without_values(
    tmp_path: Path, log: StringIO
) -> None:
    async with open_gateway(tmp_path) as gateway:
        add_defects(gateway)
        for path, kind in (
            ("/api/v1/forms/kontakt/defect", "application/problem+json"),
            ("/f/kontakt/x/defect", "text/html; charset=utf-8"),
        ):
            for language, title in (
                ("sv", "Något gick fel hos oss"),
                ("en", "Something went wrong on our side"),
            ):
                answer = await gateway.client.post(
                    f"{path}?lang={language}&email={SENTINEL}",
                    data={"email": SENTINEL},
                    headers={"Origin": LISTED},
                )
                assert answer.status_code == 500
                assert answer.headers["content-type"] == kind
                assert title in answer.text
                assert SENTINEL not in answer.text
                assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'self' https://www.byran.se" in answer.headers["content-security-policy"]
        api = await gateway.client.get("/api/v1/forms/kontakt/defect", headers={"Origin": LISTED})
        assert api.headers["access-control-allow-origin"] == LISTED
        assert api.headers["vary"] == "Origin"
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    defects = [line for line in lines if line["event"] == "request_failed"]
    assert len(defects) == 5
    assert defects[0]["exception"] == "ValueError"
    assert defects[0]["trace"][-1].endswith(" fail")
    assert "anna" not in log.getvalue()
    assert "1212" not in log.getvalue()


@pytest.mark.anyio
async def test_a_failure_of_ours_that_is_no_refusal_is_a_defect(tmp_path: Path, log: StringIO) -> None:
    async def misconfigure(request: Request) -> Response:
        raise ConfigurationError([Mistake(source="forms.toml", key="", message=SENTINEL)])

    async with open_gateway(tmp_path) as gateway:
        gateway.app.router.routes.append(make_route("/x", GET=misconfigure))
        answer = await gateway.client.get("/x")
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:leadgate:problem:defect")
    assert '"exception": "ConfigurationError"' in log.getvalue()
    assert "anna" not in log.getvalue() + answer.text


@pytest.mark.anyio
async def test_what_visitors_send_is_in_no_log(tmp_path: Path, log: StringIO) -> None:
    async with open_gateway(tmp_path) as gateway:
        await gateway.post()
        await gateway.post(email="anna@", phone="070-1")
        await gateway.post(headers={"Origin": STRANGER})
        await gateway.client.get("/f/kontakt?email=anna@example.com")
        await gateway.client.get("/api/v1/leads/anna@example.com")
        gateway.stop_writing()
        await gateway.post(message="Anna igen")
        await gateway.client.post("/f/kontakt", data=ANNA)
    assert "anna" not in log.getvalue().lower()


@pytest.mark.anyio
async def test_an_answer_that_breaks_off_is_not_begun_anew(tmp_path: Path, log: StringIO) -> None:
    class Broken(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise ValueError(SENTINEL)

    async def answer(request: Request) -> Response:
        return Broken()

    app, store, _ = build(tmp_path)
    store.open()
    app.router.routes.append(make_route("/broken", GET=answer))
    sent: list[Any] = []

    async def receive() -> Any:
        raise NotImplementedError

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/broken", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    store.close()
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert "anna" not in log.getvalue()


@pytest.mark.anyio
async def test_what_is_no_request_is_the_applications_own_affair(tmp_path: Path) -> None:
    app, _, _ = build(tmp_path)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/api/v1/x", "query_string": b"", "headers": [], "subprotocols": []}
    await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
