"""One route an address, whatever may be done there."""

from collections.abc import Awaitable, Callable

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Handler = Callable[[Request], Awaitable[Response]]

COMPRESSION = 6
COMPRESS_FROM = 500
"""Bytes."""
COMPRESSED = Middleware(GZipMiddleware, compresslevel=COMPRESSION, minimum_size=COMPRESS_FROM)
"""For pages and their files. What the API answers is too short to gain by it."""


def make_route(path: str, *middleware: Middleware, **handlers: Handler) -> Route:
    """Handlers by method; HEAD is GET without its body. One route, so that a 405 names every method."""

    async def answer(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=list(handlers), middleware=middleware)
