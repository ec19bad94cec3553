"""The one route in a hurry: a lead's way in, past framework, middlewares and router, to the same handler.

What they would do is done here in one step, from the same words: see security.py and refusals.py. They cost as
much as keeping the lead does.
"""

import re
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import LeadgateError
from app.web.refusals import Refusals
from app.web.routing import Handler
from app.web.security import always, report_defect

LEADS = "/api/v1/forms/{form}/leads"

_PATH = re.compile("([^/]+)".join(map(re.escape, LEADS.split("{form}"))))
_NO_QUERY = QueryParams()


class Express:
    """Before the application: a posted lead goes straight to its handler, all else goes through."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        post_lead: Handler,
        refusals: Refusals,
        describe_cors: Callable[[Request], Mapping[str, str]],
        secure: bool = False,
    ) -> None:
        self._app = app
        self._post_lead = post_lead
        self._refusals = refusals
        self._describe_cors = describe_cors
        self._secure = secure
        self._route = Route(LEADS, post_lead)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = _find_form(scope)
        if form is None:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = {"form": form}
        scope["route"] = self._route
        request = _QuickRequest(scope, receive)
        response = await self._answer(request)
        headers = self._complete(response, request)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _answer(self, request: Request) -> Response:
        try:
            try:
                return await self._post_lead(request)
            except (HTTPException, LeadgateError) as error:
                return await self._refusals.answer(request, error)
        except Exception:  # noqa: BLE001 - what it says may be what a visitor typed
            report_defect(request.scope)
            return await self._refusals.answer_defect(request)

    def _complete(self, response: Response, request: Request) -> list[tuple[bytes, bytes]]:
        own = response.raw_headers
        told = {name for name, _ in own}
        secure = self._secure or request.scope.get("scheme") == "https"
        headers = own + [pair for pair in always(secure=secure) if pair[0] not in told]
        # Not before the answer, which has found out whose form it is.
        for name, value in self._describe_cors(request).items():
            headers.append((name.lower().encode(), value.encode("latin-1")))
        return headers


def _find_form(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] != "POST" or scope.get("root_path"):
        return None
    match = _PATH.fullmatch(scope["path"])
    return match[1] if match else None


class _QuickRequest(Request):
    """A request whose headers are put into a table once, as a dozen of them are asked for."""

    headers: Headers = Headers()  # no property: looked at a dozen times

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self.headers = _QuickHeaders(raw=scope["headers"])

    @property
    def query_params(self) -> QueryParams:
        return super().query_params if self.scope["query_string"] else _NO_QUERY


class _QuickHeaders(Headers):
    """Of several with one name the first counts, as in a plain one. Asked in lower case."""

    def __init__(self, *, raw: list[tuple[bytes, bytes]]) -> None:
        super().__init__(raw=raw)
        self._first = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(raw)}
        self.get = self._first.get  # type: ignore[method-assign]

    def __getitem__(self, key: str) -> str:
        return self._first[key]

    def getlist(self, key: str) -> list[str]:
        return super().getlist(key) if key in self._first else []
