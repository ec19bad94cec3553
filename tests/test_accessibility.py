"""WCAG 2.2 AA of the visitor's pages, in a real browser: axe, the keyboard alone, small screens and large text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, Page, expect

from tests.gateways import ANNA
from tests.visits import Site, open_site

FORMS = """
[defaults]
customer_id = "M12345"
assigned_to_id = "HAN0123456789"
lead_source_id = "LKA0123456789"
privacy = { controller = "Byrån", policy_url = "https://www.byran.se/integritet" }
consents.newsletter = { label = { sv = "Nyheter, tack", en = "News, please" } }

[forms.kontakt]
[[forms.kontakt.fields]]
name = "topic"
type = "radio"
label = { sv = "Ärende", en = "Subject" }
options = ["A", "B", "C"]
required = true
[[forms.kontakt.fields]]
name = "owner"
type = "checkbox"
label = { sv = "Jag äger bostaden", en = "I own the home" }
required = true

[forms.wordy]
[[forms.wordy.fields]]
name = "service"
type = "radio"
label = { sv = "Vilken fastighetsmäklartjänst gäller det?", en = "Which service is it about?" }
options = ["A", "B"]

[forms.dark]
theme = { mode = "dark", accent = "#c8102e" }

[forms.themed]
mode = "test"
theme = { mode = "auto", accent = "#ffd400", background = "#faf6ef", radius = "20px", logo = "/static/demo-house.svg" }

[forms.vardering]
preset = "vardering"

[forms.objekt]
preset = "objekt"
"""
HOME = {"streetAddress": "Storgatan 1", "zipCode": "169 55"}
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
AXE = Axe()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), FORMS) as site:
        yield site


@dataclass(frozen=True, slots=True)
class Screen:
    page: Page
    url: str

    def show(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def frame(self, path: str) -> Frame:
        """The page inside a page of ours, as wide as it is."""
        host = f'<!doctype html><html lang="sv"><title>x</title><iframe title="x" src="{path}" width="100%"></iframe>'
        self.page.route("**/host", lambda route: route.fulfill(body=host, content_type="text/html"))
        self.page.goto(self.url + "/host")
        frame = self.page.frames[1]
        frame.locator("html.framed").wait_for()
        return frame


@pytest.fixture
def open_screen(browser: Browser, site: Site) -> Iterator[Callable[..., Screen]]:
    contexts = []

    def open_screen(**options: Any) -> Screen:
        contexts.append(browser.new_context(**{"locale": "sv-SE"} | options))
        return Screen(contexts[-1].new_page(), site.url)

    yield open_screen
    for context in contexts:
        context.close()


def inspect(shown: Page | Frame) -> None:
    found = AXE.run(shown, options=RULES)
    assert not found.violations_count, found.generate_report()


def press(shown: Page | Frame) -> None:
    shown.locator("button[type=submit]").click()


def fill_in(shown: Page | Frame, **values: str) -> None:
    for name, value in (ANNA | values).items():
        shown.locator(f"[name={name}]").fill(value)


@pytest.mark.parametrize("framed", [False, True], ids=["alone", "framed"])
@pytest.mark.parametrize(
    ("form", "scheme", "language"),
    [
        ("kontakt", "light", "sv"),
        ("kontakt", "light", "en"),
        ("dark", "light", "sv"),
        ("dark", "light", "en"),
        ("themed", "light", "sv"),
        ("themed", "dark", "en"),
    ],
)
def test_axe_finds_nothing(
    open_screen: Callable[..., Screen], form: str, scheme: str, language: str, framed: bool
) -> None:
    screen = open_screen(color_scheme=scheme, reduced_motion="reduce")
    path = f"/f/{form}?lang={language}"
    shown = screen.frame(path) if framed else screen.show(path)
    inspect(shown)
    press(shown)
    expect(shown.locator(".summary")).to_be_focused()
    inspect(shown)
    if form == "kontakt":
        shown.get_by_role("radio").first.check()
        shown.locator("[name=owner]").check()
    fill_in(shown, email="anna@gmial.com", message=f"{form} {scheme} {language} {framed}")
    screen.page.route("**/f/*", lambda route: route.abort())
    press(shown)
    expect(shown.locator(".status.strong")).to_be_visible()
    inspect(shown)
    screen.page.unroute_all()
    press(shown)
    shown.locator("dl.reference").wait_for()
    inspect(shown)


@pytest.mark.parametrize("form", ["vardering", "objekt"])
def test_axe_finds_nothing_in_the_other_presets_and_on_refusals(
    open_screen: Callable[..., Screen], form: str
) -> None:
    screen = open_screen()
    inspect(screen.show(f"/f/{form}"))
    press(screen.page)
    inspect(screen.page)
    inspect(screen.show(f"/f/{form}/thanks/okand"))


def test_the_keyboard_is_enough(open_screen: Callable[..., Screen]) -> None:
    page = open_screen().show("/f/vardering")
    keyboard = page.keyboard

    def go_on(name: str, text: str = "") -> None:
        keyboard.press("Tab")
        expect(page.locator(f"[name='{name}']")).to_be_focused()
        keyboard.type(text)

    keyboard.press("Tab")
    expect(page.get_by_role("link", name="English")).to_be_focused()
    go_on("streetAddress", "Storgatan 1")
    go_on("zipCode", "hemma")
    go_on("city")
    go_on("propertyType", "Villa")
    go_on("livingArea", "120")
    go_on("rooms", "4")
    go_on("whenToSell")
    go_on("firstName", "Anna")
    go_on("lastName", "Bergström")
    go_on("email", "anna@example.com")
    keyboard.press("Enter")
    expect(page.locator(".summary")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    zip_code = page.locator("[name=zipCode]")
    expect(zip_code).to_be_focused()
    keyboard.press("Control+A")
    keyboard.type("169 55")
    for _ in range(20):
        keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "consents.newsletter":
            break
    keyboard.press("Space")
    expect(page.locator("[name='consents.newsletter']")).to_be_checked()
    keyboard.press("Tab")
    expect(page.get_by_role("link", name="öppnas i en ny flik")).to_be_focused()
    keyboard.press("Tab")
    expect(page.get_by_role("button")).to_be_focused()
    keyboard.press("Space")
    expect(page.locator("dl.reference")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_a_screen_reader_meets_things_in_the_order_of_the_page(open_screen: Callable[..., Screen]) -> None:
    page = open_screen().show("/f/objekt")
    press(page)
    expect(page.get_by_role("main")).to_match_aria_snapshot("""
      - main:
        - navigation "Språk":
          - link "English"
        - heading "Intresserad av bostaden?" [level=1]
        - paragraph
        - region "3 saker behöver rättas":
          - heading "3 saker behöver rättas" [level=2]
          - paragraph: Ingenting har skickats än, och det du skrev finns kvar.
          - list:
            - listitem:
              - link "Fyll i ”Förnamn”."
            - listitem:
              - link "Fyll i ”Efternamn”."
            - listitem:
              - link "Fyll i e-post eller telefon, så att vi kan svara dig."
        - paragraph: Fyll i allt som inte är märkt med ”valfritt”.
        - text: Förnamn
        - paragraph: Fyll i ”Förnamn”.
        - textbox "Förnamn"
        - text: Efternamn
        - paragraph: Fyll i ”Efternamn”.
        - textbox "Efternamn"
        - group "Det räcker med e-post eller telefon."
        - text: Vad vill du veta? (valfritt)
        - textbox "Vad vill du veta? (valfritt)"
        - checkbox "Nyheter, tack (valfritt)"
        - text: Nyheter, tack (valfritt)
        - region "Så hanterar vi dina personuppgifter"
        - button "Skicka intresseanmälan"
        - status
    """)


PATHS = ("/f/kontakt", "/f/themed", "/f/vardering", "/f/objekt")
# What is wider than the screen, and what a control or a button does not show of itself.
CUT_OFF = """() => {
    const root = document.documentElement, found = [];
    if (root.scrollWidth > root.clientWidth) found.push("the page");
    for (const element of document.querySelectorAll("main :not([aria-hidden], [aria-hidden] *)")) {
        const {left, right} = element.getBoundingClientRect();
        if (right > root.clientWidth + 1 || left < -1) found.push(element.outerHTML.slice(0, 80));
        if (element.matches("button, label, a, p, h1, h2, legend")
            && (element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== "inline"
                || element.scrollHeight > element.clientHeight + 8 && getComputedStyle(element).display === "block"))
            found.push("cut off: " + element.outerHTML.slice(0, 80));
    }
    return found;
}"""
LARGE_TEXT = "document.documentElement.style.fontSize = '200%'"
# WCAG 2.2, 1.4.12; set as a visitor's own stylesheet would be.
SPACED = """() => { for (const element of document.querySelectorAll("body, body *")) {
    element.style.letterSpacing = ".12em";
    element.style.wordSpacing = ".16em";
    element.style.lineHeight = "1.5";
} }"""


def check_every_state(page: Page, *, before: str | None = None) -> None:
    def look() -> None:
        if before:
            page.evaluate(before)
        assert page.evaluate(CUT_OFF) == []

    look()
    press(page)
    expect(page.locator(".summary")).to_be_visible()
    look()


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_cut_off_on_the_smallest_screen(open_screen: Callable[..., Screen], path: str) -> None:
    page = open_screen(viewport={"width": 320, "height": 640}).show(path)
    check_every_state(page)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("change", [LARGE_TEXT, SPACED], ids=["twice as large", "spaced"])
def test_nothing_is_cut_off_when_text_is(open_screen: Callable[..., Screen], path: str, change: str) -> None:
    page = open_screen(viewport={"width": 480, "height": 800}).show(path)
    check_every_state(page, before=change)


def test_a_question_with_a_long_word_is_broken_where_the_screen_ends(
    open_screen: Callable[..., Screen],
) -> None:
    page = open_screen(viewport={"width": 320, "height": 800}).show("/f/wordy")
    page.evaluate(LARGE_TEXT)
    assert page.evaluate(CUT_OFF) == []


def test_large_text_makes_larger_fields_and_buttons(open_screen: Callable[..., Screen]) -> None:
    page = open_screen().show("/f/kontakt")
    height = (
        "[...document.querySelectorAll('input:not([type=hidden]), button')].map((one) => one.offsetHeight)"
    )
    before = page.evaluate(height)
    page.evaluate(LARGE_TEXT)
    after = page.evaluate(height)
    assert all(large > 1.8 * small for small, large in zip(before, after, strict=True))


def test_thanks_fit_the_smallest_screen(open_screen: Callable[..., Screen]) -> None:
    page = open_screen(viewport={"width": 320, "height": 640}).show("/f/objekt")
    fill_in(page, message="Trångt.", email="anna@gmial.com")
    press(page)
    page.locator("dl.reference").wait_for()
    assert page.evaluate(CUT_OFF) == []


def test_forced_colours_leave_every_state_to_be_seen(open_screen: Callable[..., Screen]) -> None:
    page = open_screen(forced_colors="active").show("/f/kontakt")
    styles = (
        "(element) => { const {appearance, borderTopWidth, outlineStyle, outlineWidth} = getComputedStyle(element);"
        " return {appearance, borderTopWidth, outlineStyle, outlineWidth}; }"
    )
    box = page.locator("[name=owner]")
    assert box.evaluate(styles)["appearance"] == "auto"
    box.focus()
    page.keyboard.press("Space")
    assert box.evaluate(styles)["outlineStyle"] == "solid"
    name = page.locator("[name=firstName]")
    plain = name.evaluate(styles)["borderTopWidth"]
    press(page)
    assert (plain, name.evaluate(styles)["borderTopWidth"]) == ("1px", "3px")
    assert page.locator("button").evaluate(styles)["borderTopWidth"] == "1px"


MOVING = """() => [...document.querySelectorAll("*")].flatMap((element) => ["", "::before", "::after"]
    .map((part) => getComputedStyle(element, part || null))
    .filter((style) => style.animationName !== "none" || /[1-9]/.test(style.transitionDuration))).length"""


def test_nothing_moves_for_who_wants_it_still(open_screen: Callable[..., Screen]) -> None:
    for preference, moves in (("no-preference", True), ("reduce", False)):
        page = open_screen(reduced_motion=preference).show("/f/kontakt")
        page.evaluate("document.querySelector('button').setAttribute('aria-disabled', 'true')")
        assert (page.evaluate(MOVING) > 0) is moves


def test_what_happens_is_told_without_taking_the_focus(open_screen: Callable[..., Screen]) -> None:
    page = open_screen().show("/f/objekt")
    status = page.get_by_role("status")
    expect(status).to_have_text("")
    fill_in(page, message="Tyst.")
    page.route("**/f/objekt", lambda route: route.abort())
    page.locator("button").focus()
    page.keyboard.press("Enter")
    expect(status).to_contain_text("Vi får inget svar")
    expect(page.locator("button")).to_be_focused()
    expect(page.locator("button")).to_be_enabled()
