"""Answers that no honest Vitec gives: bombs, floods, markup. None is believed, kept whole or shown as it is."""

import asyncio
import gzip
import itertools
import json
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from app.lead import LeadState
from app.store.schema import attempts
from app.vitec.exchange import ANSWER_CAP
from tests.conftest import Shell
from tests.deliveries import open_rig
from tests.sandboxes import Running
from tests.sinks import find_told, overhearing
from tests.test_vitec_client import OK, create, make_client, make_login, replying, serving
from tests.test_vitec_tls import sandbox  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]
MIB = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Flood:
    """Says something and then the same piece for ever, or until 2 GB; remembers how much was taken."""

    def __init__(self, beginning: bytes, piece: bytes, *, total: int = 2 << 30) -> None:
        self.said = 0
        self._pieces = itertools.chain([beginning], itertools.repeat(piece, total // len(piece)))

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        for piece in self._pieces:
            writer.write(piece)
            await writer.drain()
            self.said += len(piece)


CHUNK = b"%x\r\n%s\r\n" % (MIB, bytes(MIB))
FLOODS = [
    pytest.param(HEAD + b"Content-Length: %d\r\n\r\n" % (2 << 30), bytes(MIB), "AnswerTooLarge", id="2 GB"),
    pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", CHUNK, "AnswerTooLarge", id="2 GB in chunks"),
    pytest.param(HEAD + b"\r\n", bytes(MIB), "AnswerTooLarge", id="2 GB to the end of the connection"),
    pytest.param(
        HEAD, b"X-Header: " + b"a" * 8000 + b"\r\n", "RemoteProtocolError", id="headers without end"
    ),
    pytest.param(HEAD + b"X: ", b"a" * 8000, "RemoteProtocolError", id="a header without end"),
    pytest.param(b"HTTP/1.1 200 ", b"a" * 8000, "RemoteProtocolError", id="a status line without end"),
]


@pytest.mark.parametrize(("beginning", "piece", "error"), FLOODS)
async def test_a_flood_is_not_taken_in(beginning: bytes, piece: bytes, error: str) -> None:
    flood = Flood(beginning, piece)
    async with serving(flood) as server, make_client(20) as client:
        tracemalloc.start()
        answer = await create(client, make_login(server.base_url), within=20)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert answer.error == error
    assert answer.sent
    assert not answer.succeeded
    assert len(answer.body) <= ANSWER_CAP
    # What lies in two sockets' buffers is said, and taken by nobody.
    assert flood.said < 64 * MIB
    assert taken < 32 * MIB


async def test_provisional_answers_without_end_are_waited_for_no_longer_than_anything_else() -> None:
    flood = Flood(b"", b"HTTP/1.1 102 Processing\r\n\r\n")
    async with serving(flood) as server, make_client(0.5) as client:
        answer = await create(client, make_login(server.base_url), within=0.5)
    assert (answer.sent, answer.status) == (True, None)
    assert answer.error


def squeeze(layers: int = 1) -> bytes:
    body = bytes(100 * MIB)
    for _ in range(layers):
        body = gzip.compress(body, 1)
    return body


BOMBS = [
    pytest.param(b"gzip", squeeze(), id="gzip"),
    pytest.param(b"gzip, gzip", squeeze(2), id="gzip in gzip"),
    pytest.param(b"identity, gzip", squeeze(), id="gzip behind identity"),
    pytest.param(b"GZIP", squeeze(), id="GZIP"),
    pytest.param(b"deflate", zlib.compress(bytes(100 * MIB), 1), id="deflate"),
    pytest.param(b"br", b"\x5b\xff\xff\x0f", id="brotli"),
    pytest.param(b"zstd", b"\x28\xb5\x2f\xfd", id="zstd"),
]


@pytest.mark.parametrize(("encoding", "body"), BOMBS)
async def test_a_bomb_is_not_unpacked(encoding: bytes, body: bytes) -> None:
    reply = HEAD + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body)) + body
    async with serving(replying(reply)) as server, make_client() as client:
        answer = await create(client, make_login(server.base_url))
    assert (answer.status, answer.body, answer.error) == (200, b"", "AnswerEncoded")


async def test_a_bomb_of_a_transfer_encoding_is_no_answer() -> None:
    body = squeeze()
    reply = HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    async with serving(replying(reply)) as server, make_client() as client:
        answer = await create(client, make_login(server.base_url))
    assert not answer.succeeded
    assert len(answer.body) <= ANSWER_CAP


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["{elsewhere}/", "//127.0.0.1:{port}/", "http://169.254.169.254/latest/meta-data/"]
)
async def test_where_a_redirect_leads_is_never_visited(status: int, target: str) -> None:
    async with serving(replying(OK)) as elsewhere, make_client() as client:
        location = target.format(elsewhere=elsewhere.base_url, port=elsewhere.base_url.rpartition(":")[2])
        reply = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nRefresh: 0; url={location}\r\n"
        async with serving(replying(reply.encode() + b"Content-Length: 0\r\n\r\n")) as server:
            login = make_login(server.base_url)
            answers = [await create(client, login), await client.get_offices(login, "M1")]
    assert [(answer.status, answer.error) for answer in answers] == [(status, ""), (status, "")]
    assert not any(answer.succeeded for answer in answers)
    assert (elsewhere.connections, elsewhere.requests) == (0, [])
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
)
async def test_no_proxy_of_the_environment_sees_a_request(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(replying(OK)) as proxy, serving(replying(OK)) as server:
        monkeypatch.setenv(name, proxy.base_url)
        async with make_client(1) as client:
            assert (await create(client, make_login(server.base_url))).succeeded
            await create(client, make_login(server.base_url.replace("http:", "https:")), within=1)
    assert proxy.connections == 0


async def test_a_login_of_the_environments_netrc_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login other password other", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(replying(OK)) as server, make_client() as client:
        login = make_login(server.base_url)
        await create(client, login)
        await client.get_offices(login, "M1")
    first, second = (headers["authorization"] for _, headers, _ in server.requests)
    assert first == second


ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202e\r\n"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"
SAYS = f"{ESCAPES}{MARKUP} anna@example.com 070-174 06 05 Bergström {{{{7*7}}}} {'A' * 5000}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, "text/html"),
        (400, "application/json"),
        (400, "text/html"),
        (401, "text/html"),
        (403, "application/json"),
        (404, "text/html"),
        (500, "application/json"),
    ],
)
async def test_what_a_refusal_says_is_shown_without_markup_escapes_or_the_visitor(
    status: int,
    kind: str,
    shell: Shell,
    sandbox: Running,  # noqa: F811
) -> None:
    body = (json.dumps({"Message": SAYS}) if kind.endswith("json") else f"<html>{SAYS}</html>").encode()
    head = f"HTTP/1.1 {status} {MARKUP}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    folder = shell.folder / "data"
    folder.mkdir()
    with overhearing() as heard:
        async with (
            serving(replying(head.encode() + body)) as server,
            open_rig(folder, sandbox, base_url=server.base_url) as rig,
        ):
            lead_id = await rig.submit()
            await rig.turn()
            assert server.requests
            assert (await rig.status(lead_id)).state in {LeadState.HELD, LeadState.PENDING}
            details = await rig.store.read(
                lambda read: read.execute(select(attempts.c.detail)).scalars().all()
            )
    shell.set(LEADGATE_DATABASE_URL=f"sqlite:///{folder}/leadgate.db")
    kept, shown = "".join(map(str, details)), shell("leads", "show", lead_id).out + shell("gates").out
    for text in (kept, shown, heard.getvalue()):
        assert not any(mark in text for mark in ("<script", "<img", "\x1b", "\\u001b", "\x07", "\u202e"))
    assert len(kept) <= 600
    assert find_told(kept + heard.getvalue()) == []
    assert lead_id in shown
