"""What every answer forbids the browser, and what a form's page allows it."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache, lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.forms.model import Form
from app.log import get_logger

_log = get_logger("web")

NO_STORE = {"Cache-Control": "no-store"}

_HSTS = {"Strict-Transport-Security": "max-age=31536000"}
"""A year, of this name alone: what else an operator serves beside it is not known here."""

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # An answer that says nothing else runs nothing and is framed by nobody.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@cache
def always(*, secure: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of every answer that does not say otherwise, as they go over the wire."""
    headers = _ALWAYS | _HSTS if secure else _ALWAYS
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


class Boundary:
    """Around every route: headers that an answer does not set itself, and a plain 500 for a defect.

    A defect ends here: the server's own report of it would print what the exception says, and that may be
    what a visitor typed.
    """

    def __init__(
        self, app: ASGIApp, answer_defect: Callable[[Request], Awaitable[Response]], *, secure: bool = False
    ) -> None:
        """`secure`: visitors come over https, even where a proxy's word for it is missing."""
        self._app = app
        self._answer_defect = answer_defect
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in always(secure=self._secure or scope.get("scheme") == "https"):
                    headers.setdefault(name.decode(), value.decode())
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:  # noqa: BLE001
            report_defect(scope)
            if not started:
                response = await self._answer_defect(Request(scope))
                await response(scope, receive, send_with_headers)


def report_defect(scope: Scope) -> None:
    """The exception at hand, and the route's pattern: an address may hold what a visitor typed."""
    _log.error("request_failed", route=str(getattr(scope.get("route"), "path", "unknown")), exc_info=True)


class CrossOrigin:
    """Around the API, the boundary's 500 included: every answer says who may read it."""

    def __init__(self, app: ASGIApp, describe: Callable[[Request], Mapping[str, str]]) -> None:
        self._app = app
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Not before the answer: who may read it is known once the route, or the lead, is found.
                MutableHeaders(scope=message).update(self._describe(Request(scope)))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def page_headers(form: Form | None, *, framed: bool = True) -> dict[str, str]:
    """A page's policy: our own styles and forms, framed by us and the form's listed origins, or by nobody.

    It is not kept.
    """
    if form is None:
        policy = _write_policy(None, None, None, (), framed=framed)
    else:
        theme = form.theme
        policy = _write_policy(
            theme.stylesheet, theme.logo, form.redirect_url, tuple(form.allowed_origins), framed=framed
        )
    return {"Content-Security-Policy": policy, **NO_STORE}


@lru_cache(maxsize=256)
def _write_policy(
    stylesheet: str | None, logo: str | None, target: str | None, ancestors: tuple[str, ...], *, framed: bool
) -> str:
    directives = (
        ["default-src 'none'"],
        ["style-src 'self'", *_origins(stylesheet)],
        ["script-src 'self'"],
        ["img-src 'self' data:", *_origins(logo)],
        ["connect-src 'self'"],
        # Chromium holds a form's redirect to form-action as well.
        ["form-action 'self'", *_origins(target)],
        ["base-uri 'none'"],
        ["frame-ancestors 'self'", *ancestors] if framed else ["frame-ancestors 'none'"],
    )
    return "; ".join(map(" ".join, directives))


def _origins(address: str | None) -> list[str]:
    parts = urlsplit(address or "")
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []
