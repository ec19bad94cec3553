"""The operator's pages in a real browser: axe in both languages, the keyboard alone, phones, and no JavaScript."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from sqlalchemy import Connection

from app.lead import LeadState
from app.store.audit import add_audit
from app.store.circuits import open_circuit
from app.store.gates import close_gate
from app.store.migrate import upgrade
from app.store.notices import NewNotice, add_notice
from app.store.outbox import finish_attempt
from app.store.settling import Hold, Settlement, settle
from app.store.sqlite import open_writer
from app.store.words import Suspicion
from tests.admins import FORMS, PASSWORD, keep_in, make_users
from tests.gateways import serve_gateway
from tests.stores import GATE, NOW, begin, must_claim
from tests.test_accessibility import inspect

REFUSED = "refused by Vitec (400): 'emailAddress' is not a valid e-mail address"
PHONE: ViewportSize = {"width": 320, "height": 640}
DESK: ViewportSize = {"width": 1200, "height": 900}


def fill(connection: Connection) -> str:
    """A little of everything; the id of the lead that Vitec refused."""
    lead_id = keep_in(connection, LeadState.PENDING)
    claimed = must_claim(connection)
    number = begin(connection, claimed)
    finish_attempt(connection, number, outcome="refused", status=400, detail=REFUSED, now=NOW)
    settle(connection, claimed, Settlement(decision=Hold(reason=REFUSED)), now=NOW)
    suspicion = Suspicion(score=5, reasons=("honeypot", "too_fast"))
    keep_in(connection, LeadState.QUARANTINED, name="Köp Billigt", suspicion=suspicion)
    keep_in(connection, LeadState.DELIVERED, name="Åsa von Öberg-Lindqvist")
    keep_in(connection, LeadState.PENDING, name="Bo Ek")
    probe_at = NOW + timedelta(days=1)
    close_gate(
        connection, GATE, must_claim(connection), status=403, probe_at=probe_at, credential="c", now=NOW
    )
    open_circuit(connection, "https://vitec.test", until=probe_at, now=NOW)
    notice = NewNotice(key="held:1", kind="held", lead_id=lead_id, since=NOW, unsettled=True)
    add_notice(connection, notice, now=NOW)
    add_audit(connection, "retried", actor="web:admin", now=NOW, lead_id=lead_id, customer_id="M1")
    return lead_id


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Its address, and the refused lead's."""
    engine = open_writer(tmp_path / "leads.db")
    with engine.connect() as connection:
        upgrade(connection)
    with engine.begin() as connection:
        lead_id = fill(connection)
    engine.dispose()
    with serve_gateway(tmp_path, FORMS, users=make_users(admin=None)) as (host, port):
        yield f"http://{host}:{port}", f"/admin/leads/{lead_id}"


@pytest.fixture
def open_page(browser: Browser, site: tuple[str, str]) -> Iterator[Callable[..., Page]]:
    contexts = []

    def open_page(**options: Any) -> Page:
        contexts.append(browser.new_context(base_url=site[0], reduced_motion="reduce", **options))
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        context.close()


def sign_in(page: Page) -> None:
    page.goto("/admin/login")
    page.locator("[name=name]").fill("admin")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("main button").click()
    page.wait_for_url("**/admin")


def look(page: Page) -> None:
    inspect(page)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


@pytest.mark.parametrize(
    ("locale", "scheme", "viewport"),
    [("sv-SE", "light", PHONE), ("en-GB", "dark", PHONE), ("sv-SE", "dark", DESK), ("en-GB", "light", DESK)],
)
def test_axe_finds_nothing_and_nothing_is_cut_off(
    open_page: Callable[..., Page], site: tuple[str, str], locale: str, scheme: str, viewport: ViewportSize
) -> None:
    page = open_page(locale=locale, color_scheme=scheme, viewport=viewport)
    page.goto("/admin")
    look(page)
    page.locator("[name=name]").fill("admin")
    page.locator("[name=password]").fill("gissning")
    page.locator("main button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look(page)
    sign_in(page)
    lead = site[1]
    addresses = (
        "/admin",
        "/admin?state=held",
        lead,
        f"{lead}/edit",
        "/admin/gates",
        "/admin/messages",
        "/admin/forms",
        "/admin/audit",
    )
    for address in (*addresses, "/admin/forms/kontakt", "/admin/leads/nobody"):
        page.goto(address)
        look(page)
    page.goto(lead)
    for summary in page.locator("summary").all():
        summary.click()
    look(page)
    page.goto(f"{lead}/edit")
    page.locator("[name=email]").fill("anna@")
    page.locator("[name=firstName]").fill("")
    page.locator("main .main").click()
    expect(page.locator("#e-email")).to_be_visible()
    look(page)


def tab_to(page: Page, wanted: str) -> None:
    """From where the focus is to what the selector finds, as a keyboard goes."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(wanted).first.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"the keyboard does not reach {wanted}")


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_the_keyboard_signs_in_corrects_and_sends_again(
    open_page: Callable[..., Page], site: tuple[str, str], scripts: bool
) -> None:
    page = open_page(locale="en-GB", java_script_enabled=scripts)
    page.goto("/admin")
    tab_to(page, "[name=name]") if page.evaluate("document.activeElement.name") != "name" else None
    page.keyboard.type("admin")
    tab_to(page, "[name=password]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin")
    tab_to(page, f"[href='{site[1]}']")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{site[1]}")
    tab_to(page, f"[href='{site[1]}/edit']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/edit")
    tab_to(page, "[name=email]")
    page.keyboard.press("Control+A")
    page.keyboard.type("anna@")
    page.keyboard.press("Enter")
    expect(page.locator("[aria-labelledby=summary]")).to_be_focused()
    tab_to(page, "[href='#f-email']")
    page.keyboard.press("Enter")
    expect(page.locator("[name=email]")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("anna.ny@example.com")
    tab_to(page, "main .main")
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_have_text("It is corrected and on its way again.")
    expect(page.locator(".title .badge")).to_have_text("On its way")
    tab_to(page, "[action$='/retry'] button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("It is on its way again.")
