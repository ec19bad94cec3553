"""`make screenshots`: the pictures of README and docs, taken of the running demo. They go to docs/images."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, FrameLocator, Page, ViewportSize, sync_playwright

from tests.conftest import CHROMIUM, QUIETLY
from tests.gateways import serve_gateway
from tests.processes import Service, start

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1200, "height": 900}

DARK = """
[forms.kontakt]
customer_id = "M12345"
assigned_to_id = "HAN0B5E2D7C41A84F0E9C6D3A1F72E85B90"
lead_source_id = "LKA3F7A90C1E58B4D26A0479BD1C6E2F835"
theme = { mode = "dark", accent = "#e0b973" }
privacy.controller = "Tallvinden Fastighetsmäkleri"
"""


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    chromium = next(filter(None, map(shutil.which, CHROMIUM)))
    with (
        TemporaryDirectory() as folder,
        start(Path(folder), "demo", "--port", "0", lines=8) as demo,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIETLY)
        take_framed(browser, demo)
        take_alone(browser, demo)
        take_dark(browser)
        browser.close()


def take_framed(browser: Browser, demo: Service) -> None:
    """In the sample agency's page, on a desk and on a phone."""
    site = demo.urls[0]
    page = open_page(
        browser, f"{site}/?utm_source=google&utm_medium=cpc&utm_campaign=host-i-hornviken", DESKTOP
    )
    page.locator("#kontakt").scroll_into_view_if_needed()
    form = page.frame_locator("iframe")
    form.get_by_label("Förnamn").wait_for()
    page.locator("#kontakt").evaluate("section => section.scrollIntoView()")
    fill_in(form)
    save(page, "framed-desktop")
    form.locator("button[type=submit]").click()
    form.locator("dl.reference").wait_for()
    save(page, "framed-thanks")
    phone = open_page(browser, f"{site}/", PHONE)
    phone.locator("#kontakt").scroll_into_view_if_needed()
    phone.frame_locator("iframe").get_by_label("Förnamn").wait_for()
    phone.locator("iframe").evaluate("frame => frame.scrollIntoView()")
    save(phone, "framed-phone")


def take_alone(browser: Browser, demo: Service) -> None:
    """The pages by themselves: what is wrong, on a phone; the valuation, on a desk."""
    gateway = demo.urls[2]
    errors = open_page(browser, f"{gateway}/f/kontakt?lang=sv", PHONE)
    errors.get_by_label("Förnamn").fill("Anna")
    errors.locator("button[type=submit]").click()
    errors.locator(".summary").wait_for()
    save(errors, "errors-phone")
    save(open_page(browser, f"{gateway}/f/vardering?lang=sv", DESKTOP), "valuation-desktop")


def take_dark(browser: Browser) -> None:
    with TemporaryDirectory() as folder, serve_gateway(Path(folder), DARK) as (host, port):
        save(open_page(browser, f"http://{host}:{port}/f/kontakt?lang=sv", PHONE), "dark-phone")


def open_page(browser: Browser, address: str, size: ViewportSize) -> Page:
    page = browser.new_context(viewport=size, locale="sv-SE", reduced_motion="reduce").new_page()
    page.goto(address)
    return page


def fill_in(form: FrameLocator) -> None:
    form.get_by_label("Förnamn").fill("Anna")
    form.get_by_label("Efternamn").fill("Bergström")
    form.get_by_role("textbox", name="E-post").fill("anna@example.com")
    form.get_by_label("Meddelande").fill("Vi vill sälja till våren. När kan ni komma förbi?")


def save(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()
