"""What every handler needs, put together once by main: who asks, about which form, in which language."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from urllib.parse import urlsplit

from starlette.requests import Request

from app import tally
from app.errors import StoreUnavailable
from app.forms.live import LiveForms
from app.forms.model import ApiKey, Form
from app.i18n import LANGUAGES, choose_language
from app.intake.accept import Acceptor
from app.intake.callers import Caller, identify
from app.intake.definition import Definition
from app.intake.gatekeeper import Gatekeeper
from app.intake.submission import Circumstances
from app.lead import Note
from app.log import get_logger
from app.store.proxies import remember_proxy
from app.store.store import Store
from app.web.origins import cors_headers, may_speak
from app.web.problems import Refused
from app.web.proxies import ProxyWatch
from app.web.rendering import Renderer
from app.web.tokens import TokenSigner

_log = get_logger("web")


@dataclass(slots=True, kw_only=True)
class Reception:
    forms: LiveForms
    store: Store
    acceptor: Acceptor
    gatekeeper: Gatekeeper
    signer: TokenSigner
    renderer: Renderer = field(default_factory=Renderer)
    proxies: ProxyWatch = field(default_factory=ProxyWatch)
    public_url: str | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _definitions: dict[str, Definition] = field(default_factory=dict)

    def find_form(self, request: Request) -> Form | None:
        """The form that a request is about: by its address, or by its lead once that is found."""
        name = request.path_params.get("form") or getattr(request.state, "form", None)
        return self.forms.find(name) if name else None

    def require_form(self, request: Request) -> Form:
        """Raises Refused."""
        form = self.find_form(request)
        if form is None:
            raise Refused(404, "unknown-form")
        return form

    def define(self, form: Form) -> Definition:
        """The form's fields, compiled once for as long as the form is in force."""
        known = self._definitions.get(form.name)
        if known is None or known.form is not form:
            known = self._definitions[form.name] = Definition(form)
        return known

    async def identify(self, request: Request, form: Form, *, key: ApiKey | None = None) -> Caller:
        """By the address that the connection, or a trusted proxy, tells; uvicorn has put it there."""
        host = request.client.host if request.client else None
        if self.proxies.note(host, request.headers):
            await self._report_proxy()
        tally.UNNAMED_PROXY.set(self.proxies.suspected)
        return identify(host, form, key=key)

    async def _report_proxy(self) -> None:
        _log.warning(
            "proxy_not_named",
            hint="all submissions come through one address; name it in LEADGATE_TRUSTED_PROXIES, or all visitors"
            " share one limit",
        )
        with suppress(StoreUnavailable):
            await self.store.write(partial(remember_proxy, now=self.now()))

    def is_of_our_page(self, request: Request) -> bool:
        """Whether what is sent may have been written on our own page, as far as a browser tells."""
        headers = request.headers
        return may_speak(
            origin=headers.get("origin"),
            host=headers.get("host"),
            fetch_site=headers.get("sec-fetch-site"),
            public_url=self.public_url,
        )

    def admits(self, request: Request) -> bool:
        """Whether the page that asks may post to the form. What is about no form, every listed page may read."""
        if request.headers.get("origin") is None:
            return True
        form = self.find_form(request)
        every = self.forms.current.forms.values()
        headers = request.headers
        return may_speak(
            origin=headers.get("origin"),
            host=headers.get("host"),
            fetch_site=headers.get("sec-fetch-site"),
            allowed=form.allowed_origins if form else {one for each in every for one in each.allowed_origins},
            public_url=self.public_url,
        )

    def admit(self, request: Request) -> None:
        """Raises Refused for a page of an origin that is not listed."""
        if not self.admits(request):
            raise Refused(403)

    def cors_headers(self, request: Request) -> dict[str, str]:
        origin = request.headers.get("origin")
        return cors_headers(origin, admitted=origin is not None and self.admits(request))

    def choose_language(self, request: Request) -> str:
        """The visitor's: as the body wished once it is read, then `?lang=`, then Accept-Language."""
        form = self.find_form(request)
        return choose_language(
            form.languages if form else LANGUAGES,
            getattr(request.state, "language", None),
            request.query_params.get("lang"),
            accept_language=request.headers.get("accept-language"),
        )

    def describe_circumstances(
        self,
        request: Request,
        form: Form,
        *,
        now: datetime,
        page_shown_at: datetime | None = None,
        notes: tuple[Note, ...] = (),
    ) -> Circumstances:
        return Circumstances(
            now=now,
            language=request.query_params.get("lang"),
            accept_language=request.headers.get("accept-language"),
            query=request.query_params.multi_items(),
            referer=request.headers.get("referer"),
            # Whoever comes from one page of ours to the next was sent by nobody.
            own_hosts=_own_hosts(self.public_url, request.headers.get("host"), form.allowed_origins),
            page_shown_at=page_shown_at,
            notes=notes,
        )

    def find_hosts(self, request: Request) -> frozenset[str]:
        """The service's own."""
        return _own_hosts(self.public_url, request.headers.get("host"), ())


@lru_cache(maxsize=256)
def _own_hosts(public_url: str | None, host: str | None, origins: tuple[str, ...]) -> frozenset[str]:
    return _hosts((public_url or "", f"//{host or ''}", *origins))


def _hosts(addresses: tuple[str, ...]) -> frozenset[str]:
    return frozenset(host for host in map(host_of, addresses) if host)


def host_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
