"""For whoever watches the process: is it alive, can it take a lead. Neither ever looks at Vitec."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import StoreUnavailable
from app.store.store import Store

_NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Health:
    store: Store

    def routes(self) -> list[Route]:
        return [
            Route("/healthz", self.alive, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
        ]

    async def alive(self, _request: Request) -> Response:
        return JSONResponse({"status": "alive"}, headers=_NO_STORE)

    async def ready(self, _request: Request) -> Response:
        try:
            await self.store.prove_writable()
        except StoreUnavailable:
            return JSONResponse({"status": "store unavailable"}, 503, _NO_STORE | {"Retry-After": "5"})
        return JSONResponse({"status": "ready"}, headers=_NO_STORE)
