"""Builds the web application. The only place where routes are mounted."""

from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from app import __version__
from app.forms.live import LiveForms
from app.i18n import choose_language
from app.intake.accept import Acceptor
from app.intake.digests import Digests
from app.resources import STATIC
from app.store.store import Store
from app.web.api import Api
from app.web.health import Health
from app.web.openapi import describe_api
from app.web.pages import Pages
from app.web.problems import make_problem
from app.web.reception import Reception, TokenSigner
from app.web.security import Boundary


def create_app(*, forms: LiveForms, store: Store, secret: bytes, public_url: str | None = None) -> FastAPI:
    """The gateway as visitors and developers meet it. The store must be open before the first request."""
    reception = Reception(
        forms=forms,
        store=store,
        acceptor=Acceptor(store, Digests(secret)),
        signer=TokenSigner(secret),
        public_url=public_url,
    )
    pages = Pages(reception)
    # Plain Starlette routes: FastAPI's machinery around a handler costs more than keeping the lead does.
    app = FastAPI(
        title="Leadgate", version=__version__, docs_url=None, redoc_url=None, openapi_url="/openapi.json"
    )
    app.router.routes += [
        *Api(reception).routes(),
        *pages.routes(),
        *Health(store).routes(),
        Mount("/static", _CachedFiles(directory=STATIC)),
    ]
    app.openapi = lambda: describe_api(forms.current, public_url=public_url)  # type: ignore[method-assign]

    async def answer_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        return _answer_problem(request, error.status_code, pages, dict(error.headers or {}))

    async def answer_defect(request: Request) -> Response:
        return _answer_problem(request, 500, pages, {})

    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_middleware(Boundary, answer_defect=answer_defect)
    return app


def _answer_problem(request: Request, status: int, pages: Pages, headers: dict[str, str]) -> Response:
    if request.url.path.startswith("/f/"):
        response = pages.problem(request, status)
        response.headers.update(headers)
        return response
    language = choose_language(("sv", "en"), accept_language=request.headers.get("accept-language"))
    if request.url.path.startswith("/api/"):
        headers["Vary"] = "Origin"
    return make_problem(status, language=language, headers=headers)


_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_WHILE = "public, max-age=300"


class _CachedFiles(StaticFiles):
    """The pages' addresses carry a digest of the content, and so a copy is never stale."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        versioned = b"v=" in args[2]["query_string"]
        response.headers["Cache-Control"] = _FOR_EVER if versioned else _FOR_A_WHILE
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response
