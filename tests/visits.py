"""A visitor's browser at the gateway's own pages."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Request, Route

from tests.gateways import ANNA, serve_gateway

LABELS = {"firstName": "Förnamn", "lastName": "Efternamn", "message": "Meddelande"}


@dataclass(frozen=True, slots=True)
class Site:
    """A gateway on a real socket."""

    url: str
    folder: Path

    def count(self) -> int:
        with closing(sqlite3.connect(self.folder / "leads.db")) as connection:
            (count,) = connection.execute("SELECT count(*) FROM leads").fetchone()
            return int(count)

    def read_newest(self) -> Any:
        """What was kept of the newest lead, as it stands in the store."""
        with closing(sqlite3.connect(self.folder / "leads.db")) as connection:
            (body,) = connection.execute("SELECT body FROM leads ORDER BY id DESC LIMIT 1").fetchone()
            return json.loads(body)["enquiry"]


@contextmanager
def open_site(folder: Path, text: str) -> Iterator[Site]:
    with serve_gateway(folder, text) as (host, port):
        yield Site(f"http://{host}:{port}", folder)


@dataclass
class Visit:
    """One page in a context of its own, and what it asked the network for."""

    page: Page
    site: Site
    requests: list[Request] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)

    def note(self, request: Request) -> None:
        self.requests.append(request)

    def open(self, path: str = "/f/kontakt") -> None:
        self.page.goto(self.site.url + path)

    def fill_in(self, **changes: str) -> None:
        for name, value in (ANNA | changes).items():
            self.page.locator(f"[name={name}]").fill(value)

    def press(self) -> None:
        self.page.locator("button[type=submit]").click()

    def posts(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def answer(self, status: int = 0, **options: Any) -> None:
        """In the gateway's stead, to the next posts; with no status the connection breaks."""

        def reply(route: Route) -> None:
            if route.request.method != "POST":
                route.fallback()
            elif status:
                route.fulfill(status=status, **options)
            else:
                route.abort("connectionreset")

        self.page.route("**/f/*", reply)

    def answer_no_more(self) -> None:
        self.page.unroute_all(behavior="wait")


HEAR = """
for (const name of ["started", "invalid", "submit", "accepted", "failed"])
  document.addEventListener("leadgate:" + name, (event) => hear(name, event.detail));
"""


@contextmanager
def visit(browser: Browser, site: Site, **options: Any) -> Iterator[Visit]:
    context = browser.new_context(**{"locale": "sv-SE"} | options)
    found = Visit(context.new_page(), site)
    found.page.on("request", found.note)
    if options.get("java_script_enabled", True):
        context.expose_function("hear", lambda name, detail: found.events.append((name, detail)))
        context.add_init_script(HEAR)
    try:
        yield found
    finally:
        context.close()
