"""`leadgate demo` as a guest meets it: three addresses, a form in a browser, and a lead that arrives."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests.processes import ANNA, Service, start

# What somebody's own environment might hold: nothing of it may be used.
LIVE = {
    "LEADGATE_FORMS": "live.toml",
    "LEADGATE_DATABASE_URL": "sqlite:///live.db",
    "LEADGATE_VITEC_BASE_URL": "https://live.invalid",
    "LEADGATE_VITEC_USERNAME": "live",
    "LEADGATE_VITEC_PASSWORD": "live",
    "LEADGATE_VITEC_FORMAT": "nonsense",
    "LEADGATE_SECRET_KEY": "live",
    "LEADGATE_PUBLIC_URL": "https://live.invalid",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    (folder / ".env").write_text("LEADGATE_VITEC_USERNAME=live\nnonsense\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[Service]:
    with start(folder, "demo", "--port", "0", lines=8, names=LIVE) as service:
        yield service


@pytest.fixture
def addresses(demo: Service) -> tuple[str, str, str]:
    """Page, inbox and gateway; the inbox is empty."""
    page, inbox, gateway = demo.urls[:3]
    httpx.post(inbox + "/sandbox/reset")
    return page, inbox, gateway


def state(inbox: str) -> Any:
    return httpx.get(inbox + "/sandbox/state").json()


def await_lead(inbox: str) -> Any:
    end = monotonic() + 10
    while not (found := state(inbox)["leads"]):
        assert monotonic() < end
    return found[0]


def test_the_demo_tells_its_addresses(demo: Service) -> None:
    page, inbox, gateway = demo.urls[:3]
    assert f"The agency's page   {page}/?utm_source=google" in demo.said
    assert f"Vitec's inbox       {inbox}/\n" in demo.said
    assert f"The form by itself  {gateway}/f/kontakt\n" in demo.said
    assert "Leads are kept in data/demo.db. Ctrl-C stops." in demo.said
    for address in re.findall(r"http://\S+", demo.said):
        assert httpx.get(address, follow_redirects=True).status_code == 200
    for form in ("vardering", "objekt"):
        assert httpx.get(f"{gateway}/f/{form}").status_code == 200


def test_the_printed_password_opens_the_operators_pages(demo: Service) -> None:
    found = re.search(r"(http://\S+)/admin  \((\w+), (\S+)\)", demo.said)
    assert found
    gateway, name, password = found.groups()
    with httpx.Client(base_url=gateway, headers={"Origin": gateway}, follow_redirects=True) as client:
        assert client.post("/admin/login", data={"name": name, "password": "gissning"}).status_code == 422
        shown = client.post("/admin/login", data={"name": name, "password": password})
    assert shown.status_code == 200
    assert str(shown.url) == f"{gateway}/admin"


def test_a_lead_arrives_within_a_second(addresses: tuple[str, str, str]) -> None:
    _, inbox, gateway = addresses
    waits = []
    for number in range(3):  # the quickest counts, on a machine that has other things to do
        posted = monotonic()
        answer = httpx.post(
            f"{gateway}/api/v1/forms/kontakt/leads", json=ANNA | {"message": f"Lead {number}"}
        )
        assert answer.status_code == 202
        lead = await_lead(inbox)
        waits.append(monotonic() - posted)
        assert {"name": "leadgate", "value": answer.json()["id"]} in lead["utmTags"]
        httpx.post(inbox + "/sandbox/reset")
    assert min(waits) < 1


def test_nothing_of_the_environment_is_used(demo: Service, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [".env", "data"]
    assert sorted(path.name for path in (folder / "data").iterdir() if path.suffix == ".db") == ["demo.db"]
    assert "error" not in "".join(demo.log)


def test_ctrl_c_stops_it(tmp_path: Path) -> None:
    with start(tmp_path, "demo", "--port", "0", lines=8) as service:
        assert service.end(signal.SIGINT) == (0, "\n")
        assert service.log == []


def open_page(browser: Browser, page_url: str, **options: Any) -> tuple[Page, FrameLocator]:
    page = browser.new_context(**options).new_page()
    page.goto(f"{page_url}/?utm_source=google&utm_medium=cpc&utm_campaign=host-i-hornviken&token=hemlig")
    page.locator("iframe").scroll_into_view_if_needed()
    return page, page.frame_locator("iframe")


def fill_in(form: FrameLocator, message: str) -> None:
    """Each message is another: the same again would be the same lead."""
    form.get_by_label("Förnamn").fill("Anna")
    form.get_by_label("Efternamn").fill("Bergström")
    form.get_by_role("textbox", name="E-post").fill("anna@example.com")
    form.get_by_label("Meddelande").fill(message)


def read_reference(form: FrameLocator) -> str:
    reference = form.locator("dl.reference dd")
    expect(reference).to_have_text(re.compile(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{2}"))
    return reference.inner_text()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_visitor_sends_the_framed_form(
    browser: Browser, addresses: tuple[str, str, str], scripts: bool
) -> None:
    page_url, inbox, _ = addresses
    page, form = open_page(browser, page_url, java_script_enabled=scripts)
    fill_in(form, f"Vi vill sälja till våren. {scripts}")
    form.get_by_role("button").click()
    reference = read_reference(form)
    assert page.url.startswith(page_url)  # thanked inside the frame
    lead = await_lead(inbox)
    assert f"Ref: {reference}" in lead["message"]
    page.goto(inbox)
    card = page.locator("article").first
    expect(card).to_contain_text("Anna Bergström")
    expect(card).to_contain_text("Vi vill sälja till våren.")
    tags = card.get_by_label("UTM-taggar").get_by_role("listitem")
    shown = tags.all_inner_texts()
    assert "utm_source google" in shown
    assert "utm_campaign host-i-hornviken" in shown
    assert not [tag for tag in shown if "hemlig" in tag]
    page.context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_visitor_is_told_what_is_missing(
    browser: Browser, addresses: tuple[str, str, str], scripts: bool
) -> None:
    page_url, inbox, _ = addresses
    page, form = open_page(browser, page_url, java_script_enabled=scripts)
    form.get_by_label("Meddelande").fill("Halvfärdigt")
    form.get_by_role("button").click()
    summary = form.locator(".summary")
    expect(summary).to_be_visible()
    expect(summary.get_by_role("link").first).to_have_text("Fyll i ”Förnamn”.")
    expect(form.get_by_label("Meddelande")).to_have_value("Halvfärdigt")
    expect(form.get_by_label("Förnamn")).to_have_attribute("aria-invalid", "true")
    fill_in(form, f"Nu är allt med. {scripts}")
    form.get_by_role("button").click()
    read_reference(form)
    await_lead(inbox)
    assert len(state(inbox)["leads"]) == 1
    page.context.close()


def test_the_keyboard_is_enough(browser: Browser, addresses: tuple[str, str, str]) -> None:
    page_url, inbox, _ = addresses
    page, form = open_page(browser, page_url)
    first = form.get_by_label("Förnamn")
    first.wait_for()
    for _ in range(40):  # from the top of the page into the frame
        page.keyboard.press("Tab")
        if first.evaluate("field => field === document.activeElement"):
            break
    expect(first).to_be_focused()
    page.keyboard.type("Anna")
    page.keyboard.press("Tab")
    page.keyboard.type("Bergström")
    page.keyboard.press("Tab")
    page.keyboard.type("anna@example.com")
    page.keyboard.press("Enter")
    read_reference(form)
    await_lead(inbox)
    page.context.close()
