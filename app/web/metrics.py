"""`/metrics`: for Prometheus, and for nobody else."""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.errors import StoreUnavailable
from app.forms.live import LiveForms
from app.forms.model import Password
from app.log import get_logger
from app.store.standing import Standing, load_standing
from app.store.store import Store
from app.web.routing import make_route
from app.web.security import NO_STORE

_log = get_logger("web")

_TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"

_FORWARDED = ("forwarded", "via", "x-real-ip", "true-client-ip", "cf-connecting-ip")
"""Headers, beside all X-Forwarded-*, that only a proxy sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    store: Store
    forms: LiveForms
    now: Callable[[], datetime]
    token: Password | None = None
    """Read at each scrape. Without one only this machine is answered."""

    def routes(self) -> list[Route]:
        return [make_route("/metrics", GET=self.show)]

    async def show(self, request: Request) -> Response:
        if (refusal := self._refuse(request)) is not None:
            return refusal
        standing = await self._load_standing()
        content = await asyncio.to_thread(self._write, standing)
        return Response(content, headers=NO_STORE, media_type=_TEXT_FORMAT)

    def _refuse(self, request: Request) -> Response | None:
        if self.token is None:
            if is_of_this_machine(request):
                return None
            told = "Metrics are for this machine alone; LEADGATE_METRICS_TOKEN lets others read them.\n"
            return PlainTextResponse(told, 403, NO_STORE)
        if _bears(request, self.token):
            return None
        told = "Metrics need the bearer token of LEADGATE_METRICS_TOKEN.\n"
        return PlainTextResponse(told, 401, {**NO_STORE, "WWW-Authenticate": "Bearer"})

    async def _load_standing(self) -> Standing | None:
        try:
            return await self.store.read(load_standing)
        except StoreUnavailable as error:
            _log.warning("standing_not_read", cause=str(error))
            return None

    def _write(self, standing: Standing | None) -> bytes:
        # A twentieth of a second, and a megabyte, that a service nobody watches does without.
        from app.web.exposition import Snapshot, expose  # noqa: PLC0415

        return expose(
            Snapshot(
                standing=standing,
                forms=sorted(self.forms.current.forms),
                database=self.store.kind,
                free_bytes=self.store.count_free_bytes(),
                now=self.now(),
            )
        )


def _bears(request: Request, token: Password) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        wanted = token.read()
    except (OSError, UnicodeDecodeError) as error:
        _log.error("metrics_token_unreadable", cause=type(error).__name__)
        return False
    # Header bytes arrive as latin-1 text.
    same = hmac.compare_digest(given.strip().encode("latin-1"), wanted.encode())
    return same and bool(wanted) and scheme.lower() == "bearer"


def is_of_this_machine(request: Request) -> bool:
    """A request by loopback, to loopback, that no proxy passed on.

    A proxy beside us also comes by loopback. Most say so in a header, or ask in the name of the host that the
    visitor asked for; nginx as it is shipped does neither, but speaks HTTP/1.0.
    """
    headers = request.headers
    if any(name in _FORWARDED or name.startswith("x-forwarded-") for name in headers):
        return False
    host = request.url.hostname or ""
    client = request.client.host if request.client else ""
    return request.scope["http_version"] != "1.0" and _is_loopback(client) and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address: Any = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
