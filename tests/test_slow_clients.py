"""Clients that say nothing, trickle, or do not read: they are let go, and keep nobody out meanwhile."""

import gc
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from app.web.protocol import REQUEST_DEADLINE, PunctualProtocol
from tests.doors import GET, POST, Door, Hasty, connect, open_door, read_all, read_answer, say, statuses

BODY = POST + b"Content-Length: 1000\r\n\r\n"
LAST = GET[:-2] + b"Connection: close\r\n\r\n"
WAIT = GET.replace(b"/", b"/wait", 1)


@pytest.fixture(params=["uvloop", "asyncio"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    with open_door(loop=request.param) as door:
        yield door


def trickle(client: socket.socket) -> bytes:
    """A byte every tenth of a second until the server ends it; what the server said."""
    client.settimeout(0.1)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        try:
            client.sendall(b"a")
            if piece := client.recv(4096):
                return piece + read_all(client)
        except TimeoutError:
            continue
        except ConnectionError:
            pass
        return b""
    raise AssertionError("the server listened for eight seconds")


def test_a_connection_that_says_nothing_is_closed_without_a_word(door: Door) -> None:
    started = time.monotonic()
    assert say(door) == b""
    assert time.monotonic() - started >= Hasty.deadline * 0.9


def test_a_line_end_is_no_request(door: Door) -> None:
    assert say(door, b"\r\n") == b""


@pytest.mark.parametrize(
    "said", [b"G", GET[:-2] + b"X: ", BODY, POST + b"Transfer-Encoding: chunked\r\n\r\n"]
)
def test_a_request_that_stops_coming_is_answered_408(door: Door, said: bytes) -> None:
    answer = say(door, said)
    assert statuses(answer) == [408]
    assert b"connection: close" in answer
    assert b'"urn:leadgate:problem:request-timeout"' in answer


@pytest.mark.parametrize("said", [b"G", GET[:-2] + b"X: ", BODY])
def test_a_trickle_does_not_move_the_deadline(door: Door, said: bytes) -> None:
    started = time.monotonic()
    with connect(door) as client:
        client.sendall(said)
        trickle(client)
    assert time.monotonic() - started < Hasty.deadline * 4


def test_the_deadline_counts_anew_from_the_first_byte_of_a_further_request(door: Door) -> None:
    with connect(door) as client:
        client.sendall(GET)
        assert statuses(read_answer(client)) == [200]
        client.sendall(b"GET")
        started = time.monotonic()
        assert statuses(read_all(client)) == [408]
        assert time.monotonic() - started >= Hasty.deadline * 0.9


def test_a_line_end_between_requests_does_not_hold_the_connection(door: Door) -> None:
    with connect(door) as client:
        client.sendall(GET)
        assert statuses(read_answer(client)) == [200]
        client.sendall(b"\r\n")
        assert read_all(client) == b""


def test_a_handler_sees_a_body_that_stopped_coming_as_a_disconnect(door: Door) -> None:
    say(door, BODY + b"half")
    assert door.becomes_empty()
    assert door.bodies == [None]


def test_what_is_left_of_a_request_that_was_answered_early_has_its_deadline_too(door: Door) -> None:
    with connect(door) as client:
        client.sendall(BODY.replace(b"/", b"/hasty", 1))
        assert statuses(read_answer(client)) == [413]
        assert trickle(client) == b""


def test_an_answer_in_the_making_is_not_cut_off(door: Door) -> None:
    with connect(door) as client:
        client.sendall(WAIT)
        client.settimeout(Hasty.deadline * 2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        door.release()
        assert statuses(read_answer(client)) == [200]


def test_a_half_said_request_behind_one_at_work_is_answered_after_it(door: Door) -> None:
    with connect(door) as client:
        client.sendall(WAIT + b"GET")
        client.settimeout(Hasty.deadline * 2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.sendall(b"more of it")
        door.release()
        assert statuses(read_all(client)) == [200, 408]


def test_a_pipelined_body_the_server_does_not_read_yet_is_not_late(door: Door) -> None:
    with connect(door) as client:
        client.sendall(WAIT + POST + b"Content-Length: 5\r\n\r\nhe")
        client.settimeout(Hasty.deadline * 2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.sendall(b"llo")
        door.release()
        assert statuses(read_all(client)) == [200, 200]
    assert door.bodies == [b"", b"hello"]


def test_a_client_has_its_whole_time_once_the_server_reads_on(door: Door) -> None:
    with connect(door) as client:
        client.sendall(WAIT + POST + b"Content-Length: 5\r\n\r\nhe")
        time.sleep(Hasty.deadline * 1.9)
        door.release()
        time.sleep(Hasty.deadline / 3)
        client.sendall(b"llo")
        assert statuses(read_all(client)) == [200, 200]


def test_a_client_that_says_no_more_when_the_server_reads_on_is_answered_408(door: Door) -> None:
    with connect(door) as client:
        client.sendall(WAIT + POST + b"Content-Length: 5\r\n\r\nhe")
        time.sleep(Hasty.deadline * 1.5)
        door.release()
        assert statuses(read_all(client)) == [200, 408]


@pytest.mark.parametrize("path", [b"/torrent", b"/boulder"])
@pytest.mark.parametrize("said", [GET, LAST, GET * 3, BODY[:-2] + b"Connection: close\r\n\r\n"])
def test_a_client_that_does_not_read_its_answer_is_let_go(door: Door, said: bytes, path: bytes) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", door.port))
        client.sendall(said.replace(b"/", path, 1))
        assert door.becomes_empty()


@pytest.mark.parametrize("path", [b"/torrent", b"/boulder"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_client_that_reads_gets_all_of_it(path: bytes, loop: str) -> None:
    with open_door(PunctualProtocol, loop=loop) as door:
        assert len(say(door, LAST.replace(b"/", path, 1))) > 16 << 20


@pytest.mark.timeout(60)
def test_five_hundred_slow_clients_keep_nobody_out_and_are_gone_in_fifteen_seconds() -> None:
    """Takes the default deadline of ten seconds, on purpose."""
    assert REQUEST_DEADLINE == PunctualProtocol.deadline == 10
    shapes = (b"", b"GET / HTTP/1.1\r\nX: ", POST + b"Content-Length: 1000\r\n\r\n")
    with open_door(PunctualProtocol) as door, ExitStack() as opened, selectors.DefaultSelector() as selector:
        started = time.monotonic()
        for number in range(500):
            client = opened.enter_context(connect(door))
            client.sendall(shapes[number % 3])
            selector.register(client, selectors.EVENT_READ, data=number % 3 > 0)
        slowest, requests = hold_open(door, selector, until=started + 15)
        assert not selector.get_map()
        assert requests > 20
        assert slowest < 2


def hold_open(door: Door, selector: selectors.BaseSelector, *, until: float) -> tuple[float, int]:
    """Trickles a byte a second until all are closed, and asks honestly meanwhile: the slowest answer, and how many."""
    slowest, requests, trickled = 0.0, 0, time.monotonic()
    while selector.get_map() and time.monotonic() < until:
        for key, _ in selector.select(0.2):
            drop_if_closed(selector, key)
        if time.monotonic() - trickled >= 1:
            trickled = time.monotonic()
            for key in [key for key in selector.get_map().values() if key.data]:
                send_a_byte(key)
        asked = time.monotonic()
        assert statuses(say(door, LAST)) == [200]
        slowest, requests = max(slowest, time.monotonic() - asked), requests + 1
    return slowest, requests


def drop_if_closed(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    assert isinstance(key.fileobj, socket.socket)
    try:
        closed = not key.fileobj.recv(4096)
    except ConnectionError:
        closed = True
    if closed:
        selector.unregister(key.fileobj)


def send_a_byte(key: selectors.SelectorKey) -> None:
    assert isinstance(key.fileobj, socket.socket)
    with suppress(ConnectionError):  # seen as closed when it is read
        key.fileobj.sendall(b"a")


def test_a_connection_that_is_gone_waits_for_no_collector(door: Door) -> None:
    """By the thousand they would take tens of megabytes until it comes."""
    say(door, LAST)
    gc.collect()
    gc.disable()
    try:
        with connect(door) as client:
            client.sendall(GET)
            read_answer(client)
        say(door, LAST)
        with connect(door) as client:
            client.sendall(GET.replace(b"/", b"/wait", 1))
        door.release()
        assert door.becomes_empty()
        assert not [one for one in gc.get_objects() if isinstance(one, Hasty)]
    finally:
        gc.enable()
