"""For whoever watches the process: is it alive, can it take a lead. Neither ever looks at Vitec."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.store.store import Store
from app.web.routing import make_route
from app.web.security import NO_STORE


@dataclass(frozen=True, slots=True)
class Health:
    store: Store

    def routes(self) -> list[Route]:
        return [make_route("/healthz", GET=self.alive), make_route("/readyz", GET=self.ready)]

    async def alive(self, _request: Request) -> Response:
        return JSONResponse({"status": "alive"}, headers=NO_STORE)

    async def ready(self, _request: Request) -> Response:
        """Raises StoreUnavailable, which is a 503."""
        await self.store.prove_writable()
        return JSONResponse({"status": "ready"}, headers=NO_STORE)
