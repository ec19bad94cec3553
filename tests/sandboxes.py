"""Vitec's stand-in for tests: in the same process, or behind a real socket."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from app.sandbox.app import create_sandbox
from app.sandbox.config import AGENT, LEAD_SOURCE, SandboxConfig

CUSTOMER = "M12345"
LOGIN = ("leadgate", "sandbox")


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 8, 31, 9, 46, 9, 650000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class _InProcess(httpx.BaseTransport):
    def __init__(self, app: FastAPI) -> None:
        self._transport = httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._ask(request))

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


def open_sandbox(config: SandboxConfig | None = None, *, clock: Clock | None = None) -> httpx.Client:
    """A client in the same process, logged in. Broken connections are ConnectionResetError to it."""
    app = create_sandbox(config or SandboxConfig(), clock=clock or Clock())
    return httpx.Client(transport=_InProcess(app), base_url="http://sandbox", auth=LOGIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    app: FastAPI
    address: tuple[str, int]

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"


@contextmanager
def run_sandbox(
    *, http: Any = "auto", loop: Any = "auto", config: SandboxConfig | None = None
) -> Iterator[Running]:
    """A real server on a loopback port of its own, in a thread."""
    app = create_sandbox(config or SandboxConfig())
    settings = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=http, loop=loop, log_level="error", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(settings)
    socket = settings.bind_socket()
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    try:
        yield Running(app=app, address=socket.getsockname()[:2])
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        socket.close()


def make_person(**values: Any) -> dict[str, Any]:
    return {
        "customerId": CUSTOMER,
        "firstName": "Astrid",
        "lastName": "Sjögren",
        "email": {"emailAddress": "astrid@example.se"},
        **values,
    }


def make_lead(contact_id: str, **values: Any) -> dict[str, Any]:
    return {"contactId": contact_id, "assignedToId": AGENT, "leadSourceId": LEAD_SOURCE, **values}


def add_contact(client: httpx.Client, **values: Any) -> str:
    answer = client.post("/Contacts/UpdatePerson", json=make_person(**values))
    assert answer.status_code == 200, answer.text
    return str(answer.json())


def add_lead(client: httpx.Client, contact_id: str, **values: Any) -> str:
    answer = client.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact_id, **values))
    assert answer.status_code == 200, answer.text
    return str(answer.json())


def list_leads(client: httpx.Client, contact_ids: str) -> Any:
    return client.get(f"/CRM/Contact/{CUSTOMER}/{contact_ids}/true/true/true/true/Lead").json()


def set_fault(client: httpx.Client, name: str, **order: Any) -> None:
    answer = client.post("/sandbox/faults", json={"name": name, **order})
    assert answer.status_code == 200, answer.text
