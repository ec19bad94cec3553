"""The two routes in a hurry, past framework, middlewares and router: a lead's way in, and the form before it.

What those would do is done here in one step, from the same words: see security.py, refusals.py and routing.py. They
cost as much as keeping the lead does, and several times what the form's page takes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import LeadgateError
from app.web.compression import compress
from app.web.refusals import Refusals
from app.web.routing import Handler
from app.web.security import always, report_defect

_NO_QUERY = QueryParams()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A route that stops nowhere."""

    method: str
    path: str
    """With one parameter, `{form}`."""
    handler: Handler
    describe_cors: Callable[[Request], Mapping[str, str]] | None = None
    """The headers that tell who may read the answer."""
    compressed: bool = False
    """For a browser that asks for it."""


class Express:
    """Before the application: what a line takes goes straight to its handler, all else goes through."""

    def __init__(
        self, app: ASGIApp, lines: Sequence[Line], *, refusals: Refusals, secure: bool = False
    ) -> None:
        self._app = app
        self._routes = tuple((line, Route(line.path, line.handler)) for line in lines)
        self._refusals = refusals
        self._secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = self._find(scope)
        if line is None:
            await self._app(scope, receive, send)
            return
        request = _QuickRequest(scope, receive)
        response = await self._answer(request, line)
        body = compress(response, request) if line.compressed else response.body
        headers = self._complete(response, request, line)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _find(self, scope: Scope) -> Line | None:
        if scope["type"] != "http" or scope.get("root_path"):
            return None
        for line, route in self._routes:
            if scope["method"] == line.method and (match := route.path_regex.match(scope["path"])):
                scope["path_params"] = match.groupdict()
                scope["route"] = route
                return line
        return None

    async def _answer(self, request: Request, line: Line) -> Response:
        try:
            try:
                return await line.handler(request)
            except (HTTPException, LeadgateError) as error:
                return await self._refusals.answer(request, error)
        except Exception:  # noqa: BLE001 - what it says may be what a visitor typed
            report_defect(request.scope)
            return await self._refusals.answer_defect(request)

    def _complete(self, response: Response, request: Request, line: Line) -> list[tuple[bytes, bytes]]:
        own = response.raw_headers
        told = {name for name, _ in own}
        secure = self._secure or request.scope.get("scheme") == "https"
        headers = own + [pair for pair in always(secure=secure) if pair[0] not in told]
        if line.describe_cors:
            # Not before the answer, which has found out whose form it is.
            for name, value in line.describe_cors(request).items():
                headers.append((name.lower().encode(), value.encode("latin-1")))
        return headers


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
