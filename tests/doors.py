"""A real server behind PunctualProtocol, and the plainest of clients, for tests at byte level."""

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

    def count_connections(self) -> int:
        return len(self.server.server_state.connections)


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
            timeout_keep_alive=3,
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
    if scope["path"] == "/hasty":  # answers before it has read
        await _respond(send, 413, b"too much")
        return
    if scope["path"] == "/torrent":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": bytes(256 * 1024), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    body = await _read(receive)
    door.bodies.append(body)
    door.headers.append(dict(scope["headers"]))
    if scope["path"] == "/wait":
        await door.released.wait()
    await _respond(send, 200, f"{scope['path']} {len(body or b'')}".encode())


async def _read(receive: Any) -> bytes | None:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


async def _respond(send: Any, status: int, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def connect(door: Door) -> socket.socket:
    return socket.create_connection(("127.0.0.1", door.port), timeout=8)


def read_all(client: socket.socket) -> bytes:
    """Until the server closes. A reset counts as a close; silence for eight seconds does not."""
    answer = b""
    try:
        while piece := client.recv(65536):
            answer += piece
    except ConnectionError:
        pass
    return answer


def say(door: Door, *parts: bytes) -> bytes:
    """All that the server says to this, until it closes."""
    with connect(door) as client:
        for part in parts:
            client.sendall(part)
        return read_all(client)


def statuses(answer: bytes) -> Sequence[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
