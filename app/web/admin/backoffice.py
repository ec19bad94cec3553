"""What every page of the operator's shares: who may enter, and the frame around what is shown."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.i18n import LANGUAGES, choose_language, get_translations, name_language
from app.intake.digests import Digests
from app.passwords import Verifier
from app.store.sessions import is_ended
from app.users import LiveUsers, User
from app.web.admin.moments import Moments
from app.web.admin.sessions import Session, Sessions, read_cookie
from app.web.admin.throttle import Throttle
from app.web.admin.wording import Wording
from app.web.bodies import read_form
from app.web.origins import is_own
from app.web.problems import Refused
from app.web.reception import Reception
from app.web.routing import Handler
from app.web.security import NO_STORE

HOME = "/admin"
LOGIN = "/admin/login"

_LANGUAGE = "leadgate_language"
_A_YEAR = 365 * 86400

_HEADERS = {
    # Frames are for the previews of our own forms.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    # The address of a lead is nobody else's; and `no-referrer` would turn the forms' Origin into null.
    "Referrer-Policy": "same-origin",
    **NO_STORE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request of somebody who has signed in."""

    request: Request
    session: Session

    @property
    def user(self) -> User:
        return self.session.user

    @property
    def actor(self) -> str:
        """As history and audit trail know them: no user of the operating system is called so."""
        return f"web:{self.user.name}"

    async def read_form(self) -> dict[str, str]:
        """What was filled in, without what no keyboard writes and PostgreSQL does not take. Raises Refused."""
        return {name: value.replace("\0", "") for name, value in await read_form(self.request)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoffice:
    reception: Reception
    users: LiveUsers
    sessions: Sessions
    digests: Digests
    verifier: Verifier = field(default_factory=Verifier)
    throttle: Throttle = field(default_factory=Throttle)

    def guard(self, handler: Callable[[Visit], Awaitable[Response]]) -> Handler:
        """For those who have signed in; others are asked to."""

        async def answer(request: Request) -> Response:
            self.admit(request)
            session = await self.recognise(request)
            if session is None:
                return self._ask_to_sign_in(request)
            return await handler(Visit(request=request, session=session))

        return answer

    def admit(self, request: Request) -> None:
        """Raises Refused: where nobody may sign in there is nothing, and what acts must come from our own page."""
        # Nothing here is called by a name with a NUL, which PostgreSQL would not even look for.
        if not self.users.current or "%00" in str(request.url):
            raise Refused(404)
        if request.method == "POST" and not is_own(
            origin=request.headers.get("origin"),
            host=request.headers.get("host"),
            fetch_site=request.headers.get("sec-fetch-site"),
            public_url=self.reception.public_url,
        ):
            raise Refused(403)

    async def recognise(self, request: Request) -> Session | None:
        text = read_cookie(request, secure=self.is_secure(request))
        session = self.sessions.read(text, now=self.reception.now())
        if session is None:
            return None
        ended = await self.reception.store.read(partial(is_ended, session_id=session.id))
        return None if ended else session

    def is_secure(self, request: Request) -> bool:
        """Whether the browser speaks https, which a proxy that ends TLS may hide from us.

        By another name than the public one it speaks as it is seen to: on this machine, while the proxy is down.
        """
        public_url = self.reception.public_url or ""
        named = urlsplit(public_url).netloc == request.headers.get("host")
        origin = request.headers.get("origin") or (public_url if named else "")
        return request.url.scheme == "https" or origin.startswith("https://")

    def _ask_to_sign_in(self, request: Request) -> Response:
        if request.method != "GET":
            return RedirectResponse(LOGIN, 303, NO_STORE)
        if request.headers.get("sec-fetch-site") == "cross-site":
            # From a link elsewhere the browser keeps a strict cookie back; from a page of ours it will not.
            return self.render(request, "admin/onward.html", address=_address_of(request))
        return RedirectResponse(f"{LOGIN}?{urlencode({'next': _address_of(request)})}", 303, NO_STORE)

    def choose_language(self, request: Request) -> str:
        return choose_language(
            LANGUAGES,
            request.query_params.get("lang"),
            request.cookies.get(_LANGUAGE),
            accept_language=request.headers.get("accept-language"),
        )

    def show(self, visit: Visit, template: str, *, status: int = 200, **variables: Any) -> Response:
        return self.render(visit.request, template, status=status, user=visit.user, **variables)

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        user: User | None = None,
        headers: Mapping[str, str] | None = None,
        **variables: Any,
    ) -> Response:
        language = self.choose_language(request)
        others = [
            (code, name_language(code), f"?{_query_in(request, code)}")
            for code in LANGUAGES
            if code != language
        ]
        content = self.reception.renderer.render_admin(
            template,
            language=language,
            user=user,
            others=others,
            path=request.url.path,
            words=Wording(get_translations(language)),
            moments=Moments(language=language, now=self.reception.now()),
            **variables,
        )
        response = Response(content, status, {**_HEADERS, **(headers or {})}, media_type="text/html")
        if request.query_params.get("lang") == language:
            response.set_cookie(
                _LANGUAGE,
                language,
                max_age=_A_YEAR,
                path=HOME,
                secure=self.is_secure(request),
                httponly=True,
                samesite="strict",
            )
        return response


def _query_in(request: Request, language: str) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return urlencode([*kept, ("lang", language)])


def _address_of(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
