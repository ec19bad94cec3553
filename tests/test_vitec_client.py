"""The client against real servers on loopback: what was sent, when it gives up, and what it never tells."""

import asyncio
import base64
import contextlib
import json
import logging
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET, socket
from typing import Any

import httpx
import pytest

from app import __version__
from app.forms.model import CallGroup, ContactType, Login, Password
from app.vitec.answers import Answer
from app.vitec.client import LISTING_CAP, VitecClient, WireFormat
from app.vitec.exchange import ANSWER_CAP, check_base_url
from app.vitec.guard import ClockJumped, DeadlinePassed, SendGuard, read_boot_clock

pytestmark = pytest.mark.anyio

SECRET = "hemligt-lösenord"
BODY = {"contactId": "ADR1", "assignedToId": "HAN1", "leadSourceId": "LS1", "message": "Hej"}
OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n"LED1"'


class Server:
    """Answers each request with `respond`, and remembers what it was sent and over how many connections."""

    def __init__(self, respond: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.base_url = ""
        self.tasks: list[asyncio.Task[None]] = []
        self._respond = respond

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._read_request(reader)
                await self._respond(writer)

    async def _read_request(self, reader: asyncio.StreamReader) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        raw = dict(line.split(": ", 1) for line in lines[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append((lines[0], {name.lower(): value for name, value in raw.items()}, body))


@asynccontextmanager
async def serving(
    respond: Callable[[asyncio.StreamWriter], Awaitable[None]], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    server = Server(respond)
    listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    server.base_url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


def replying(reply: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()

    return respond


async def reset(writer: asyncio.StreamWriter) -> None:
    plain: socket = writer.get_extra_info("socket")
    plain.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
    raise ConnectionError


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    raise ConnectionError


async def say_nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def cut_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n"LED1"')
    await hang_up(writer)


def make_login(base_url: str, **values: Any) -> Login:
    given = {"name": "default", "username": "partnér", "password": Password(value=SECRET)}
    everything: dict[str, Any] = {**given, "base_url": base_url, **values}
    return Login(**everything)


def make_client(timeout: float = 5, **values: Any) -> VitecClient:
    return VitecClient(timeout=timedelta(seconds=timeout), **values)


async def create(client: VitecClient, login: Login, *, within: float = 5) -> Answer:
    return await client.create_lead(login, "M1", BODY, deadline=read_boot_clock() + within)


async def refused_port() -> int:
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    return port


async def test_a_create_is_one_post_with_its_credentials() -> None:
    async with serving(replying(OK)) as server, make_client() as client:
        answer = await create(client, make_login(server.base_url))
    line, headers, body = server.requests[0]
    assert (answer.sent, answer.status, answer.body, answer.error) == (True, 200, b'"LED1"', "")
    assert answer.content_type == "application/json"
    assert line == "POST /CRM/Lead/M1 HTTP/1.1"
    assert json.loads(body) == BODY
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["accept"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"] == f"leadgate/{__version__}"
    assert headers["connection"] == "close"
    scheme, credentials = headers["authorization"].split()
    assert (scheme, base64.b64decode(credentials).decode("utf-8")) == ("Basic", f"partnér:{SECRET}")


async def test_a_create_speaks_xml_when_told_to() -> None:
    wire_format: WireFormat = "xml"
    async with serving(replying(OK)) as server, make_client(wire_format=wire_format) as client:
        await create(client, make_login(server.base_url))
        await client.update_contact(make_login(server.base_url), ContactType.PERSON, b"{}")
    (_, as_xml, body), (_, as_json, _) = server.requests
    assert (as_xml["content-type"], as_xml["accept"]) == ("application/xml; charset=utf-8", "application/xml")
    assert body.startswith(b'<?xml version="1.0" encoding="utf-8"?><Lead ')
    assert as_json["content-type"] == "application/json; charset=utf-8"


Ask = Callable[[VitecClient, Login], Awaitable[Answer]]
CALLS: list[tuple[Ask, str, CallGroup]] = [
    (
        lambda client, login: client.update_contact(login, ContactType.PERSON, b'{"a":1}'),
        "POST /Contacts/UpdatePerson",
        CallGroup.CONTACT,
    ),
    (
        lambda client, login: client.update_contact(login, ContactType.COMPANY, b'{"a":1}'),
        "POST /Contacts/UpdateCompany",
        CallGroup.CONTACT,
    ),
    (create, "POST /CRM/Lead/M1", CallGroup.CREATE),
    (
        lambda client, login: client.list_leads(login, "M1", "ADR/1"),
        "GET /CRM/Contact/M1/ADR%2F1/true/true/true/true/Lead",
        CallGroup.READ,
    ),
    (
        lambda client, login: client.read_incoming(login, "M1", "LED1"),
        "GET /CRM/Lead/M1/Incoming/LED1",
        CallGroup.READ,
    ),
    (
        lambda client, login: client.search_by_email(login, "M1", "a@b.se"),
        "POST /Contacts/GetContactsSyncList",
        CallGroup.READ,
    ),
    (
        lambda client, login: client.search_by_phone(login, "M1", "+4670"),
        "GET /Contacts/GetContactsWithPhonenumber?phoneNumber=%2B4670&customerId=M1",
        CallGroup.READ,
    ),
    (
        lambda client, login: client.probe_contact(login, "M1"),
        "POST /Contacts/UpdatePerson",
        CallGroup.CONTACT,
    ),
    (lambda client, login: client.probe_create(login, "M1"), "POST /CRM/Lead/M1", CallGroup.CREATE),
    (lambda client, login: client.get_users(login, "M1"), "GET /User/GetUser?CustomerId=M1", CallGroup.READ),
    (lambda client, login: client.get_user_groups(login, "M1"), "GET /CRM/Usergroups/M1", CallGroup.READ),
    (
        lambda client, login: client.get_offices(login, "M1"),
        "GET /Office/GetOffice?CustomerId=M1",
        CallGroup.READ,
    ),
]


@pytest.mark.parametrize(
    ("ask", "line", "group"), CALLS, ids=[f"{number} {line}" for number, (_, line, _) in enumerate(CALLS)]
)
async def test_each_call_has_its_address_and_its_groups_password(
    ask: Ask, line: str, group: CallGroup
) -> None:
    passwords = {one: Password(value=f"only-{one}") for one in CallGroup}
    async with serving(replying(OK)) as server, make_client() as client:
        answer = await ask(client, make_login(server.base_url, group_passwords=passwords))
    assert answer.succeeded
    request_line, headers, _ = server.requests[0]
    assert request_line == f"{line} HTTP/1.1"
    assert base64.b64decode(headers["authorization"].split()[1]).decode() == f"partnér:only-{group}"


async def test_a_frozen_contact_is_sent_byte_for_byte() -> None:
    frozen = '{"firstName":"Åsa" }'.encode()
    async with serving(replying(OK)) as server, make_client() as client:
        for _ in range(2):
            await client.update_contact(make_login(server.base_url), ContactType.PERSON, frozen)
    assert [body for _, _, body in server.requests] == [frozen, frozen]


async def test_readings_share_a_connection_and_a_create_never_does() -> None:
    async with serving(replying(OK)) as server, make_client() as client:
        login = make_login(server.base_url)
        for _ in range(3):
            await client.list_leads(login, "M1", "ADR1")
        assert server.connections == 1
        for _ in range(2):
            await create(client, login)
        assert server.connections == 3


async def test_a_refused_connection_sent_nothing() -> None:
    async with make_client() as client:
        answer = await create(client, make_login(f"http://127.0.0.1:{await refused_port()}"))
    assert answer == Answer(sent=False, error="ConnectError")


async def test_a_server_that_speaks_no_tls_is_sent_nothing() -> None:
    async with serving(hang_up) as server, make_client(0.3) as client:
        answer = await create(client, make_login(server.base_url.replace("http:", "https:")))
    # Whether the other end or our patience ends first, and by which word, is the machine's affair.
    assert (answer.sent, answer.status) == (False, None)
    assert server.requests == []


@pytest.mark.parametrize(
    ("respond", "status"),
    [
        (reset, None),
        (hang_up, None),
        (replying(b"HTTP/1.1 201 Crea"), None),
        (replying(b"\x00\x01garbage\r\n\r\n"), None),
        (say_nothing, None),
        (cut_off, 201),
    ],
    ids=["reset", "hang_up", "half_a_header", "garbage", "silence", "half_a_body"],
)
async def test_whatever_breaks_after_sending_was_sent(
    respond: Callable[[asyncio.StreamWriter], Awaitable[None]], status: int | None
) -> None:
    async with serving(respond) as server, make_client(0.3) as client:
        answer = await create(client, make_login(server.base_url))
    assert (answer.sent, answer.status) == (True, status)
    assert answer.error
    assert not answer.succeeded
    assert len(server.requests) == 1


async def test_a_dripping_answer_ends_at_the_deadline() -> None:
    async with serving(drip) as server, make_client(30) as client:
        before = read_boot_clock()
        answer = await create(client, make_login(server.base_url), within=0.3)
        took = read_boot_clock() - before
    assert (answer.sent, answer.status, answer.error) == (True, 200, "TimeoutError")
    assert 0.25 < took < 3


@pytest.mark.parametrize(("excess", "error"), [(0, ""), (1, "AnswerTooLarge")])
async def test_an_answer_is_read_up_to_its_cap(excess: int, error: str) -> None:
    size = ANSWER_CAP + excess
    reply = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size
    async with serving(replying(reply)) as server, make_client() as client:
        login = make_login(server.base_url)
        answer = await create(client, login)
        listing = await client.get_users(login, "M1")
    assert (len(answer.body), answer.error) == (ANSWER_CAP, error)
    assert (len(listing.body), listing.error) == (size, "")
    assert size < LISTING_CAP


async def test_a_compressed_answer_is_not_unpacked() -> None:
    reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb"
    async with serving(replying(reply)) as server, make_client() as client:
        answer = await create(client, make_login(server.base_url))
    assert (answer.status, answer.body, answer.error) == (200, b"", "AnswerEncoded")


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async with serving(replying(OK)) as elsewhere, make_client() as client:
        location = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere.base_url}/\r\nContent-Length: 0\r\n\r\n"
        async with serving(replying(location.encode())) as server:
            answer = await create(client, make_login(server.base_url))
    assert (answer.status, answer.error) == (307, "")
    assert elsewhere.requests == []


async def test_a_cookie_of_one_customer_is_never_shown_to_another() -> None:
    reply = OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=1; Path=/\r\n\r\n", 1)
    async with serving(replying(reply)) as server, make_client() as client:
        for _ in range(2):
            await client.get_offices(make_login(server.base_url), "M1")
    assert not any("cookie" in headers for _, headers, _ in server.requests)


async def test_a_proxy_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{await refused_port()}")
    async with serving(replying(OK)) as server, make_client() as client:
        assert (await create(client, make_login(server.base_url))).succeeded


async def test_retry_after_comes_with_the_answer() -> None:
    reply = b"HTTP/1.1 429 Slow\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n"
    async with serving(replying(reply)) as server, make_client() as client:
        answer = await create(client, make_login(server.base_url))
    assert answer.retry_after == timedelta(seconds=90)


async def test_past_its_deadline_nothing_is_sent() -> None:
    async with serving(replying(OK)) as server, make_client() as client:
        answer = await create(client, make_login(server.base_url), within=-1)
    assert answer == Answer(sent=False, error="DeadlinePassed")
    assert server.connections == 0


def reading(*times: float) -> Callable[[], float]:
    """A clock that shows these times one after the other, and then the last."""
    left: Iterator[float] = iter(times)
    shown = [0.0]

    def read() -> float:
        shown[0] = next(left, shown[0])
        return shown[0]

    return read


async def test_a_clock_that_jumps_while_connecting_stops_the_request() -> None:
    async with serving(replying(OK)) as server:
        # Made, checked, and then at the headers: half an hour later by the wall alone.
        async with make_client(wall=reading(0, 0, 1800), clock=lambda: 0.0) as client:
            answer = await client.create_lead(make_login(server.base_url), "M1", BODY, deadline=5)
        assert answer == Answer(sent=False, error="ClockJumped")
        assert server.requests == []


async def test_headers_that_left_before_the_deadline_count_as_sent() -> None:
    # As it is read: limit, offset, connecting, check (two), timeout, headers (two), body.
    clock = reading(0, 0, 0, 0, 0, 0, 0, 0, 60)
    async with serving(replying(OK)) as server, make_client(clock=clock, wall=lambda: 0.0) as client:
        answer = await client.create_lead(make_login(server.base_url), "M1", BODY, deadline=5)
    assert answer == Answer(sent=True, error="DeadlinePassed")
    assert server.requests == []


async def test_a_guard_lets_pass_what_is_in_time() -> None:
    guard = SendGuard(read_boot_clock() + 5)
    for event in ("connection.connect_tcp.started", "http11.send_request_body.started"):
        await guard.trace(event, {})
        assert not guard.sent
    await guard.trace("http11.send_request_headers.started", {})
    assert guard.sent


@pytest.mark.parametrize(
    ("clock", "wall", "error"),
    [
        (reading(0, 5), reading(0), DeadlinePassed),
        (reading(0), reading(0, 2.1), ClockJumped),
        (reading(0), reading(0, -2.1), ClockJumped),
    ],
    ids=["late", "wall_forward", "wall_back"],
)
async def test_a_guard_stops_what_is_late(
    clock: Callable[[], float], wall: Callable[[], float], error: type[Exception]
) -> None:
    guard = SendGuard(5, clock=clock, wall=wall)
    with pytest.raises(error):
        await guard.trace("http11.send_request_headers.started", {})
    assert not guard.sent


@pytest.mark.parametrize(
    ("password", "cause"),
    [
        (Password(file=Path("/nowhere/password")), "FileNotFoundError"),
        (Password(env="LEADGATE_NO_SUCH_PASSWORD"), "KeyError"),
    ],
)
async def test_a_password_that_is_gone_sends_nothing_and_names_the_login(
    password: Password, cause: str
) -> None:
    async with serving(replying(OK)) as server, make_client() as client:
        login = make_login(server.base_url, group_passwords={CallGroup.CREATE: password})
        answer = await create(client, login)
    expected = f"the password of login default for create calls cannot be read: {cause}"
    assert answer == Answer(sent=False, error=expected)
    assert server.connections == 0


async def test_a_rotated_password_is_used_at_once(tmp_path: Path) -> None:
    file = tmp_path / "password"
    async with serving(replying(OK)) as server, make_client() as client:
        login = make_login(server.base_url, password=Password(file=file))
        for secret in ("first", "second"):
            file.write_text(f"{secret}\n", encoding="utf-8")
            await client.get_offices(login, "M1")
    sent = [base64.b64decode(headers["authorization"].split()[1]) for _, headers, _ in server.requests]
    assert [one.rpartition(b":")[2] for one in sent] == [b"first", b"second"]


async def test_no_log_and_no_repr_tells_a_secret_or_a_visitor(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(replying(OK)) as server, make_client() as client:
        login = make_login(server.base_url)
        answers = [
            await client.search_by_phone(login, "M1", "+46701234567"),
            await client.search_by_email(login, "M1", "anna@example.se"),
            await create(client, login),
            await create(client, make_login(f"http://127.0.0.1:{await refused_port()}")),
        ]
        told = caplog.text + repr(client) + repr(vars(client)) + repr(login) + repr(answers)
    encoded = base64.b64encode(f"partnér:{SECRET}".encode()).decode()
    assert not [one for one in (SECRET, encoded, "46701234567", "anna@example", "Basic ") if one in told]


@pytest.mark.parametrize(
    "url",
    ["https://connect.maklare.vitec.net", "http://localhost:1", "http://127.0.0.9", "http://[::1]:80/x"],
)
async def test_an_address_is_https_or_this_machine(url: str) -> None:
    check_base_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://vitec.net", "http://127.evil.example", "http://10.0.0.1", "ftp://localhost", "https://", ""],
)
async def test_an_address_in_the_clear_is_refused(url: str) -> None:
    async with make_client() as client:
        with pytest.raises(ValueError, match="https"):
            await client.get_offices(make_login(url), "M1")


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (httpx.ConnectError, False),
        (httpx.ConnectTimeout, False),
        (httpx.ReadTimeout, True),
        (httpx.WriteError, True),
        (httpx.RemoteProtocolError, True),
    ],
)
async def test_a_transport_without_trace_is_believed_by_its_error(
    error: type[httpx.TransportError], sent: bool
) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise error("0701234567")

    async with make_client(transport=httpx.MockTransport(refuse)) as client:
        answer = await create(client, make_login("https://vitec.example"))
    assert answer == Answer(sent=sent, error=error.__name__)


async def test_a_cancelled_request_is_cancelled() -> None:
    arrived = asyncio.Event()

    async def respond(writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await say_nothing(writer)

    async with serving(respond) as server, make_client() as client:
        task = asyncio.create_task(create(client, make_login(server.base_url)))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
