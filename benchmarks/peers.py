"""What somebody would write or take instead, and Vitec as it may be. Each is an application for uvicorn."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import BackgroundTasks, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.sandbox.app import create_sandbox
from benchmarks.bare import Submission

VITEC = os.environ.get("BENCH_VITEC", "http://127.0.0.1:8798")
DELAY = float(os.environ.get("BENCH_DELAY", "0"))
PAGE = os.environ.get("BENCH_PAGE", "")

naive = FastAPI()
background = FastAPI()
_client = httpx.AsyncClient(base_url=VITEC, limits=httpx.Limits(max_connections=200), timeout=30)


async def _forward(submission: Submission) -> None:
    await _client.post("/CRM/Lead", json=submission.model_dump())


@naive.post("/lead", status_code=202)
async def forward(submission: Submission) -> dict[str, str]:
    """Forwards while the visitor waits."""
    await _forward(submission)
    return {"status": "accepted"}


@background.post("/lead", status_code=202)
async def forward_later(submission: Submission, tasks: BackgroundTasks) -> dict[str, str]:
    """Answers, and then forwards: what is under way when the process ends is gone."""
    tasks.add_task(_forward, submission)
    return {"status": "accepted"}


QUEUE = os.environ.get("BENCH_QUEUE", "")


def make_queue() -> FastAPI:
    """A queue library: the submission is a job in PostgreSQL before it is answered, and a worker would forward it."""
    from procrastinate import App, PsycopgConnector  # noqa: PLC0415 - installed by `make bench` alone

    jobs = App(connector=PsycopgConnector(conninfo=QUEUE))

    async def forward_job(submission: dict[str, Any]) -> None:
        await _client.post("/CRM/Lead", json=submission)

    job = jobs.task(name="forward")(forward_job)

    @asynccontextmanager
    async def live(_app: FastAPI) -> AsyncIterator[None]:
        async with jobs.open_async():
            await jobs.schema_manager.apply_schema_async()
            yield

    queue = FastAPI(lifespan=live)

    @queue.post("/lead", status_code=202)
    async def enqueue(submission: Submission) -> dict[str, str]:
        await job.defer_async(submission=submission.model_dump())
        return {"status": "accepted"}

    return queue


async def _answer_late(_request: Request) -> Response:
    await asyncio.sleep(DELAY)
    return PlainTextResponse("")


async def _hang(_request: Request) -> Response:
    await asyncio.Event().wait()
    return PlainTextResponse("")


async def _refuse(_request: Request) -> Response:
    return PlainTextResponse("", 503)


def _answer_all(answer: Any) -> Starlette:
    return Starlette(
        routes=[
            Route("/openapi.json", lambda _: PlainTextResponse("")),
            Route("/{path:path}", answer, methods=["GET", "POST", "PUT"]),
        ]
    )


upstream = _answer_all(_answer_late)
hanging = _answer_all(_hang)
refusing = _answer_all(_refuse)

_sandbox = create_sandbox()


async def vitec(scope: Scope, receive: Receive, send: Send) -> None:
    """The stand-in that the product's own tests use, so many seconds late."""
    if scope["type"] == "http" and DELAY:
        await asyncio.sleep(DELAY)
    await _sandbox(scope, receive, send)


_page = Path(PAGE).read_bytes() if PAGE else b""


async def _show_page(_request: Request) -> Response:
    return Response(_page, media_type="text/html")


page = Starlette(
    routes=[
        Route("/identity", _show_page),
        Route("/gzip", _show_page, middleware=[Middleware(GZipMiddleware, compresslevel=6)]),
    ]
)
