"""Signing in and out."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import ceil

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.errors import StoreUnavailable
from app.log import get_logger
from app.passwords import TooManyAtOnce
from app.store.audit import add_audit
from app.store.sessions import end_session
from app.users import User
from app.web.admin.backoffice import HOME, LOGIN, Backoffice, Visit
from app.web.admin.sessions import clear_cookies, set_cookie
from app.web.bodies import read_form
from app.web.routing import make_route
from app.web.security import NO_STORE

_log = get_logger("admin")

# Our own pages alone: an address of another's would make us vouch for it.
_NEXT = re.compile(r"/admin(?:[/?][A-Za-z0-9/?&=%._~+-]*)?")

_BUSY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Entrance:
    backoffice: Backoffice

    def routes(self) -> list[Route]:
        return [
            make_route(LOGIN, GET=self.show, POST=self.sign_in),
            make_route("/admin/logout", POST=self.backoffice.guard(self.sign_out)),
        ]

    async def show(self, request: Request) -> Response:
        self.backoffice.admit(request)
        if await self.backoffice.recognise(request):
            return RedirectResponse(_read_next(request.query_params.get("next")), 303, NO_STORE)
        return self._ask(request, onward=_read_next(request.query_params.get("next")))

    def _ask(
        self,
        request: Request,
        *,
        onward: str,
        name: str = "",
        wrong: bool = False,
        wait: timedelta | None = None,
    ) -> Response:
        seconds = ceil(wait.total_seconds()) if wait else 0
        return self.backoffice.render(
            request,
            "admin/login.html",
            status=429 if seconds else 422 if wrong else 200,
            headers={"Retry-After": str(seconds)} if seconds else None,
            onward=onward,
            name=name,
            wrong=wrong,
            wait=seconds,
        )

    async def sign_in(self, request: Request) -> Response:
        self.backoffice.admit(request)
        given = dict(await read_form(request))
        name, onward = given.get("name", "").strip().lower()[:40], _read_next(given.get("next"))
        address = request.client.host if request.client else ""
        now, throttle = self.backoffice.reception.now(), self.backoffice.throttle
        if wait := throttle.count_attempt(name, address, now=now):
            return self._ask(request, onward=onward, name=name, wait=wait)
        try:
            user = await self._verify(name, given.get("password", ""), trusted=throttle.knows(name, address))
        except TooManyAtOnce:
            return self._ask(request, onward=onward, name=name, wait=_BUSY)
        if user is None:
            _log.warning("sign_in_failed")
            return self._ask(request, onward=onward, name=name, wrong=True)
        throttle.welcome(name, address)
        return await self._let_in(request, user, onward)

    async def _verify(self, name: str, password: str, *, trusted: bool) -> User | None:
        users = self.backoffice.users.current
        known = users.get(name)
        # For a name nobody has, somebody's password is checked all the same: the answer takes as long.
        hashed = (known or next(iter(users.values()))).password_hash
        right = await self.backoffice.verifier.verify(hashed, password, trusted=trusted)
        return known if right else None

    async def _let_in(self, request: Request, user: User, onward: str) -> Response:
        now = self.backoffice.reception.now()
        response = RedirectResponse(onward, 303, NO_STORE)
        cookie = self.backoffice.sessions.issue(user, now=now)
        set_cookie(response, cookie, secure=self.backoffice.is_secure(request))
        # A disk that is full is what somebody comes in to see to.
        with suppress(StoreUnavailable):
            job = partial(add_audit, action="signed_in", actor=f"web:{user.name}", now=now)
            await self.backoffice.reception.store.write(job)
        return response

    async def sign_out(self, visit: Visit) -> Response:
        response = RedirectResponse(LOGIN, 303, NO_STORE)
        clear_cookies(response, visit.request)
        now, session = self.backoffice.reception.now(), visit.session
        job = partial(
            end_session, session_id=session.id, expires_at=session.expires_at, now=now, actor=visit.actor
        )
        await self.backoffice.reception.store.write(job)
        return response


def _read_next(text: str | None) -> str:
    return (
        text if text and _NEXT.fullmatch(text) and "//" not in text and not text.startswith(LOGIN) else HOME
    )
