"""One route an address, whatever may be done there."""

from collections.abc import Awaitable, Callable

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Handler = Callable[[Request], Awaitable[Response]]


def make_route(path: str, *middleware: Middleware, **handlers: Handler) -> Route:
    """Handlers by method; HEAD is GET without its body. One route, so that a 405 names every method."""

    async def answer(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=list(handlers), middleware=middleware)
