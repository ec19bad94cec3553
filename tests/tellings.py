"""A rig that tells people: mail to a real server, webhooks to a real one, by the rig's own clock."""

import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from app.forms.model import Form
from app.notices.assembly import Terms, make_dispatcher
from app.notices.dispatcher import Dispatcher
from app.notices.webhook import Outward, open_outward
from app.post import read_mail_server
from app.sandbox.config import AGENT, ARCHIVED_AGENT, LEAD_SOURCE
from app.store.alarms import Conditions
from app.store.notices import list_unsent
from tests.deliveries import Rig, make_forms, make_login, open_rig
from tests.mailboxes import Mailbox
from tests.sandboxes import CUSTOMER, Running

SECRET = b"0" * 32
OPERATOR = "drift@byran.example"
OFFICE = "kontoret@byran.example"
PUBLIC = "https://forms.byran.example"

KEYS = f"""
customer_id = "{CUSTOMER}"
assigned_to_id = "{AGENT}"
lead_source_id = "{LEAD_SOURCE}"
office_email = "{OFFICE}"
"""
FORMS = f"[forms.kontakt]\n{KEYS}"
REFUSED = FORMS.replace(AGENT, ARCHIVED_AGENT)
"""Vitec refuses every lead of it."""


@dataclass(slots=True)
class Teller:
    rig: Rig
    dispatcher: Dispatcher
    mailbox: Mailbox
    outside: dict[str, Conditions] = field(default_factory=dict)

    async def tell(self, *, thorough: bool = True) -> None:
        await self.dispatcher.do_once(thorough=thorough)

    async def hold(self, form: str = "kontakt", **changes: Any) -> str:
        """A lead that Vitec has refused."""
        lead_id = await self.rig.submit(form, **changes)
        await self.rig.turn()
        return lead_id

    def use_forms(self, folder: Path, text: str) -> Form:
        self.rig.forms.current = make_forms(folder, make_login(self.rig.sandbox.url), text)
        return self.rig.form()

    async def unsent(self) -> list[dict[str, Any]]:
        return await self.rig.store.read(list_unsent)

    def subjects(self, address: str) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mailbox.to(address)]


@asynccontextmanager
async def open_teller(
    folder: Path,
    sandbox: Running,
    mailbox: Mailbox,
    *,
    text: str = REFUSED,
    webhook: str | None = None,
    alert_email: str | None = OPERATOR,
    public_url: str | None = PUBLIC,
    mail: bool = True,
) -> AsyncIterator[Teller]:
    async with open_rig(folder, sandbox, text=text) as rig, open_outward() as client:
        yield make_teller(
            rig, mailbox, client, webhook=webhook, alert_email=alert_email, public_url=public_url, mail=mail
        )


def make_teller(
    rig: Rig,
    mailbox: Mailbox,
    client: httpx.AsyncClient,
    *,
    webhook: str | None = None,
    alert_email: str | None = OPERATOR,
    public_url: str | None = PUBLIC,
    mail: bool = True,
) -> Teller:
    outside: dict[str, Conditions] = {}
    dispatcher = make_dispatcher(
        store=rig.store,
        forms=rig.forms,
        secret=SECRET,
        terms=Terms(
            mail_server=read_mail_server(mailbox.url) if mail else None,
            alert_email=alert_email,
            webhook_url=webhook,
            public_url=public_url,
        ),
        outward=Outward(client),
        now=rig.now,
        look_outside=lambda: outside,
    )
    return Teller(rig, dispatcher, mailbox, outside)


@dataclass(slots=True)
class Hook:
    """What a watchman was told."""

    url: str = ""
    status: int = 200
    bodies: list[Any] = field(default_factory=list)
    pings: int = 0
    headers: list[Mapping[str, str]] = field(default_factory=list)


@contextmanager
def open_hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            hook.bodies.append(json.loads(self.rfile.read(length)))
            self._answer()

        def do_GET(self) -> None:
            hook.pings += 1
            self._answer()

        def _answer(self) -> None:
            hook.headers.append(dict(self.headers))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Not on the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        hook.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        yield hook
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


HOUR = timedelta(hours=1)
