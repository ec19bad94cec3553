"""Whole visits to the page, with its script and without: redirects, frames, campaigns, listings, policies."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.gateways import FORMS
from tests.visits import Site, Visit, open_site, visit

THANKS = re.compile(r"/f/\w+/thanks/[0-9a-f-]{36}$")
ELSEWHERE = "https://tack.byran.se/klart?a=1"
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["with a script", "without"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), FORMS) as site:
        yield site


def fill_home_in(shown: Page | FrameLocator, message: str) -> None:
    values = {
        "streetAddress": "Storgatan 1",
        "zipCode": "169 55",
        "firstName": "Anna",
        "lastName": "Bergström",
        "email": "anna@example.com",
        "message": message,
    }
    for name, value in values.items():
        shown.locator(f"[name={name}]").fill(value)
    shown.locator("[name=propertyType]").select_option("villa")


def host(visitor: Visit, path: str) -> FrameLocator:
    """The page inside a page of ours."""
    body = (
        f'<!doctype html><title>x</title><iframe title="x" src="{path}" width="100%" height="900"></iframe>'
    )
    visitor.page.route("**/host", lambda route: route.fulfill(body=body, content_type="text/html"))
    visitor.open("/host")
    return visitor.page.frame_locator("iframe")


@SCRIPTS
@pytest.mark.parametrize("framed", [False, True], ids=["alone", "framed"])
def test_a_form_leads_on_to_where_it_says_and_out_of_its_frame(
    browser: Browser, site: Site, scripts: bool, framed: bool
) -> None:
    with visit(browser, site, java_script_enabled=scripts) as visitor:
        visitor.page.route("https://tack.byran.se/**", lambda route: route.fulfill(body="Tack från byrån"))
        shown: Page | FrameLocator = visitor.page
        if framed:
            shown = host(visitor, "/f/vardering")
        else:
            visitor.open("/f/vardering")
        fill_home_in(shown, f"{scripts} {framed}")
        before = site.count()
        shown.locator("button[type=submit]").click()
        visitor.page.wait_for_url(ELSEWHERE)
        assert site.count() == before + 1


@SCRIPTS
def test_a_listings_home_and_campaign_reach_the_lead(browser: Browser, site: Site, scripts: bool) -> None:
    listing = "objectReference=TV-1042&objectAddress=Strandv%C3%A4gen+4"
    campaign = "utm_source=google&utm_medium=cpc&gclid=abc&token=hemlig"
    with visit(browser, site, java_script_enabled=scripts) as visitor:
        visitor.open(f"/f/objekt?{listing}&{campaign}")
        visitor.fill_in(message=f"Visning? {scripts}", email="fel")
        visitor.page.locator("[name=viewing]").check()
        visitor.press()
        expect(visitor.page.locator(".summary")).to_be_visible()
        visitor.page.locator("[name=email]").fill("anna@example.com")
        visitor.press()
        visitor.page.wait_for_url(THANKS)
        kept = site.read_newest()
        answers = {answer["name"]: answer["value"] for answer in kept["answers"]}
        assert answers["objectReference"] == "TV-1042"
        assert answers["objectAddress"] == "Strandvägen 4"
        tags = {tag["name"]: tag["value"] for tag in kept["marketing"]["utm_tags"]}
        assert tags == {"utm_source": "google", "utm_medium": "cpc", "gclid": "abc"}
        assert "hemlig" not in str(kept)
        # The next one is about the same home.
        visitor.page.get_by_role("link", name="Skicka ett nytt meddelande").click()
        assert visitor.page.locator("[name=objectReference]").input_value() == "TV-1042"
        assert visitor.page.locator("[name=message]").input_value() == ""


def test_going_back_without_a_script_keeps_to_one_lead(browser: Browser, site: Site) -> None:
    with visit(browser, site, java_script_enabled=False) as visitor:
        visitor.open()
        visitor.fill_in(message="Tillbaka utan skript.")
        visitor.press()
        visitor.page.wait_for_url(THANKS)
        thanks, before = visitor.page.url, site.count()
        visitor.page.go_back()
        visitor.fill_in(message="Tillbaka utan skript.")
        visitor.press()
        visitor.page.wait_for_url(THANKS)
        assert (visitor.page.url, site.count()) == (thanks, before)


def test_no_state_of_a_page_is_against_its_own_policy(browser: Browser, site: Site) -> None:
    with visit(browser, site) as visitor:
        complaints: list[Any] = []
        visitor.page.on("console", lambda message: complaints.append(message.text))
        visitor.page.on("pageerror", lambda error: complaints.append(str(error)))
        visitor.open("/f/kontakt?lang=en")
        visitor.press()
        expect(visitor.page.locator(".summary")).to_be_focused()
        visitor.fill_in(message="Policy.")
        visitor.press()
        visitor.page.wait_for_url(THANKS)
        assert complaints == []
        with visitor.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
            visitor.page.evaluate(
                "void document.body.append(Object.assign(new Image(), {src: 'https://x.example/'}))"
            )
