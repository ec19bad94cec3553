"""The outermost door: HTTP as uvicorn speaks it, with an end to how long and how much a client may say."""

import asyncio
import json
import re
import resource
from contextlib import suppress
from enum import Enum, auto
from heapq import nsmallest
from http import HTTPStatus
from time import monotonic
from typing import Any, ClassVar

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

REQUEST_DEADLINE = 10.0
"""Seconds in which a whole request must have come, and in which a client must take in what it is sent."""

MAX_HEAD = 16 * 1024
"""Bytes of request line and headers; what Node and h11 allow as well."""

MAX_HEADERS = 100

_MAX_PIPELINED = 32
_CROWDED = 0.9
# Around one byte in a chunk of its own lie five more; twice that is nobody's way to send a form.
_FRAMING_PER_BYTE = 10


_KINDS = {
    HTTPStatus.BAD_REQUEST: "malformed",
    HTTPStatus.REQUEST_TIMEOUT: "request-timeout",
    HTTPStatus.TOO_MANY_REQUESTS: "too-many-requests",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "headers-too-large",
}


# RFC 3986, 3.2.2 and 3.2.3, without what no name in use has: a comma, a semicolon, a quote, a login.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


class _RefusedHead(Exception):
    """Stops the parser at headers that go no further; it makes an error of its own of it."""


class _Flow(FlowControl):
    listening_since = 0.0
    """By the monotonic clock: since when the server listens again to a client that it had not listened to."""

    def resume_reading(self) -> None:
        if self.read_paused:
            super().resume_reading()
            self.listening_since = monotonic()


class _Phase(Enum):
    SILENT = auto()
    HEAD = auto()
    BODY = auto()
    COMPLETE = auto()


class PunctualProtocol(HttpToolsProtocol):
    """Closes on clients that are too slow or too greedy, and on nobody whose answer is being made.

    Give it to uvicorn.Config as `http`. A client that was answered 4xx here has `linger` seconds to read that:
    to close at once, while more of its request is on the way, would take the answer away again.
    """

    deadline: ClassVar[float] = REQUEST_DEADLINE
    linger: ClassVar[float] = 2.0
    farewell: ClassVar[float] = 1.0
    """Seconds in which a server that stops still hears a request that was on its way."""

    flow: _Flow

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting_since: float | None = None
        """On the loop's clock: since when this connection holds a file descriptor and asks nothing yet."""
        self._phase = _Phase.SILENT
        self._slice = 0
        self._received = 0
        self._payload = 0
        self._status = HTTPStatus.BAD_REQUEST
        self._deaf = False
        self._ending = False
        self._last_words = b""
        self._active: RequestResponseCycle | None = None
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self.waiting_since = self.loop.time()
        self._expect_more()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_receiving()
        self._stop_sending()
        self._unset_keepalive_if_required()
        # uvicorn tells only the last of several pipelined requests; the one at work would write to nobody.
        if self._active is not None and not self._active.response_complete:
            _disconnect(self._active)
        super().connection_lost(exc)
        self._let_go()

    def _let_go(self) -> None:
        """Of an answered request, which holds this connection: what is a circle waits long for the collector."""
        if self._active is not None and self._active.response_complete:
            self.cycle = self._active = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        for start in range(0, len(data), MAX_HEAD):
            if self._deaf:
                return
            self._feed(data[start : start + MAX_HEAD])
        if self._deaf:
            return
        if self._phase is not _Phase.COMPLETE:
            self._expect_more()
        elif self.cycle.response_complete:
            # Answered before its body had come: uvicorn counts the idle time from the answer alone.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _feed(self, data: bytes) -> None:
        self._slice = len(data)
        if self._phase is _Phase.COMPLETE:
            self._phase = _Phase.SILENT
            self._received = 0
        self._received += self._slice
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            self._feed(self._take_upgrade_out() + rest)
        except httptools.HttpParserError:
            self._refuse(self._status)
        else:
            self._refuse_excess()

    def _take_upgrade_out(self) -> bytes:
        """The head once more, for a fresh parser, as from a client that asks for no other protocol.

        An offer to upgrade may be ignored (RFC 9110, 7.8), but the parser then takes the body for the next
        request. Java's HttpClient makes that offer with everything it posts.
        """
        head = [
            self.parser.get_method(),
            b" ",
            self.url,
            f" HTTP/{self.parser.get_http_version()}\r\n".encode(),
        ]
        for name, value in self.headers:
            kept = value
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                kept = b", ".join(token for token in tokens if token.lower() != b"upgrade")
            if name != b"upgrade":
                head += [name, b": ", kept, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._received = 0
        return b"".join([*head, b"\r\n"])

    def _refuse_excess(self) -> None:
        # Twice, as a pipelined head may have been charged with what came before it; a whole one is measured.
        if self._phase is _Phase.HEAD and self._received > 2 * MAX_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._phase is _Phase.BODY and self._received > MAX_HEAD + _FRAMING_PER_BYTE * self._payload:
            self._refuse(HTTPStatus.BAD_REQUEST)

    def on_message_begin(self) -> None:
        self._phase = _Phase.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise _RefusedHead
            return
        self._check_head()
        super().on_headers_complete()
        if self._ending:
            self.cycle.keep_alive = False
        # Trailers are put here too, and would come after a proxy's word in the headers the application reads.
        self.headers = []
        self._phase = _Phase.BODY
        self._received = self._payload = 0

    def _check_head(self) -> None:
        self._check_host()
        too_large = self._received > MAX_HEAD and self._measure_head() > MAX_HEAD
        if too_large or len(self.headers) > MAX_HEADERS:
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        elif len(self.pipeline) >= _MAX_PIPELINED:
            self._status = HTTPStatus.TOO_MANY_REQUESTS
        else:
            return
        raise _RefusedHead

    def _check_host(self) -> None:
        """RFC 9112, 3.2. Of two hosts a proxy in front may have read the other one."""
        hosts = [value for name, value in self.headers if name == b"host"]
        missing = not hosts and self.parser.get_http_version() != "1.0"
        if missing or len(hosts) > 1 or not all(map(_HOST.fullmatch, hosts)):
            raise _RefusedHead

    def _measure_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        self._payload += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._phase = _Phase.COMPLETE
        self._received = self._slice
        self._stop_receiving()
        if not self.cycle.response_complete:
            self.waiting_since = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        last = not self.pipeline
        super().on_response_complete()
        if self not in self.connections:
            self._let_go()
        elif self.transport.is_closing():
            self._expect_reading()
        elif last and self._deaf:
            self._part()
        elif last:
            self.waiting_since = self.loop.time()

    def shutdown(self) -> None:
        """A form that a visitor is sending at this moment is answered; uvicorn would hang up on it."""
        if self._active is not None and not self._active.response_complete:
            super().shutdown()
            return
        self._ending = True
        self.loop.call_later(self.farewell, super().shutdown)

    def timeout_keep_alive_handler(self) -> None:
        # What the client has not read by now would hold a plain close up for ever.
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_sending()

    def _expect_more(self) -> None:
        if self._receiving is None:
            self._receiving = self.loop.call_later(self.deadline, self._end_receiving)

    def _end_receiving(self) -> None:
        """A client is not late for as long as the server does not listen to it: its time counts from then."""
        left = self.flow.listening_since - monotonic() if not self.flow.read_paused else 0
        if left + self.deadline > 0:
            self._receiving = self.loop.call_later(left + self.deadline, self._end_receiving)
            return
        self._receiving = None
        self._refuse(HTTPStatus.REQUEST_TIMEOUT if self._phase is not _Phase.SILENT else None)

    def _stop_receiving(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _expect_reading(self) -> None:
        if self._sending is None:
            self._sending = self.loop.call_later(self.deadline, self.transport.abort)

    def _stop_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _refuse(self, status: HTTPStatus | None) -> None:
        """Hears no more. Answers in its turn, after earlier requests' answers, and never a request twice."""
        self._deaf = True
        self._stop_receiving()
        self._last_words = _write_refusal(status) if status else b""
        if self._phase is not _Phase.BODY:
            if self._active is None or self._active.response_complete:
                self._part()
        elif self.cycle is not self._active:
            self.pipeline.popleft()
        else:
            if self.cycle.response_started:
                self._last_words = b""
            _disconnect(self.cycle)
            self._part()

    def _part(self) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self.transport.write(self._last_words)
        self.transport.write_eof()
        self.flow.resume_reading()
        self._receiving = self.loop.call_later(self.linger, self.transport.abort)

    def _make_room(self) -> None:
        """Near the limit of file descriptors, parts with those that waited longest: new visitors get in."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit == resource.RLIM_INFINITY or len(self.connections) < limit * _CROWDED:
            return
        waiting = [
            (connection.waiting_since, id(connection), connection)
            for connection in self.connections
            if isinstance(connection, PunctualProtocol) and connection.waiting_since is not None
        ]
        # Several at a time: a flood then costs one search a hundred connections, not one each.
        for _, _, connection in nsmallest(max(1, limit // 100), waiting):
            connection.transport.abort()


def raise_file_limit() -> int:
    """As many file descriptors, and so connections, as the system lets this process have. Returns how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # macOS names no hard limit, and grants less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _disconnect(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = True
    cycle.message_event.set()


def _write_refusal(status: HTTPStatus) -> bytes:
    body = json.dumps(
        {"type": f"urn:leadgate:problem:{_KINDS[status]}", "title": status.phrase, "status": status.value}
    ).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/problem+json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
