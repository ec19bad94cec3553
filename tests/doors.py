"""A real server behind PunctualProtocol, and the plainest of clients, for tests at byte level."""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from app.web.protocol import PunctualProtocol

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


class Hasty(PunctualProtocol):
    deadline = 0.6
    linger = 0.3


@dataclass
class Door:
    """`released` lets /wait be answered; `bodies` is what handlers read, None where the client was gone."""

    port: int
    server: uvicorn.Server
    loop: asyncio.AbstractEventLoop
    released: asyncio.Event
    bodies: list[bytes | None] = field(default_factory=list)
    headers: list[dict[bytes, bytes]] = field(default_factory=list)

    def release(self) -> None:
        self.loop.call_soon_threadsafe(self.released.set)

    def becomes_empty(self) -> bool:
        """Whether all connections and their handlers end, within eight seconds."""
        return asyncio.run_coroutine_threadsafe(self._wait_until_empty(), self.loop).result(10)

    async def _wait_until_empty(self) -> bool:
        state = self.server.server_state
        with suppress(TimeoutError):
            async with asyncio.timeout(8):
                while state.connections or state.tasks:  # noqa: ASYNC110 - they tell nobody that they change
                    await asyncio.sleep(0.01)
        return not state.connections and not state.tasks


@contextmanager
def open_door(protocol: type[asyncio.Protocol] = Hasty, *, loop: str = "uvloop") -> Iterator[Door]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    doors: list[Door] = []
    ready = threading.Event()

    async def run() -> None:
        config = uvicorn.Config(
            lambda scope, receive, send: _answer(doors[0], scope, receive, send),
            http=protocol,
            lifespan="off",
            log_config=None,
            timeout_keep_alive=1,
            access_log=False,
            interface="asgi3",
        )
        server = uvicorn.Server(config)
        port = listener.getsockname()[1]
        doors.append(Door(port, server, asyncio.get_running_loop(), asyncio.Event()))
        ready.set()
        await server.serve([listener])

    factory = uvicorn.Config(None, loop=loop).get_loop_factory()  # type: ignore[arg-type]
    with asyncio.Runner(loop_factory=factory) as runner:
        thread = threading.Thread(target=lambda: runner.run(run()))
        thread.start()
        assert ready.wait(5)
        yield doors[0]
        doors[0].server.should_exit = True
        doors[0].release()
        thread.join(10)
        assert not thread.is_alive()


async def _answer(door: Door, scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/release":
        door.released.set()
    if scope["path"] == "/hasty":  # answers before it has read
        await _respond(send, 413, b"too much")
        return
    if scope["path"] == "/boulder":
        await _respond(send, 200, bytes(16 << 20))
        return
    if scope["path"] == "/torrent":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": bytes(256 * 1024), "more_body": True})
            await asyncio.sleep(0)  # as any source of so much makes one wait
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] == "/wait":
        await door.released.wait()
    body = await _read(receive)
    door.bodies.append(body)
    door.headers.append(dict(scope["headers"]))
    await _respond(send, 200, f"{scope['path']} {len(body or b'')}".encode())


async def _read(receive: Any) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


async def _respond(send: Any, status: int, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def connect(door: Door) -> socket.socket:
    return socket.create_connection(("127.0.0.1", door.port), timeout=8)


def read_all(client: socket.socket) -> bytes:
    """Until the server closes. A reset counts as a close; silence for eight seconds does not."""
    answer = bytearray()
    with suppress(ConnectionError):
        while piece := client.recv(1 << 20):
            answer += piece
    return bytes(answer)


def read_answer(client: socket.socket) -> bytes:
    """One answer, on a connection that stays open."""
    answer = b""
    while (end := answer.find(b"\r\n\r\n")) < 0 or len(answer) < end + 4 + _length_of(answer):
        piece = client.recv(4096)
        assert piece
        answer += piece
    return answer


def _length_of(answer: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", answer)
    return int(found[1]) if found else 0


def say(door: Door, *parts: bytes) -> bytes:
    """All that the server says to this, until it closes."""
    with connect(door) as client:
        for part in parts:
            client.sendall(part)
        return read_all(client)


def statuses(answer: bytes) -> Sequence[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
