"""Builds the stand-in: the calls of Vitec Connect, the inbox page, and the switches for faults."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app.resources import STATIC
from app.sandbox.config import SandboxConfig
from app.sandbox.desk import REDIRECT_TARGET, Desk
from app.sandbox.faults import FaultBoard, FaultOrder
from app.sandbox.inbox import Inbox
from app.sandbox.operations import OPERATIONS, Operation
from app.sandbox.truth import describe_fault, describe_world
from app.sandbox.world import World

_ORDERS: TypeAdapter[list[FaultOrder]] = TypeAdapter(list[FaultOrder])
_FORM = "application/x-www-form-urlencoded"
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {
    "content-security-policy": _POLICY,
    "referrer-policy": "same-origin",  # with no-referrer a browser sends the page's own forms with Origin: null
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_CONFIG = SandboxConfig()

Endpoint = Callable[[Request], Awaitable[Response]]


def create_sandbox(
    config: SandboxConfig = _CONFIG, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> FastAPI:
    """Vitec Connect's stand-in. `app.state.world` is what it was sent, `app.state.board` the faults that stand.

    Serve it with uvicorn: broken connections need its transport. Give the server a `timeout_graceful_shutdown`,
    or a hanging answer holds up its end.
    """
    world, board = World(clock), FaultBoard()
    desk, inbox = Desk(config, world, board), Inbox(config, world, board)
    app = FastAPI(title="Leadgate sandbox", openapi_url=None)
    app.state.world, app.state.board = world, board
    routes = [
        *(_route_operation(operation, desk) for operation in OPERATIONS),
        Route("/", _serve_page(inbox.render_page)),
        Route("/inbox", _serve_page(inbox.render_live)),
        Route("/static/{name}", _serve_asset),
        *_route_switches(world, board),
        Route(REDIRECT_TARGET, _watch_redirect(desk), methods=["GET", "POST"]),
    ]
    app.router.routes.extend(routes)
    return app


def _route_operation(operation: Operation, desk: Desk) -> Route:
    async def endpoint(request: Request) -> Response:
        return await desk.answer(operation, request)

    return Route(operation.path, endpoint, methods=[operation.method], name=operation.name)


def _route_switches(world: World, board: FaultBoard) -> list[Route]:
    async def state(_: Request) -> Response:
        return JSONResponse(describe_world(world, board))

    async def reset(request: Request) -> Response:
        world.reset()
        board.clear()
        return _conclude(request, {})

    async def list_faults(_: Request) -> Response:
        return JSONResponse([describe_fault(fault) for fault in board.faults])

    async def set_faults(request: Request) -> Response:
        try:
            orders = await _read_orders(request)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            return JSONResponse({"errors": problems}, 422)
        board.set(orders)
        return _conclude(request, [describe_fault(fault) for fault in board.faults])

    async def clear_faults(request: Request) -> Response:
        wanted = (await _read_form(request)).get("id", "")
        board.clear(int(wanted) if wanted.isascii() and wanted.isdigit() else None)
        return _conclude(request, [describe_fault(fault) for fault in board.faults])

    return [
        Route("/sandbox/state", state),
        Route("/sandbox/reset", _guard(reset), methods=["POST"]),
        Route("/sandbox/faults", list_faults),
        Route("/sandbox/faults", _guard(set_faults), methods=["POST"]),
        Route("/sandbox/faults", _guard(clear_faults), methods=["DELETE"]),
        Route("/sandbox/faults/clear", _guard(clear_faults), methods=["POST"]),
    ]


def _guard(endpoint: Endpoint) -> Endpoint:
    """Another site's page in the same browser may not turn the switches."""

    async def guarded(request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return JSONResponse({"errors": ["another origin"]}, 403)
        return await endpoint(request)

    return guarded


def _watch_redirect(desk: Desk) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        response = Response(b"")
        desk.record("redirected", request, response=response)
        return response

    return endpoint


def _serve_page(render: Callable[[], str]) -> Endpoint:
    async def endpoint(_: Request) -> Response:
        return HTMLResponse(render(), headers=_PAGE_HEADERS)

    return endpoint


async def _serve_asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in {"sandbox.css", "sandbox.js"}:
        return Response(status_code=404)
    return FileResponse(STATIC / name, headers={"cache-control": "no-cache"})


async def _read_orders(request: Request) -> list[FaultOrder]:
    """Raises ValidationError. One order or a list of them; the page's form sends one, blanks included."""
    if _is_form(request):
        sent: Any = {name: value for name, value in (await _read_form(request)).items() if value}
        return [FaultOrder.model_validate(sent)]
    content = await request.body()
    if content.lstrip().startswith(b"{"):
        return [FaultOrder.model_validate_json(content)]
    return _ORDERS.validate_json(content)


async def _read_form(request: Request) -> dict[str, str]:
    if not _is_form(request):
        return {}
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def _conclude(request: Request, value: Any) -> Response:
    """The page again for its own forms, JSON for programs."""
    return RedirectResponse("/", 303) if _is_form(request) else JSONResponse(value)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
