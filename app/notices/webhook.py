"""Posts what the operator is told as plain JSON, and pings the heartbeat."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx

from app import __version__
from app.notices.mailer import NotSent

_PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Outward:
    """A client that follows nobody, and takes nothing from the environment."""

    client: httpx.AsyncClient

    async def post(self, url: str, body: dict[str, Any]) -> None:
        """Raises NotSent for anything but a 2xx."""
        await self._ask(self.client.build_request("POST", url, json=body))

    async def ping(self, url: str) -> None:
        """Raises NotSent."""
        await self._ask(self.client.build_request("GET", url))

    async def _ask(self, request: httpx.Request) -> None:
        try:
            answer = await self.client.send(request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
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
