"""Answers that never come, or come broken: what a network and a failing server do to a client."""

import asyncio
from contextlib import suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Dropped(Response):
    """The connection is closed without a byte of an answer."""

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        _find_transport(receive).abort()
        await _see_off(receive)


class Hanging(Response):
    """Nothing, until the client leaves or `seconds` are over; then the connection is closed."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await _see_off(receive)
                return
        await Dropped()(scope, receive, send)


class Dripping(Response):
    """A whole answer, one byte every `pause` seconds, for as long as the client waits."""

    def __init__(self, answer: Response, *, pause: float) -> None:
        super().__init__(answer.body, answer.status_code, dict(answer.headers))
        self._pause = pause

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        gone = asyncio.create_task(_see_off(receive))
        try:
            for byte in bytes(self.body):
                await asyncio.wait({gone}, timeout=self._pause)
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            gone.cancel()


class Truncated(Response):
    """Half of an answer that said it was longer, then the end of the connection."""

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _find_transport(receive).close()
        await _see_off(receive)


def _find_transport(receive: Receive) -> Any:
    """The connection itself. ASGI knows no way to close one unanswered, but uvicorn's `receive` is a method
    of the request's cycle, which holds it. Raises ConnectionResetError where there is no connection: that is
    what an in-process client sees.
    """
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("the sandbox broke the connection off")
    return transport


async def _see_off(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
