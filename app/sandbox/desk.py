"""Where calls are met: faults first, then the login, then the call itself, then what spoils its answer."""

import asyncio
import html
import json
import re
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import unquote_plus

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

from app.sandbox.auth import authenticate
from app.sandbox.breakage import Dripping, Dropped, Hanging, Truncated
from app.sandbox.call import Call
from app.sandbox.config import SandboxConfig
from app.sandbox.faults import Fault, FaultBoard, Moment
from app.sandbox.operations import Operation
from app.sandbox.replies import (
    Refusal,
    Reply,
    refuse_access,
    refuse_content,
    refuse_login,
    refuse_unknown,
)
from app.sandbox.world import CallRecord, World

REDIRECT_TARGET = "/sandbox/redirected"
"""Nobody should ever be seen there."""

_ECHOED = 200  # characters
_PAGE = "<!doctype html><title>Underhåll</title><h1>Vi är snart tillbaka</h1>"


class Desk:
    """Answers the calls of all customers."""

    def __init__(self, config: SandboxConfig, world: World, board: FaultBoard) -> None:
        self._config = config
        self._world = world
        self._board = board

    async def answer(self, operation: Operation, request: Request) -> Response:
        try:
            content = await request.body()
        except ClientDisconnect:  # half a request is none, and nobody waits for its answer
            return Response(status_code=400)
        text = _read_text(request, content)
        faults = self._board.take(operation, text)
        if wait := sum(fault.seconds for fault in faults if fault.name == "slow"):
            await asyncio.sleep(wait)  # goes on even when the client has left, as a slow server does
        response = self._respond(operation, request, content=content, faults=faults, text=text)
        self.record(operation.name, request, response=response, faults=[fault.name for fault in faults])
        return response

    def record(
        self, operation: str, request: Request, *, response: Response, faults: Sequence[str] = ()
    ) -> None:
        call = CallRecord(
            at=self._world.clock(),
            operation=operation,
            method=request.method,
            path=request.url.path,
            status=None if isinstance(response, Dropped | Hanging) else response.status_code,
            faults=tuple(faults),
        )
        self._world.calls.append(call)

    def _respond(
        self, operation: Operation, request: Request, *, content: bytes, faults: Sequence[Fault], text: str
    ) -> Response:
        accept = request.headers.get("accept", "")
        breaking = next((fault for fault in faults if fault.kind.moment is not Moment.ALTERS), None)
        if breaking and breaking.kind.moment is Moment.BEFORE:
            return _break_before(breaking, accept=accept, text=text)
        try:
            reply = self._run(operation, request, content=content, faults=faults)
        except Refusal as refusal:
            reply = refusal.reply
        response = reply.render(accept)
        return _break_after(breaking, response, accept=accept) if breaking else response

    def _run(
        self, operation: Operation, request: Request, *, content: bytes, faults: Sequence[Fault]
    ) -> Reply:
        header = request.headers.get("authorization", "")
        late = next((fault.seconds for fault in faults if fault.name == "late_commit"), 0)
        call = Call(
            world=self._world,
            config=self._config,
            caller=authenticate(header, operation.group, config=self._config),
            content=content,
            content_type=_read_media_type(request),
            parameters=request.path_params,
            query={name.lower(): value for name, value in request.query_params.items()},
            alterations=frozenset(fault.name for fault in faults),
            delay=timedelta(seconds=late),
        )
        return operation.run(call)


def _break_before(fault: Fault, *, accept: str, text: str) -> Response:
    match fault.name:
        case "drop_before":
            return Dropped()
        case "hang_before":
            return Hanging(fault.seconds)
        case "redirect_302":
            return Response(status_code=302, headers={"location": REDIRECT_TARGET})
        case "400":
            # Validation texts may repeat what was sent: whoever keeps them has to scrub them.
            reply = refuse_content(
                {"lead.Message": [f"Värdet {_quote_message(text)} är inte giltigt."]}
            ).reply
        case "401":
            reply = refuse_login().reply
        case "403" | "reads_forbidden":
            reply = refuse_access().reply
        case "404":
            reply = refuse_unknown().reply
        case "429":
            reply = _fail(fault, status=429)
        case _:
            reply = _fail(fault, status=500)
    return reply.render(accept)


def _break_after(fault: Fault, response: Response, *, accept: str) -> Response:
    match fault.name:
        case "late_commit" if fault.order.status is None:
            return Dropped()
        case "drop_after":
            return Dropped()
        case "hang_after":
            return Hanging(fault.seconds)
        case "empty_200_after":
            return Response(b"")
        case "html_200_after":
            return HTMLResponse(_PAGE)
        case "truncated_after":
            return Truncated(response.body, response.status_code, dict(response.headers))
        case "drip":
            return Dripping(response, pause=fault.seconds)
        case _:
            return _fail(fault, status=500).render(accept)


def _fail(fault: Fault, *, status: int) -> Reply:
    status = fault.order.status or status
    wait = fault.order.retry_after
    headers = {} if wait is None else {"retry-after": str(wait)}
    message = {429: "För många anrop.", 500: "Ett oväntat fel har inträffat, kontakta Vitec."}
    return Reply(status=status, value={"message": message.get(status, _name(status))}, headers=headers)


def _name(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Fel"


def _quote_message(text: str) -> str:
    found = re.search(r"""["<]message["']?(?:>|: ")(.*?)(?:"[,}]|</)""", text, re.IGNORECASE | re.DOTALL)
    return f"'{found[1][:_ECHOED]}'" if found else "i fältet"


def _read_text(request: Request, content: bytes) -> str:
    """All that a call says, for faults that ask for a text in it: JSON and XML with their escapes undone."""
    address = unquote_plus(f"{request.url.path}?{request.url.query}")
    try:
        body = json.dumps(json.loads(content), ensure_ascii=False)
    except (ValueError, RecursionError):
        body = html.unescape(content.decode(errors="replace"))
    return f"{address}\n{body}"


def _read_media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
