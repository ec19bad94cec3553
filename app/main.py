"""Builds the web application. The only place where routes are mounted."""

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from app import __version__
from app.errors import LeadgateError, StoreUnavailable
from app.forms.live import LiveForms
from app.forms.model import Password
from app.intake.accept import Acceptor
from app.intake.digests import Digests
from app.intake.gatekeeper import Gatekeeper
from app.intake.limits import Limiter
from app.intake.proof import Challenger
from app.links import LinkSigner
from app.rates import OFF
from app.resources import STATIC
from app.store.store import Store
from app.users import LiveUsers
from app.web.admin.backoffice import Backoffice
from app.web.admin.routes import list_routes
from app.web.admin.sessions import Sessions
from app.web.api import LEADS, Api
from app.web.assets import CachedFiles
from app.web.compression import COMPRESSED
from app.web.embed import Embed
from app.web.express import Express, Line
from app.web.health import Health
from app.web.metrics import Metrics
from app.web.openapi import describe_api
from app.web.pages import FORM, Pages
from app.web.reception import Reception
from app.web.refusals import Refusals
from app.web.security import Boundary, CrossOrigin
from app.web.settling import SettlePages
from app.web.tokens import TokenSigner


class Gateway(FastAPI):
    """With a way of its own for forms and leads."""

    express: Express

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.express(scope, receive, send)


def create_app(
    *,
    forms: LiveForms,
    store: Store,
    secret: bytes,
    users: LiveUsers | None = None,
    public_url: str | None = None,
    rate_limit: str = OFF,
    metrics_token: Password | None = None,
) -> FastAPI:
    """The gateway as visitors, developers and operators meet it. The store must be open before the first request.

    Without users there are no operators' pages.
    """
    digests, users = Digests(secret), users or LiveUsers()
    acceptor = Acceptor(store, digests)
    reception = Reception(
        forms=forms,
        store=store,
        acceptor=acceptor,
        gatekeeper=Gatekeeper(acceptor, limiter=Limiter(rate_limit), challenger=Challenger(secret)),
        signer=TokenSigner(secret),
        public_url=public_url,
        now=store.now,
    )
    sessions = Sessions(secret, users)
    backoffice = Backoffice(reception=reception, users=users, sessions=sessions, digests=digests)
    refusals, api, pages = Refusals(reception), Api(reception), Pages(reception)
    app = Gateway(
        title="Leadgate",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        # Behind a proxy that ends TLS the address would begin with http, and a lead follow it in the clear.
        redirect_slashes=False,
        exception_handlers={HTTPException: refusals.answer, LeadgateError: refusals.answer},
    )
    # Plain Starlette routes: FastAPI's machinery around a handler costs more than keeping the lead does.
    app.router.routes += [
        *api.routes(),
        *pages.routes(),
        *list_routes(backoffice),
        *Embed(reception).routes(),
        *SettlePages(reception, LinkSigner(secret)).routes(),
        *list_watch_routes(forms=forms, store=store, metrics_token=metrics_token),
        Mount("/static", CachedFiles(directory=STATIC), middleware=[COMPRESSED]),
    ]
    app.openapi = lambda: describe_api(forms.current, public_url=public_url)  # type: ignore[method-assign]
    secure = (public_url or "").startswith("https://")
    app.add_middleware(Boundary, answer_defect=refusals.answer_defect, secure=secure)
    app.add_middleware(CrossOrigin, describe=reception.cors_headers)
    lines = (
        Line(method="POST", path=LEADS, handler=api.post_lead, describe_cors=reception.cors_headers),
        Line(method="GET", path=FORM, handler=pages.show_form, compressed=True),
    )
    app.express = Express(super(Gateway, app).__call__, lines, refusals=refusals, secure=secure)
    return app


def create_watch_app(*, forms: LiveForms, store: Store, metrics_token: Password | None = None) -> Starlette:
    """What whoever watches a delivering process may ask it."""
    routes = list_watch_routes(forms=forms, store=store, metrics_token=metrics_token)
    app = Starlette(routes=routes, exception_handlers={StoreUnavailable: _answer_unavailable})
    app.add_middleware(Boundary, answer_defect=_answer_defect)
    return app


def list_watch_routes(*, forms: LiveForms, store: Store, metrics_token: Password | None) -> list[Route]:
    metrics = Metrics(store=store, forms=forms, now=store.now, token=metrics_token)
    return [*Health(store).routes(), *metrics.routes()]


async def _answer_defect(_request: Request) -> Response:
    return PlainTextResponse("defect\n", 500)


async def _answer_unavailable(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("unavailable\n", 503)
