"""Signing in and out of the operator's pages, and who is let in nowhere."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.lead import LeadState
from app.store.schema import audit
from app.users import LiveUsers
from app.web.admin.sessions import LASTS, Sessions
from app.web.admin.throttle import Throttle
from tests.admins import HASH, OWN, PASSWORD, make_users, open_admin
from tests.gateways import HOST, NOBODY, SECRET
from tests.test_web_security import OPERATORS, ROUTES

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
PLACES = [
    (path.replace("{id}", NOBODY).replace("{form}", "kontakt").replace("{action}", "retry"), method)
    for (path, method), audience in ROUTES.items()
    if audience == OPERATORS
]


async def test_whoever_knows_the_password_is_let_in(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in=None) as admin:
        asked = await admin.get("/admin?state=held")
        assert (asked.status_code, asked.headers["location"]) == (
            303,
            "/admin/login?next=%2Fadmin%3Fstate%3Dheld",
        )
        page = await admin.get(asked.headers["location"])
        assert 'name="next" value="/admin?state=held"' in page.text
        answer = await admin.sign_in(" Admin ", next="/admin?state=held")
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin?state=held")
        assert (await admin.get("/admin")).status_code == 200
        again = await admin.get("/admin/login")
        assert (again.status_code, again.headers["location"]) == (303, "/admin")


@pytest.mark.parametrize(
    ("name", "password"),
    [("admin", "wrong password"), ("nobody", PASSWORD), ("", ""), ("admin", ""), ("eva\x00", PASSWORD)],
)
async def test_whoever_does_not_is_not(tmp_path: Path, name: str, password: str) -> None:
    async with open_admin(tmp_path, signed_in=None) as admin:
        answer = await admin.sign_in(name, password)
        assert answer.status_code == 422
        assert "Namnet och lösenordet hör inte ihop." in answer.text
        assert "set-cookie" not in answer.headers
        if password:
            assert password not in answer.text
        assert (await admin.get("/admin")).status_code == 303


@pytest.mark.parametrize(("path", "method"), PLACES)
async def test_every_page_asks_strangers_to_sign_in(tmp_path: Path, path: str, method: str) -> None:
    async with open_admin(tmp_path, signed_in=None) as admin:
        answer = await admin.client.request(method, path, headers=OWN)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/admin/login")
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("path", "method"), [*PLACES, ("/admin/login", "GET"), ("/admin/login", "POST")])
async def test_without_users_there_are_no_such_pages(tmp_path: Path, path: str, method: str) -> None:
    async with open_admin(tmp_path, users=LiveUsers({}), signed_in=None) as admin:
        assert (await admin.client.request(method, path, headers=OWN)).status_code == 404


STRANGE: list[dict[str, str]] = [
    {},
    {"Origin": "null"},
    {"Origin": "https://www.annan.se"},
    {"Origin": f"http://{HOST}:8080"},
    {"Origin": "https://www.byran.se"},  # may post leads, and nothing else
    {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"},
    {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-site"},
    {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("headers", STRANGE)
async def test_nothing_is_done_for_another_page(tmp_path: Path, headers: dict[str, str]) -> None:
    async with open_admin(tmp_path) as admin:
        lead_id = await admin.keep(LeadState.HELD)
        places = [path.replace(NOBODY, lead_id) for path, method in PLACES if method == "POST"]
        for path in (*places, "/admin/login"):
            answer = await admin.post(path, headers=headers, name="admin", password=PASSWORD)
            assert answer.status_code == 403, path
        assert "Held" in (await admin.get(f"/admin/leads/{lead_id}")).text
        assert (await admin.get("/admin")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Origin": f"http://{HOST}"},
        {"Origin": f"https://{HOST}"},
        {"Origin": "https://leads.byran.se"},
    ],
)
async def test_our_own_pages_are_known_with_and_without_a_proxy(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with open_admin(tmp_path, signed_in=None, public_url="https://leads.byran.se") as admin:
        answer = await admin.post("/admin/login", headers=headers, name="admin", password=PASSWORD)
        assert answer.status_code == 303


def read_cookie(answer: httpx.Response) -> list[str]:
    return sorted(part.strip() for part in answer.headers["set-cookie"].split(";"))


async def test_the_cookie_is_for_this_host_and_this_browser(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in=None) as admin:
        plain = read_cookie(await admin.sign_in())
        assert plain[:4] == ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=strict"]
        assert plain[4].startswith("leadgate=")
        headers = {"Origin": f"https://{HOST}"}
        secure = read_cookie(
            await admin.post("/admin/login", headers=headers, name="admin", password=PASSWORD)
        )
        assert secure[:5] == ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=strict", "Secure"]
        assert secure[5].startswith("__Host-leadgate=")


async def test_over_https_a_cookie_from_plain_http_counts_for_nothing(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in=None, public_url=f"https://{HOST}") as admin:
        value = read_cookie(await admin.sign_in())[-1].partition("=")[2]
        admin.client.cookies.clear()
        for name, status in (("leadgate", 303), ("__Host-leadgate", 200)):
            answer = await admin.client.get("/admin", headers={"Cookie": f"{name}={value}"})
            assert answer.status_code == status


async def test_while_the_proxy_is_down_one_signs_in_on_the_machine_itself(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in=None, public_url="https://leads.byran.se") as admin:
        headers = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}
        answer = await admin.post("/admin/login", headers=headers, name="admin", password=PASSWORD)
        assert answer.headers["location"] == "/admin"
        assert (await admin.get("/admin")).status_code == 200


async def test_what_no_keyboard_writes_is_nothing_and_no_defect(tmp_path: Path) -> None:
    """PostgreSQL neither keeps nor looks for a NUL."""
    async with open_admin(tmp_path) as admin:
        for path in ("/admin?form=%00", "/admin?person=a%00", "/admin/leads/%00", "/admin/leads/%00/edit"):
            assert (await admin.get(path)).status_code == 404
        assert (await admin.post("/admin/leads/%00/retry")).status_code == 404
        found = await admin.post("/admin/search", q="\0anna\0@example.com")
        assert found.status_code == 303
        assert "%00" not in found.headers["location"]


async def test_whoever_signs_out_is_out_even_with_a_copy_of_the_cookie(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        cookies = dict(admin.client.cookies)
        answer = await admin.post("/admin/logout")
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin/login")
        assert not admin.client.cookies
        stolen = "; ".join(f"{name}={value}" for name, value in cookies.items())
        assert (await admin.get("/admin", Cookie=stolen)).status_code == 303
        await admin.sign_in()
        assert (await admin.get("/admin")).status_code == 200


async def test_another_password_ends_the_sessions_and_other_customers_do_not(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in="eva") as admin:
        admin.users.current = make_users(eva=["M1"], admin=None).current
        assert (await admin.get("/admin")).status_code == 200
        admin.users.current = {
            name: type(user)(name=name, password_hash=HASH.replace("m=8", "m=16"), customers=user.customers)
            for name, user in admin.users.current.items()
        }
        assert (await admin.get("/admin")).status_code == 303
        admin.users.current = make_users(admin=None).current
        assert (await admin.get("/admin")).status_code == 303


def test_a_session_lasts_a_working_day() -> None:
    sessions = Sessions(SECRET, make_users(eva=["M2"]))
    user = make_users(eva=["M2"]).current["eva"]
    cookie = sessions.issue(user, now=NOW)
    found = sessions.read(cookie, now=NOW + LASTS - timedelta(seconds=1))
    assert found is not None
    assert found.user.name == "eva"
    assert sessions.read(cookie, now=NOW + LASTS) is None
    assert sessions.read(cookie, now=NOW - timedelta(seconds=1)) is None


@pytest.mark.parametrize("text", [None, "", "x", "a.b.c", "W10.x", "é"])
def test_what_we_did_not_sign_is_no_session(text: str | None) -> None:
    assert Sessions(SECRET, make_users(eva=["M2"])).read(text, now=NOW) is None


def test_a_session_of_another_secret_or_shape_is_none() -> None:
    users = make_users(eva=["M2"])
    sessions, other = Sessions(SECRET, users), Sessions(b"1" * 32, users)
    user = users.current["eva"]
    assert sessions.read(other.issue(user, now=NOW), now=NOW) is None
    for content in ("eva", ["eva"], ["eva", "x", "soon", "y"], ["eva", "x", 10**30, "y"]):
        signed = sessions._serializer.dumps(content)
        assert sessions.read(str(signed), now=NOW) is None


async def test_guesses_are_slowed_down_for_whoever_makes_them(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in=None) as admin:
        statuses = [(await admin.sign_in("admin", "wrong password")).status_code for _ in range(5)]
        assert statuses == [422, 422, 422, 429, 429]
        answer = await admin.sign_in()
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        elsewhere = httpx.ASGITransport(admin.gateway.app, client=("198.51.100.7", 1))
        async with httpx.AsyncClient(transport=elsewhere, base_url=f"http://{HOST}") as client:
            fields = {"name": "admin", "password": PASSWORD}
            assert (await client.post("/admin/login", data=fields, headers=OWN)).status_code == 303


def test_pauses_double_to_a_minute_and_are_forgotten() -> None:
    throttle, now = Throttle(), NOW
    pauses = []
    for _ in range(12):
        assert not throttle.count_attempt("eva", "192.0.2.1", now=now)
        pauses.append(throttle.count_attempt("eva", "192.0.2.1", now=now).total_seconds())
        now += timedelta(seconds=pauses[-1])
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60] or pauses[-1] == 60
    assert not throttle.count_attempt("karin", "192.0.2.2", now=now)
    assert not throttle.count_attempt("eva", "192.0.2.1", now=now + timedelta(hours=2))


def test_what_is_refused_does_not_lengthen_the_pause() -> None:
    throttle = Throttle()
    for _ in range(3):
        assert not throttle.count_attempt("eva", "192.0.2.1", now=NOW)
    waits = {throttle.count_attempt("eva", "192.0.2.1", now=NOW) for _ in range(1000)}
    assert waits == {timedelta(seconds=1)}


def test_one_address_has_so_many_tries_for_all_users_together() -> None:
    throttle = Throttle()
    tried = [throttle.count_attempt(f"user{number}", "2001:db8::1", now=NOW) for number in range(11)]
    assert tried[:10] == [timedelta()] * 10
    assert tried[10] > timedelta()
    assert throttle.count_attempt("other", "2001:db8::2", now=NOW) > timedelta()  # the same /64
    assert not throttle.count_attempt("other", "2001:db8:0:1::2", now=NOW)


def test_who_comes_over_ipv4_to_a_dual_stack_socket_pays_for_nobody_else() -> None:
    throttle = Throttle()
    for _ in range(3):
        assert not throttle.count_attempt("eva", "::ffff:192.0.2.1", now=NOW)
    assert throttle.count_attempt("eva", "192.0.2.1", now=NOW) > timedelta()  # the same, told otherwise
    assert not throttle.count_attempt("eva", "::ffff:192.0.2.2", now=NOW)


def test_the_right_password_forgives() -> None:
    throttle = Throttle()
    for _ in range(3):
        throttle.count_attempt("eva", "192.0.2.1", now=NOW)
    throttle.welcome("eva", "192.0.2.1")
    assert throttle.knows("eva", "192.0.2.1")
    assert not throttle.knows("eva", "192.0.2.2")
    assert not throttle.count_attempt("eva", "192.0.2.1", now=NOW)


def test_a_flood_of_addresses_does_not_fill_the_memory() -> None:
    throttle = Throttle()
    for number in range(12_000):
        throttle.count_attempt("eva", f"192.0.{number // 250}.{number % 250}", now=NOW)
        throttle.welcome(f"user{number}", "not an address")
    assert len(throttle._failures) <= 10_000
    assert len(throttle._welcome) <= 10_000


@pytest.mark.parametrize(
    "onward",
    [
        "https://annan.se/",
        "//annan.se",
        "/\\annan.se",
        "/f/kontakt",
        "/adminx",
        "/admin//annan.se",
        "/admin/login",
        "/admin?a=\r\nb",
    ],
)
async def test_signing_in_leads_to_our_own_pages_alone(tmp_path: Path, onward: str) -> None:
    async with open_admin(tmp_path, signed_in=None) as admin:
        answer = await admin.sign_in(next=onward)
        assert answer.headers["location"] == "/admin"


async def test_a_link_from_elsewhere_finds_whoever_has_signed_in(tmp_path: Path) -> None:
    """The browser keeps a strict cookie back at first; the page it gets leads on, and then it comes along."""
    async with open_admin(tmp_path, signed_in=None) as admin:
        answer = await admin.get("/admin/leads/x?lang=en", **{"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 200
        assert 'content="0; url=/admin/leads/x?lang=en"' in answer.text


async def test_whoever_comes_and_goes_stands_in_the_trail(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in="eva") as admin:
        await admin.sign_in("eva", "wrong password")
        await admin.post("/admin/logout")
        rows = await admin.gateway.store.read(
            lambda connection: connection.execute(select(audit.c.actor, audit.c.action)).all()
        )
        assert [tuple(row) for row in rows] == [("web:eva", "signed_in"), ("web:eva", "signed_out")]


async def test_signing_in_works_while_nothing_can_be_written(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in=None) as admin:
        admin.gateway.stop_writing()
        assert (await admin.sign_in()).status_code == 303
        assert (await admin.get("/admin")).status_code == 200


async def test_the_loop_turns_while_a_password_is_checked(tmp_path: Path) -> None:
    async with open_admin(tmp_path, signed_in=None) as admin:
        asked = asyncio.create_task(admin.sign_in())
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1
        assert asked.result().status_code == 303
        assert turns > 10


async def test_the_language_is_kept_once_it_is_chosen(tmp_path: Path) -> None:
    async with open_admin(tmp_path) as admin:
        swedish: dict[str, Any] = {"Accept-Language": "sv"}
        assert "Inkorg" in (await admin.get("/admin", **swedish)).text
        assert "Inbox" in (await admin.get("/admin?lang=en", **swedish)).text
        assert "Inbox" in (await admin.get("/admin", **swedish)).text
