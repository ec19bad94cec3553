"""What a client may say, and what is answered to what it may not: at byte level, over real sockets."""

import logging
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.doors import GET, POST, Door, connect, open_door, read_all, read_answer, say, statuses

CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CLOSE = b"Connection: close\r\n\r\n"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    with open_door(loop=request.param) as door:
        yield door


def send_head(door: Door, filling: bytes) -> bytes:
    return say(door, b"GET / HTTP/1.1\r\nHost: x\r\n" + filling + CLOSE)


@pytest.mark.parametrize(
    "filling",
    [
        pytest.param(b"X: " + b"a" * 15_000 + b"\r\n", id="one long header"),
        pytest.param(b"X-A: " + b"a" * 145 + b"\r\n", id="one"),
        pytest.param((b"X-A: " + b"a" * 145 + b"\r\n") * 98, id="a hundred"),
    ],
)
def test_fifteen_thousand_bytes_of_headers_pass(door: Door, filling: bytes) -> None:
    assert statuses(send_head(door, filling)) == [200]


@pytest.mark.parametrize(
    "filling",
    [
        pytest.param(b"X: " + b"a" * 200_000 + b"\r\n", id="one of 200 kB"),
        pytest.param(b"X: " + b"a" * 17_000 + b"\r\n", id="one of 17 kB"),
        pytest.param((b"X-A: " + b"a" * 193 + b"\r\n") * 99, id="many, 20 kB together"),
        pytest.param(b"X-A: a\r\n" * 99, id="one too many"),
    ],
)
def test_headers_past_the_limit_are_answered_431(door: Door, filling: bytes) -> None:
    answer = send_head(door, filling)
    assert statuses(answer) == [431]
    assert b"connection: close" in answer
    assert b"application/problem+json" in answer
    assert b'"urn:leadgate:problem:headers-too-large"' in answer


def test_headers_without_an_end_are_answered_431_while_they_come(door: Door) -> None:
    assert statuses(say(door, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000)) == [431]


def test_a_long_address_counts_as_well(door: Door) -> None:
    assert statuses(say(door, b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n" + CLOSE)) == [431]


def test_the_limit_holds_for_a_later_request_on_the_connection(door: Door) -> None:
    filling = b"X: " + b"a" * 17_000 + b"\r\n"
    answer = say(door, GET, b"GET / HTTP/1.1\r\nHost: x\r\n" + filling + CLOSE)
    assert statuses(answer) == [200, 431]


BROKEN = [
    pytest.param(POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="CL, TE"),
    pytest.param(POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", id="TE, CL"),
    pytest.param(POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", id="two lengths"),
    pytest.param(POST + b"Content-Length: 5, 6\r\n\r\nhello!", id="a list of lengths"),
    pytest.param(POST + b"Content-Length: -1\r\n\r\n", id="negative length"),
    pytest.param(POST + b"Content-Length: +5\r\n\r\nhello", id="signed length"),
    pytest.param(POST + b"Content-Length: 99999999999999999999\r\n\r\n", id="length beyond 64 bits"),
    pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="unknown TE"),
    pytest.param(POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", id="chunked not last"),
    pytest.param(POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", id="space before the colon"),
    pytest.param(POST + b"X: a\r\n b\r\n\r\n", id="obs-fold"),
    pytest.param(b"POST / HTTP/1.1\nHost: x\n\n", id="bare LF"),
    pytest.param(POST + b"X: a\nY: b\r\n\r\n", id="bare LF between headers"),
    pytest.param(POST + b"X: a\rY: b\r\n\r\n", id="bare CR"),
    pytest.param(POST + b"X: a\0b\r\n\r\n", id="NUL in a value"),
    pytest.param(POST + b"X\0: a\r\n\r\n", id="NUL in a name"),
    pytest.param(CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n", id="chunk size that is none"),
    pytest.param(CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", id="negative chunk size"),
    pytest.param(CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", id="chunk size with 0x"),
    pytest.param(CHUNKED + b"fffffffffffffffff\r\nhello", id="chunk size beyond 64 bits"),
    pytest.param(CHUNKED + b"5\nhello\n0\n\n", id="bare LF after a chunk size"),
    pytest.param(CHUNKED + b"5\r\nhelloXX0\r\n\r\n", id="chunk longer than it says"),
    pytest.param(CHUNKED + b"5;" + b"a" * 100_000 + b"\r\nhello\r\n0\r\n\r\n", id="huge chunk extension"),
    pytest.param(CHUNKED + b"0\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", id="huge trailer"),
    pytest.param(b"GET http://[::/ HTTP/1.1\r\nHost: x\r\n\r\n", id="no address"),
    pytest.param(b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", id="address beyond ASCII"),
    pytest.param(b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", id="no such version"),
    pytest.param(b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", id="CONNECT"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no host"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", id="two hosts"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n", id="the same host twice"),
    pytest.param(b"GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", id="two hosts of old"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x,y\r\n\r\n", id="a list of hosts"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x@y\r\n\r\n", id="a login in the host"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", id="a path in the host"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x:808080\r\n\r\n", id="a port that is none"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: [x\r\n\r\n", id="half an IPv6 address"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", id="a host beyond ASCII"),
    pytest.param(
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", id="two TEs"
    ),
    pytest.param(POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", id="folded TE"),
    pytest.param(POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", id="TE behind a tab of sorts"),
    pytest.param(POST + b"Content-Length: 5 5\r\n\r\nhello", id="two lengths in one"),
    pytest.param(POST + b"Content-Length: 0x5\r\n\r\nhello", id="hexadecimal length"),
    pytest.param(POST + b"Content-Length:\r\n\r\nhello", id="empty length"),
    pytest.param(POST + b"Content Length: 5\r\n\r\nhello", id="a name with a blank"),
    pytest.param(CHUNKED + b"5;a\nhello\r\n0\r\n\r\n", id="bare LF after a chunk extension"),
    pytest.param(CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n", id="a blank before a chunk size"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS"),
]


@pytest.mark.parametrize("request_bytes", BROKEN)
def test_broken_framing_is_answered_400_once_and_closed(door: Door, request_bytes: bytes) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = say(door, request_bytes + smuggled)
    assert statuses(answer) == [400]
    assert b"connection: close" in answer
    assert b"smuggled" not in answer


@pytest.mark.parametrize(
    "host", [b"", b"x", b"X.Example:8000", b"[::1]", b"[2001:db8::1]:8000", b"under_score", b"x."]
)
def test_any_name_is_served(door: Door, host: bytes) -> None:
    assert statuses(say(door, b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n" + CLOSE)) == [200]


def test_a_client_of_old_need_not_name_a_host(door: Door) -> None:
    assert statuses(say(door, b"GET / HTTP/1.0\r\n\r\n")) == [200]


def test_a_chunk_extension_that_nobody_knows_is_passed_over(door: Door) -> None:
    say(door, CHUNKED + b'5;a=b;c="d"\r\nhello\r\n0\r\n\r\n')
    assert door.bodies[-1] == b"hello"


def test_broken_framing_after_a_good_request_is_answered_in_its_turn(door: Door) -> None:
    assert statuses(say(door, GET + b"\0")) == [200, 400]


def test_a_broken_body_behind_a_request_at_work_is_answered_in_its_turn(door: Door) -> None:
    answer = say(door, GET.replace(b"/", b"/first", 1) + CHUNKED + b"zz\r\n")
    assert statuses(answer) == [200, 400]


def test_a_request_that_was_answered_early_is_not_answered_again(door: Door) -> None:
    with connect(door) as client:
        client.sendall(CHUNKED.replace(b"/", b"/hasty", 1))
        early = read_answer(client)
        client.sendall(b"zz\r\n")
        assert statuses(early + read_all(client)) == [413]


def test_an_early_answer_leaves_the_connection_to_the_next_request(door: Door) -> None:
    with connect(door) as client:
        client.sendall(POST.replace(b"/", b"/hasty", 1) + b"Content-Length: 5\r\n\r\n")
        early = read_answer(client)
        client.sendall(b"hello" + GET)
        assert statuses(early + read_all(client)) == [413, 200]


def test_a_connection_whose_body_came_after_the_answer_does_not_stay_for_ever(door: Door) -> None:
    with connect(door) as client:
        client.sendall(POST.replace(b"/", b"/hasty", 1) + b"Content-Length: 5\r\n\r\n")
        assert statuses(read_answer(client)) == [413]
        client.sendall(b"hello")
        assert read_all(client) == b""


@pytest.mark.parametrize("count", [2, 20])
def test_pipelined_requests_are_answered_in_order(door: Door, count: int) -> None:
    requests = [b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(count)]
    answer = say(door, b"".join(requests))
    assert statuses(answer) == [200] * count
    assert re.findall(rb"/(\d+) 0", answer) == [b"%d" % number for number in range(count)]


def test_more_pipelined_requests_than_anyone_needs_are_refused_after_those_before(door: Door) -> None:
    answer = say(door, GET * 300)
    assert statuses(answer) == [*[200] * 33, 429]


def test_a_body_in_many_small_chunks_is_read(door: Door) -> None:
    body = b"1\r\na\r\n" * 40_000
    assert b"/ 40000" in say(door, CHUNKED.replace(b"\r\n\r\n", b"\r\n" + CLOSE), body + b"0\r\n\r\n")


def test_trailers_are_no_headers(door: Door) -> None:
    say(door, CHUNKED + b"0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
    assert door.headers[-1] == {b"host": b"x", b"transfer-encoding": b"chunked"}


@pytest.mark.parametrize("whole", [True, False])
def test_an_offer_to_upgrade_is_passed_over_and_the_body_read(door: Door, whole: bool) -> None:
    # As Java's HttpClient posts to a plain address; the body must not become a request of its own.
    body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    head = (
        POST + b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAE\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    answer = say(door, head + body) if whole else say(door, head, body)
    assert statuses(answer) == [200]
    assert door.bodies[-1] == body
    assert b"upgrade" not in door.headers[-1]
    assert b"smuggled" not in answer


def test_a_web_socket_is_not_opened(door: Door) -> None:
    offer = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    answer = say(door, b"GET /a HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n" + GET)
    assert statuses(answer) == [200, 200]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_clients_that_hang_up_anywhere_leave_nothing_behind(
    caplog: pytest.LogCaptureFixture, loop: str
) -> None:
    chance = random.Random(20261124)
    scripts = [
        GET * 3,
        POST + b"Content-Length: 50\r\n\r\n" + b"a" * 50,
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    ]
    scripts += [GET.replace(b"/", b"/torrent", 1), GET.replace(b"/", b"/wait", 1) + GET, b"X" * 20_000]
    with open_door(loop=loop) as door, caplog.at_level(logging.WARNING):
        for _ in range(300):
            script = chance.choice(scripts)
            with connect(door) as client:
                if chance.random() < 0.5:  # a reset instead of an orderly end
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
                client.sendall(script[: chance.randrange(len(script) + 1)])
        door.release()
        assert door.becomes_empty()
    assert caplog.records == []


CROWDED = """
import resource, sys
from app.web.protocol import PunctualProtocol
from tests.doors import open_door
resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
with open_door(PunctualProtocol) as door:
    print(door.port, flush=True)
    sys.stdin.read()
"""


def test_near_the_limit_of_file_descriptors_those_who_waited_longest_make_room() -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-c", CROWDED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
        ExitStack() as opened,
    ):
        assert process.stdin
        assert process.stdout
        address = ("127.0.0.1", int(process.stdout.readline()))

        def enter(said: bytes) -> socket.socket:
            client = opened.enter_context(socket.create_connection(address, timeout=8))
            client.sendall(said)
            return client

        working = enter(GET.replace(b"/", b"/wait", 1))
        crowd = []
        for number in range(600):
            crowd.append(enter((b"", b"GET", POST + b"Content-Length: 5\r\n\r\n")[number % 3]))
            if number % 20 == 0:
                assert statuses(read_answer(enter(GET))) == [200]
        crowd[-1].settimeout(0)
        with pytest.raises(BlockingIOError):
            crowd[-1].recv(1)
        assert read_all(crowd[0]) == b""
        assert statuses(read_answer(enter(GET.replace(b"/", b"/release", 1)))) == [200]
        assert statuses(read_answer(working)) == [200]
        process.stdin.close()


def test_the_file_limit_becomes_the_highest_allowed() -> None:
    code = (
        "import resource; from app.web.protocol import raise_file_limit;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024)); print(raise_file_limit())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1024"
