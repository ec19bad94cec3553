"""A gateway, an agency's site of another origin, and a browser in front of both."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect
from sqlalchemy import Connection, create_engine, func, select

from app.lead import Lead
from app.store.leads import load_lead
from app.store.schema import leads
from tests.gateways import serve_gateway
from tests.hosts import Host, serve_host

FORMS = """
[defaults]
customer_id = "M12345"
assigned_to_id = "HAN0123456789"
lead_source_id = "LKA0123456789"
allowed_origins = ["{host}"]

[defaults.privacy]
controller = "Byrån"
policy_url = "{host}/integritet"

[defaults.consents.newsletter]
label = {{ sv = "Nyheter, tack", en = "News, please" }}

[receivers.anna]
assigned_to_id = "HAN9876543210"

[forms.kontakt]
parameters = ["partner_id"]

[forms.objekt]
preset = "objekt"

[forms.tillbaka]
redirect_url = "{host}/tack?form=1"

[forms.samma]
redirect_url = "{host}/samma#tack"

[forms.vardering]
preset = "vardering"

[forms.prov]
mode = "test"

[forms.ensam]
allowed_origins = []
"""

LISTEN = """<script>
window.heard = [];
addEventListener("message", ({origin, data}) => heard.push({origin, ...data}));
window.told = [];
for (const name of ["ready", "started", "sending", "submit", "error", "validation-failed", "redirect"])
  addEventListener("leadgate:" + name, ({target, detail}) => told.push([name, target.id, detail]));
window.called = [];
for (const name of ["onFormReady", "onBeforeFormSubmit", "onFormSubmit", "onFormSubmitted", "onFormSubmitError"])
  window[name] = (element, detail) => called.push([name, element.id, detail]);
</script>"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway, an agency's site, and a browser in front of it."""

    base: str
    host: Host
    folder: Path
    context: BrowserContext

    @property
    def script(self) -> str:
        return f'<script async src="{self.base}/embed/v1.js"></script>'

    def open(self, body: str, query: str = "", path: str = "/", **options: Any) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(20_000)
        page.goto(self.host.show(LISTEN + body, path) + query, **options)
        return page

    def newest(self) -> Lead:
        """Read beside the running gateway."""
        with connect(self.folder) as store:
            return load_lead(store, store.execute(select(func.max(leads.c.id))).scalar_one())


@contextmanager
def connect(folder: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{folder / 'leads.db'}")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def tags_of(lead: Lead) -> dict[str, str]:
    return {tag.name: tag.value for tag in lead.marketing.utm_tags}


@pytest.fixture(scope="module", name="agency")
def serve_agency() -> Iterator[Host]:
    with serve_host() as host:
        yield host


@pytest.fixture(scope="module", name="embedded")
def serve_embedded(agency: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("embed")
    with serve_gateway(folder, FORMS.format(host=agency.origin)) as (name, port):
        yield f"http://{name}:{port}", folder


@pytest.fixture(name="stage")
def set_stage(browser: Browser, agency: Host, embedded: tuple[str, Path]) -> Iterator[Stage]:
    agency.headers.clear()
    context = browser.new_context(viewport={"width": 900, "height": 1100}, locale="sv-SE")
    yield Stage(base=embedded[0], folder=embedded[1], host=agency, context=context)
    context.close()


def mount(form: str = "kontakt", attributes: str = "", fallback: str = "Ring 08-123") -> str:
    return f'<div id="{form}" data-leadgate-form="{form}" {attributes}>{fallback}</div>'


def framed(page: Page, form: str = "kontakt") -> FrameLocator:
    return page.frame_locator(f"#{form} iframe")


def fill_in(form: FrameLocator, message: str) -> None:
    form.get_by_label("Förnamn").fill("Anna")
    form.get_by_label("Efternamn").fill("Bergström")
    form.get_by_role("textbox", name="E-post").fill("anna@example.com")
    form.get_by_label("Meddelande").fill(message)


def send(form: FrameLocator, message: str) -> str:
    """Its reference."""
    fill_in(form, message)
    form.locator("button[type=submit]").click()
    reference = form.locator("dl.reference dd")
    reference.wait_for()
    return reference.inner_text()


def await_told(page: Page, name: str, count: int = 1) -> Any:
    """The detail of the count'th event of that name."""
    page.wait_for_function(f"told.filter(([name]) => name === '{name}').length >= {count}")
    return page.evaluate(f"told.filter(([name]) => name === '{name}')[{count - 1}][2]")


def await_heard(page: Page, form: str = "kontakt") -> str:
    """Until the frame has said that it is ready, and so has had its context. Returns its embed id."""
    page.wait_for_function(f"heard.some(said => said.type === 'form-ready' && said.formId === '{form}')")
    return str(page.evaluate(f"heard.find(said => said.formId === '{form}').embedId"))


def await_input(form: FrameLocator, name: str, value: str) -> None:
    expect(form.locator(f'input[type=hidden][name="{name}"]')).to_have_value(value)
