"""The page with its script, in a real browser: one submission, errors in place, a lost network waited out."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.gateways import FORMS
from tests.visits import Site, Visit, open_site, visit

THANKS = re.compile(r"/f/\w+/thanks/[0-9a-f-]{36}$")
KEPT = "Object.entries(sessionStorage).map(([name, value]) => [name, JSON.parse(value)])"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), FORMS) as site:
        yield site


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visit]:
    with visit(browser, site) as visitor:
        yield visitor


def says(visitor: Visit, text: str) -> None:
    expect(visitor.page.get_by_role("status")).to_contain_text(text)


def test_a_form_is_sent_and_thanked_for(visitor: Visit) -> None:
    before = visitor.site.count()
    visitor.open("/f/kontakt?utm_source=google")
    visitor.fill_in(message="Skickat av skriptet.")
    visitor.press()
    visitor.page.wait_for_url(THANKS)
    (post,) = visitor.posts()
    assert post.headers["accept"] == "application/json"
    assert visitor.site.count() == before + 1
    names = [name for name, _ in visitor.events]
    assert names == ["started", "submit", "accepted"]
    told = visitor.events[-1][1]
    assert told.keys() == {"id", "reference", "thanks", "redirect", "conversion"}
    assert visitor.page.url.endswith(told["id"])
    expect(visitor.page.locator("dl.reference dd")).to_have_text(told["reference"])


def test_however_often_it_is_pressed_it_is_sent_once(visitor: Visit) -> None:
    before = visitor.site.count()
    visitor.open()
    visitor.fill_in(message="Dubbelklick.")
    visitor.page.evaluate("""() => {
        const button = document.querySelector("button[type=submit]");
        for (let i = 0; i < 9; i++) button.click();
        document.querySelector("[name=email]").form.requestSubmit();
    }""")
    visitor.page.wait_for_url(THANKS)
    assert len(visitor.posts()) == 1
    assert visitor.site.count() == before + 1


def test_going_back_and_pressing_again_is_the_same_thanks(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in(email="fel", message="Tillbaka.")
    visitor.press()
    expect(visitor.page.locator(".summary")).to_be_focused()
    visitor.page.locator("[name=email]").fill("anna@example.com")
    visitor.press()
    visitor.page.wait_for_url(THANKS)
    thanks, before = visitor.page.url, visitor.site.count()
    visitor.page.go_back()
    # No page that asks whether to send it all again: the form itself.
    visitor.page.wait_for_url("**/f/kontakt")
    visitor.fill_in(message="Tillbaka.")
    visitor.press()
    visitor.page.wait_for_url(THANKS)
    assert visitor.page.url == thanks
    assert visitor.site.count() == before


def test_blanks_are_told_at_once_and_the_rest_by_the_server(visitor: Visit) -> None:
    visitor.open()
    visitor.press()
    summary = visitor.page.locator(".summary")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("heading")).to_have_text("3 saker behöver rättas")
    assert summary.get_by_role("link").all_inner_texts() == [
        "Fyll i ”Förnamn”.",
        "Fyll i ”Efternamn”.",
        "Fyll i e-post eller telefon, så att vi kan svara dig.",
    ]
    expect(visitor.page).to_have_title("Fel: Kontakta oss")
    assert not visitor.posts()
    assert visitor.events == [("invalid", {"count": 3})]
    visitor.fill_in(email="anna@exempel")
    visitor.press()
    expect(summary.get_by_role("heading")).to_have_text("En sak behöver rättas")
    expect(visitor.page.locator("[name=firstName]")).not_to_have_attribute("aria-invalid", "true")
    email = visitor.page.locator("[name=email]")
    expect(email).to_have_attribute("aria-describedby", "f-email-error either")
    expect(email).to_have_accessible_description(re.compile(r"^Kontrollera e-postadressen"))
    assert len(visitor.posts()) == 1
    assert visitor.events[-1] == ("invalid", {"count": 1})
    summary.get_by_role("link").click()
    expect(email).to_be_focused()
    assert "#" not in visitor.page.url
    email.fill("anna@example.com")
    visitor.press()
    visitor.page.wait_for_url(THANKS)


@pytest.mark.parametrize(
    ("changes", "ticked"),
    [({"firstName": "", "lastName": "", "email": ""}, False), ({"email": "fel@", "phone": "1"}, True)],
    ids=["seen by the script", "seen by the server"],
)
def test_the_script_marks_errors_as_the_server_does(
    browser: Browser, site: Site, changes: dict[str, str], ticked: bool
) -> None:
    seen = []
    for scripts in (True, False):
        with visit(browser, site, java_script_enabled=scripts) as visitor:
            visitor.open("/f/objekt")
            visitor.fill_in(**changes)
            box = visitor.page.locator("[name=viewing]")
            box.set_checked(ticked)
            visitor.press()
            expect(visitor.page.locator(".summary")).to_be_visible()
            expect(box).to_have_accessible_description("" if ticked else "Fyll i ”Visning”.")
            seen.append((visitor.page.locator("main").aria_snapshot(), visitor.page.title()))
    assert seen[0] == seen[1]


def test_an_error_goes_with_its_correction(visitor: Visit) -> None:
    visitor.open()
    email, phone = visitor.page.locator("[name=email]"), visitor.page.locator("[name=phone]")
    email.fill("anna@")
    email.blur()
    expect(visitor.page.locator("#f-email-error")).to_contain_text("Kontrollera e-postadressen")
    email.fill("")
    email.blur()
    expect(visitor.page.locator("#f-email-error")).to_have_count(0)
    visitor.press()
    expect(visitor.page.locator("#f-email-error")).to_have_count(1)
    phone.fill("070-174 06 05")
    phone.blur()
    expect(visitor.page.locator("#f-email-error")).to_have_count(0)
    expect(email).to_have_attribute("aria-describedby", "either")


def test_a_long_text_is_told_to_be_too_long_and_not_cut(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in()
    visitor.page.locator("[name=message]").fill("")
    visitor.page.locator("[name=message]").focus()
    visitor.page.keyboard.insert_text("x" * 5001)
    visitor.press()
    expect(visitor.page.locator("#f-message-error")).to_contain_text("5000")
    assert len(visitor.page.locator("[name=message]").input_value()) == 5001


def test_more_than_can_be_sent_is_told_on_the_page_that_still_has_it(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in()
    visitor.page.locator("[name=message]").fill("x" * 70_000)
    visitor.press()
    summary = visitor.page.locator(".summary")
    expect(summary).to_contain_text("Korta ner ditt meddelande och skicka det igen.")
    expect(summary).not_to_contain_text("Gå tillbaka")
    visitor.page.locator("[name=message]").fill("Kortare.")
    visitor.press()
    visitor.page.wait_for_url(THANKS)


def test_a_lost_network_is_waited_out(visitor: Visit) -> None:
    before = visitor.site.count()
    visitor.open()
    visitor.fill_in(message="Offline.")
    assert visitor.page.evaluate(KEPT) == []
    visitor.page.context.set_offline(offline=True)
    visitor.press()
    says(visitor, "Vi får inget svar")
    (key, kept), *others = visitor.page.evaluate(KEPT)
    assert not others
    assert key == "leadgate:/f/kontakt"
    assert ["message", "Offline."] in kept["pairs"]
    assert visitor.events[-1] == ("failed", {"code": "network"})
    assert visitor.site.count() == before
    visitor.page.context.set_offline(offline=False)
    visitor.page.wait_for_url(THANKS)
    assert visitor.site.count() == before + 1
    assert visitor.page.evaluate(KEPT) == []


def test_an_answer_that_is_lost_is_asked_for_with_the_same_key(visitor: Visit) -> None:
    before = visitor.site.count()
    visitor.open()
    visitor.fill_in(message="Svaret kom bort.")
    lose = """(() => {
        const real = fetch;
        window.fetch = async (...all) => { await real(...all); window.fetch = real; throw new TypeError("lost"); };
    })()"""
    visitor.page.evaluate(lose)
    visitor.press()
    says(visitor, "kan inte säga att ditt meddelande har kommit fram")
    assert visitor.site.count() == before + 1
    visitor.page.evaluate("dispatchEvent(new Event('online'))")
    visitor.page.wait_for_url(THANKS)
    first, second = visitor.posts()
    assert first.post_data == second.post_data
    assert visitor.site.count() == before + 1


def test_a_reloaded_page_sends_what_was_kept(visitor: Visit) -> None:
    before = visitor.site.count()
    visitor.open()
    visitor.fill_in(message="Omladdad.")
    visitor.page.locator("[name='consents.newsletter']").check()
    visitor.answer(502, body="<h1>Bad Gateway</h1>", content_type="text/html")
    visitor.press()
    says(visitor, "Vi får inget svar")
    token = visitor.page.locator("[name=token]").input_value()
    visitor.page.reload()
    says(visitor, "Vi får inget svar")
    assert visitor.page.locator("[name=token]").input_value() == token
    assert visitor.page.locator("[name=message]").input_value() == "Omladdad."
    expect(visitor.page.locator("[name='consents.newsletter']")).to_be_checked()
    visitor.answer_no_more()
    visitor.page.reload()
    visitor.page.wait_for_url(THANKS)
    assert visitor.site.count() == before + 1


def test_what_is_changed_meanwhile_waits_for_the_button(visitor: Visit) -> None:
    before = visitor.site.count()
    visitor.open()
    visitor.fill_in(message="Första.")
    visitor.answer()
    visitor.press()
    says(visitor, "Vi får inget svar")
    visitor.page.locator("[name=message]").fill("Andra.")
    says(visitor, "skicka när du är klar")
    visitor.answer_no_more()
    visitor.page.reload()
    says(visitor, "skicka när du är klar")
    assert visitor.page.locator("[name=message]").input_value() == "Andra."
    assert visitor.site.count() == before
    visitor.press()
    visitor.page.wait_for_url(THANKS)
    assert visitor.site.count() == before + 1


def hold_back(visitor: Visit) -> list[Route]:
    """The posts from now on, which wait."""
    held: list[Route] = []

    def wait(route: Route) -> None:
        if route.request.method == "POST":
            held.append(route)
        else:
            route.fallback()

    visitor.page.route("**/f/*", wait)
    return held


def test_what_is_changed_while_an_attempt_is_under_way_waits_for_the_button(visitor: Visit) -> None:
    before = visitor.site.count()
    visitor.open()
    visitor.fill_in(message="Medan den gick.")
    held = hold_back(visitor)
    visitor.press()
    says(visitor, "Skickar")
    visitor.page.locator("[name=message]").fill("Ändrad medan den gick.")
    held.pop().abort()
    says(visitor, "skicka när du är klar")
    ((_, kept),) = visitor.page.evaluate(KEPT)
    assert not kept["send"]
    assert ["message", "Ändrad medan den gick."] in kept["pairs"]
    visitor.page.unroute_all(behavior="wait")
    visitor.page.evaluate("dispatchEvent(new Event('online'))")
    says(visitor, "skicka när du är klar")
    assert visitor.site.count() == before
    visitor.press()
    visitor.page.wait_for_url(THANKS)
    assert visitor.site.count() == before + 1
    assert visitor.site.read_newest()["message"] == "Ändrad medan den gick."


def test_what_was_kept_is_sent_in_the_language_of_the_page_that_is_shown(visitor: Visit) -> None:
    visitor.open("/f/kontakt?lang=sv")
    visitor.fill_in(message="Svensk.")
    visitor.answer()
    visitor.press()
    says(visitor, "Vi får inget svar")
    visitor.page.locator("[name=message]").fill("Engelsk.")
    says(visitor, "skicka när du är klar")
    visitor.page.get_by_role("link", name="English").click()
    says(visitor, "send it when you are ready")
    assert visitor.page.locator("[name=message]").input_value() == "Engelsk."
    visitor.answer_no_more()
    visitor.press()
    visitor.page.wait_for_url(THANKS)
    assert visitor.site.read_newest()["language"] == "en"


def test_a_page_that_comes_back_from_the_browsers_memory_says_what_still_waits(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in(message="Ur minnet.")
    visitor.answer()
    visitor.press()
    says(visitor, "Vi får inget svar")
    back = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
    visitor.page.evaluate(back)
    says(visitor, "Vi får inget svar")
    visitor.page.locator("[name=message]").fill("Ändrat.")
    visitor.page.evaluate(back)
    says(visitor, "skicka när du är klar")


def test_the_last_attempt_of_the_half_hour_keeps_nothing_anew(visitor: Visit) -> None:
    visitor.page.clock.install()
    visitor.open()
    visitor.fill_in(message="Gammal.")
    visitor.answer()
    visitor.press()
    says(visitor, "Vi får inget svar")
    held = hold_back(visitor)
    visitor.page.evaluate("dispatchEvent(new Event('online'))")
    says(visitor, "Skickar")
    visitor.page.clock.fast_forward("30:01")
    assert visitor.page.evaluate(KEPT) == []
    held.pop().abort()
    says(visitor, "Vi har ingen bekräftelse")
    assert visitor.page.evaluate(KEPT) == []
    visitor.page.locator("[name=message]").fill("Ny.")
    assert visitor.page.evaluate(KEPT) == []


def test_after_half_an_hour_nothing_is_kept(visitor: Visit) -> None:
    visitor.page.clock.install()
    visitor.open()
    visitor.fill_in(message="Gammal.")
    visitor.answer()
    visitor.press()
    says(visitor, "Vi får inget svar")
    kept = visitor.page.evaluate(KEPT)
    visitor.page.clock.fast_forward("30:01")
    says(visitor, "Vi har ingen bekräftelse")
    assert visitor.page.evaluate(KEPT) == []
    assert visitor.page.locator("[name=message]").input_value() == "Gammal."
    ((name, entry),) = kept
    visitor.page.evaluate("([name, text]) => sessionStorage.setItem(name, text)", [name, json.dumps(entry)])
    visitor.page.reload()
    expect(visitor.page.locator("[name=message]")).to_have_value("")
    assert visitor.page.evaluate(KEPT) == []


def test_a_page_that_keeps_nothing_still_waits(visitor: Visit) -> None:
    visitor.open()
    visitor.page.evaluate("document.querySelector('form').dataset.keep = 'no'")
    visitor.fill_in(message="Kiosk.")
    visitor.answer()
    visitor.press()
    says(visitor, "Vi får inget svar")
    assert visitor.page.evaluate(KEPT) == []
    visitor.answer_no_more()
    visitor.page.evaluate("dispatchEvent(new Event('online'))")
    visitor.page.wait_for_url(THANKS)


def test_a_refusal_that_is_no_fields_fault_is_told_and_keeps_the_values(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in()
    problem = {
        "type": "urn:leadgate:problem:too-many-requests",
        "title": "Många meddelanden",
        "detail": "Vänta.",
        "status": 429,
    }
    visitor.answer(429, body=json.dumps(problem), content_type="application/problem+json")
    visitor.press()
    summary = visitor.page.locator(".summary")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("heading")).to_have_text("Många meddelanden")
    assert visitor.events[-1] == ("failed", {"code": "too-many-requests"})
    assert visitor.page.evaluate(KEPT) == []
    expect(visitor.page.locator("[name=message]")).to_have_value("Vi vill sälja.")
    expect(visitor.page.locator("button[type=submit]")).to_have_attribute("aria-disabled", "false")


def test_a_challenge_is_solved_and_sent_along(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in(message="Gåta.")
    visitor.page.evaluate(
        "void (window.leadgateChallenge = async (problem) => 'svar på ' + problem.challenge)"
    )
    problem = {"title": "En fråga", "detail": "…", "status": 403, "challenge": "gåtan"}
    visitor.answer(403, body=json.dumps(problem), content_type="application/problem+json")
    visitor.press()
    expect(visitor.page.locator(".summary")).to_contain_text("En fråga")  # of the second answer, not again
    first, second = visitor.posts()
    assert "altcha=" not in (first.post_data or "")
    assert "altcha=svar+p%C3%A5+g%C3%A5tan" in (second.post_data or "")


def test_a_challenge_brings_its_solver_along(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in(message="Gåta med hjälp.")
    problem = {"title": "En fråga", "detail": "…", "status": 403, "challenge": {"salt": "x"}}
    visitor.answer(403, body=json.dumps(problem), content_type="application/problem+json")
    solver = "window.leadgateChallenge = async (problem) => problem.challenge.salt + 'y'"
    visitor.page.route("**/static/challenge.js", lambda route: route.fulfill(body=solver))
    visitor.press()
    expect(visitor.page.locator(".summary")).to_contain_text("En fråga")
    assert "altcha=xy" in (visitor.posts()[1].post_data or "")


def test_who_hears_of_the_acceptance_may_go_on_by_herself(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in(message="Ramens sak.")
    visitor.page.evaluate("addEventListener('leadgate:accepted', (event) => event.preventDefault())")
    visitor.press()
    says(visitor, "Det har kommit fram.")
    expect(visitor.page).to_have_url(re.compile(r"/f/kontakt$"))
    visitor.page.locator("button[type=submit]").dispatch_event("click")
    assert len(visitor.posts()) == 1


def test_a_lead_whose_thanks_cannot_be_shown_has_arrived_all_the_same(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in(message="Tacket kom bort.")
    visitor.page.route("**/thanks/**", lambda route: route.abort())
    visitor.press()
    says(visitor, "Det har kommit fram. Ditt referensnummer:")
    name, told = visitor.events[-1]
    assert name == "accepted"
    says(visitor, told["reference"])
    expect(visitor.page).to_have_url(re.compile(r"/f/kontakt$"))
    before = visitor.site.count()
    visitor.page.unroute("**/thanks/**")
    visitor.press()
    visitor.page.wait_for_url(re.compile(told["id"]))
    assert visitor.site.count() == before


def test_what_is_written_late_goes_along(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in(message="Sent skrivet.")
    visitor.page.evaluate("""addEventListener("leadgate:submit", (event) => {
        const late = document.createElement("input");
        Object.assign(late, {type: "hidden", name: "utm_source", value: "sent"});
        event.target.append(late);
    })""")
    visitor.press()
    visitor.page.wait_for_url(THANKS)
    assert "utm_source=sent" in (visitor.posts()[0].post_data or "")


def test_a_page_sets_no_cookie_and_asks_nobody_else(visitor: Visit) -> None:
    visitor.open()
    visitor.fill_in(message="Ingen annan.")
    visitor.press()
    visitor.page.wait_for_url(THANKS)
    assert visitor.page.context.cookies() == []
    assert visitor.page.evaluate("localStorage.length + sessionStorage.length") == 0
    addresses = [request.url for request in visitor.requests]
    assert len(addresses) >= 4
    assert all(address.startswith((visitor.site.url, "data:")) for address in addresses)
