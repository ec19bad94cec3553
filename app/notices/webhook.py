"""Posts what the operator is told as plain JSON, and pings the heartbeat."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from app import __version__
from app.notices.mailer import NotSent

_PATIENCE = timedelta(seconds=10)
"""For all of it: a server that answers byte by byte holds up whoever waits for the next message."""


@dataclass(frozen=True, slots=True)
class Outward:
    """A client that follows nobody, takes nothing from the environment, and reads no answer but its status."""

    client: httpx.AsyncClient
    patience: timedelta = _PATIENCE

    async def post(self, url: str, body: dict[str, Any]) -> None:
        """Raises NotSent for anything but a 2xx."""
        await self._ask(self.client.build_request("POST", url, json=body))

    async def ping(self, url: str) -> None:
        """Raises NotSent."""
        await self._ask(self.client.build_request("GET", url))

    async def _ask(self, request: httpx.Request) -> None:
        try:
            async with asyncio.timeout(self.patience.total_seconds()):
                answer = await self.client.send(request, stream=True)
                await answer.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise NotSent(type(error).__name__) from None
        if not answer.is_success:
            raise NotSent(f"HTTP {answer.status_code}")


def open_outward() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=_PATIENCE.total_seconds(),
        trust_env=False,
        follow_redirects=False,
        headers={"User-Agent": f"leadgate/{__version__}"},
    )
