"""The gateway's web side over a real store, in the same process or behind a real socket."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI
from sqlalchemy import func, select, update

from app.cli.process import address_of, bind, make_server
from app.forms.live import LiveForms
from app.forms.model import Login, Password
from app.forms.reader import read_forms
from app.lead import Lead, LeadState
from app.main import create_app
from app.store.leads import load_lead
from app.store.place import Place
from app.store.schema import leads, outbox
from app.store.store import Store
from tests.databases import lay_out

SECRET = b"0" * 32
HOST = "forms.example.se"
LOGIN = Login(name="default", username="u", password=Password(value="p"), base_url="https://vitec.test")
LISTED = "https://www.byran.se"
STRANGER = "https://www.annan.se"
LEADS = "/api/v1/forms/kontakt/leads"
NOBODY = "01890000-0000-7000-8000-000000000000"

FORMS = """
[defaults]
customer_id = "M12345"
assigned_to_id = "HAN0123456789"
lead_source_id = "LKA0123456789"

[defaults.privacy]
controller = "Byrån"
policy_url = "https://www.byran.se/integritet"

[receivers.anna]
assigned_to_id = "HAN9876543210"

[forms.kontakt]
allowed_origins = ["https://www.byran.se", "https://byran.se:8443", "http://localhost:8002"]

[forms.kontakt.consents.newsletter]
label = { sv = "Nyheter, tack", en = "News, please" }

[[forms.kontakt.fields]]
name = "objectReference"
type = "hidden"
label = "Objekt"

[forms.vardering]
preset = "vardering"
redirect_url = "https://tack.byran.se/klart?a=1"
allowed_origins = ["https://vardera.byran.se"]

[forms.vardering.theme]
accent = "#0a5c36"
logo = "https://bilder.byran.se/logo.svg"
stylesheet = "https://stil.byran.se/egen.css"

[forms.objekt]
preset = "objekt"

[[forms.objekt.fields]]
name = "viewing"
type = "checkbox"
label = "Visning"
required = true

[forms.prov]
mode = "test"
"""

ANNA: dict[str, Any] = {
    "firstName": "Anna",
    "lastName": "Bergström",
    "email": "anna@example.com",
    "message": "Vi vill sälja.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    app: FastAPI
    store: Store
    forms: LiveForms
    client: httpx.AsyncClient

    async def post(self, path: str = LEADS, /, headers: dict[str, str] | None = None, **changes: Any) -> Any:
        return await self.client.post(path, json=ANNA | changes, headers=headers)

    async def load(self, lead_id: str) -> Lead:
        return await self.store.read(partial(load_lead, lead_id=lead_id))

    async def count(self) -> int:
        count = await self.store.read(lambda read: read.execute(select(func.count(leads.c.id))).scalar())
        assert count is not None
        return count

    def hear_acceptance(self) -> asyncio.Event:
        """Set with the next new lead."""
        heard = asyncio.Event()
        self.store.when_accepted(heard.set)
        return heard

    async def find_newest(self) -> str:
        found = await self.store.read(lambda read: read.execute(select(func.max(leads.c.id))).scalar())
        assert isinstance(found, str)
        return found

    async def settle(self, lead_id: str, state: LeadState) -> None:
        """As delivery or an operator would, and tells whoever waits."""
        found = await self.load(lead_id)
        values = {"state": state, "state_at": found.received_at, "next_attempt_at": None, "reason": "prov"}
        if state is LeadState.DELIVERED:
            values |= {"delivered_at": found.received_at, "reason": None, "vitec_lead_id": "1"}
        await self.store.write(
            lambda write: write.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(values))
        )
        self.store.announce_settled(lead_id)

    def stop_writing(self) -> None:
        """From now on nothing can be kept; what is kept can be read."""
        self.store.writer.close()


def build(
    folder: Path, text: str = FORMS, *, place: Place | Path | str | None = None, **options: Any
) -> tuple[FastAPI, Store, LiveForms]:
    path = folder / "forms.toml"
    path.write_text(text, encoding="utf-8")
    store = Store(place or lay_out(folder / "leads.db"), reserve=0)
    forms = LiveForms(read_forms(path, default_login=LOGIN, environ={}))
    return create_app(forms=forms, store=store, secret=SECRET, **options), store, forms


@asynccontextmanager
async def open_gateway(folder: Path, text: str = FORMS, **options: Any) -> AsyncIterator[Gateway]:
    app, store, forms = build(folder, text, **options)
    store.open()
    transport = httpx.ASGITransport(app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
            yield Gateway(app=app, store=store, forms=forms, client=client)
    finally:
        store.close()


@contextmanager
def serve_gateway(folder: Path, text: str = FORMS, **options: Any) -> Iterator[tuple[str, int]]:
    """On a real socket, as `leadgate serve` does it."""
    app, store, _ = build(folder, text, **options)
    store.open()
    listener, server = bind("127.0.0.1", 0), make_server(app)
    listener.listen()  # who connects before the thread has come so far waits
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        parts = urlsplit(address_of(listener))
        assert parts.hostname
        assert parts.port
        yield parts.hostname, parts.port
    finally:
        server.should_exit = True
        thread.join()
        store.close()


class Markup(HTMLParser):
    """A page's links, and its form's fields with their values."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.form: dict[str, str] = {}
        self.text = ""
        self.language = ""
        self._textarea = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self._textarea = ""
        match tag:
            case "html":
                self.language = found["lang"]
            case "form":
                self.form = found
            case "a":
                self.links[found.get("hreflang") or found["href"]] = found["href"]
            case "textarea":
                self._textarea = found["name"]
            case "input" if found["type"] not in {"checkbox", "radio"} or "checked" in found:
                self.fields[found["name"]] = found["value"]
            case _:
                return

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._textarea:
            self.fields[self._textarea] = data.removeprefix("\n")
            self._textarea = ""


def read_page(response: httpx.Response) -> Markup:
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return Markup(response.text)
