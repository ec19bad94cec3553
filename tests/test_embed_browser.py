"""Forms on other people's pages, in a real browser: another origin, hostile neighbours, tags, consent, redirects."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from app.forms.model import HONEYPOT
from app.web.embed import load_assets
from tests.gateways import serve_gateway
from tests.stages import (
    FORMS,
    LISTEN,
    Stage,
    await_heard,
    await_input,
    await_told,
    fill_in,
    framed,
    mount,
    send,
    tags_of,
)


def refuse(route: Route) -> None:
    """A lead finds no network, though the page itself would."""
    if route.request.method == "POST":
        route.abort()
    else:
        route.fallback()


def of_this_site(stage: Stage) -> str:
    """The script of a gateway on the page's own site: a browser lets such frames keep something."""
    return stage.script.replace("127.0.0.1", "localhost")


# --- a form on a page of another origin


def test_a_form_knows_the_page_around_it_and_the_campaign_arrives(stage: Stage) -> None:
    attributes = 'data-leadgate-lang="sv" data-leadgate-receiver="anna"'
    page = stage.open(
        mount(attributes=attributes) + stage.script,
        "?utm_source=google&GCLID=abc&partner_id=7&token=hemlig#del",
        "/salja",
        referer="https://www.google.com/search?q=hemligt",
    )
    form = framed(page)
    await_input(form, "pageUrl", f"{stage.host.origin}/salja?utm_source=google&GCLID=abc&partner_id=7")
    reference = send(form, "Kampanjen")
    told = await_told(page, "submit")
    assert told["reference"] == reference
    lead = stage.newest()
    assert lead.page_url == f"{stage.host.origin}/salja?utm_source=google&GCLID=abc&partner_id=7"
    assert tags_of(lead) == {
        "utm_source": "google",
        "gclid": "abc",
        "partner_id": "7",
        "landing_referrer": "https://www.google.com/search",
    }
    assert lead.receiver == "anna"
    assert "hemlig" not in page.evaluate("JSON.stringify(heard)")


def test_a_listing_tells_which_home_it_shows_until_it_is_sent(stage: Stage) -> None:
    attributes = 'data-leadgate-field-objectReference="TV-1" data-leadgate-field-object-address="Brygga 4"'
    page = stage.open(mount("objekt", attributes) + stage.script)
    form = framed(page, "objekt")
    await_input(form, "objectReference", "TV-1")
    await_input(form, "objectAddress", "Brygga 4")
    page.evaluate("objekt.setAttribute('data-leadgate-field-objectreference', 'TV-2')")
    await_input(form, "objectReference", "TV-2")
    form.get_by_label("Förnamn").fill("Anna")
    form.get_by_label("Efternamn").fill("Bergström")
    form.get_by_role("textbox", name="E-post").fill("anna@example.com")
    form.locator("button[type=submit]").click()
    await_told(page, "submit")
    answers = {answer.name: answer.value for answer in stage.newest().answers}
    assert answers == {"objectReference": "TV-2", "objectAddress": "Brygga 4"}


def test_the_frame_is_what_the_contract_says(stage: Stage) -> None:
    page = stage.open(mount(attributes='data-leadgate-lang="en"') + stage.script)
    frame = page.locator("iframe")
    await_heard(page)
    expect(frame).to_have_attribute("title", "Contact us")
    expect(frame).to_have_attribute("loading", "lazy")
    expect(frame).to_have_attribute("referrerpolicy", "strict-origin-when-cross-origin")
    expect(frame).to_have_attribute(
        "sandbox",
        "allow-forms allow-scripts allow-same-origin allow-popups allow-top-navigation-by-user-activation",
    )
    assert framed(page).locator("html").get_attribute("lang") == "en"


def test_the_height_follows_the_content_up_and_down(stage: Stage) -> None:
    page = stage.open(mount() + stage.script + '<p id="below">Nedanför</p>')
    form = framed(page)
    frame = page.locator("iframe")

    def await_fit() -> int:
        """Until the frame is as high as its page, to a pixel."""
        page.wait_for_function("() => document.querySelector('iframe')")
        for _ in range(100):
            inner = form.locator("html").evaluate("root => Math.ceil(root.getBoundingClientRect().height)")
            outer = frame.evaluate("frame => frame.getBoundingClientRect().height")
            if inner == outer:
                return int(outer)
            page.wait_for_timeout(50)
        raise AssertionError(f"{outer} for {inner}")

    await_heard(page)
    empty = await_fit()
    form.locator("button[type=submit]").click()
    form.locator(".summary").wait_for()
    wrong = await_fit()
    assert wrong > empty
    page.set_viewport_size({"width": 360, "height": 740})
    assert await_fit() > wrong
    page.set_viewport_size({"width": 900, "height": 1100})
    send(form, "Höjden")
    assert await_fit() < empty


def test_the_fallback_makes_room_for_the_form_without_a_jump(stage: Stage) -> None:
    page = stage.open(mount(fallback='Ring <a href="tel:08123">08-123</a>') + '<p id="below">Nedanför</p>')
    expect(page.get_by_text("Ring 08-123")).to_be_visible()
    page.add_script_tag(url=f"{stage.base}/embed/v1.js")
    # The frame's height is kept free from the first moment.
    assert page.locator("#kontakt").evaluate("element => element.offsetHeight") >= 800
    await_heard(page)
    expect(page.get_by_text("Ring 08-123")).to_be_hidden()
    expect(page.locator("iframe")).to_be_visible()


@pytest.mark.parametrize("around", ["<p>{}</p>", "{}"], ids=["last of its parent", "before a blank"])
def test_what_the_browser_reads_late_belongs_to_the_fallback(stage: Stage, around: str) -> None:
    page = stage.context.new_page()
    held: list[Route] = []
    page.route("**/slow.js", lambda route: held.append(route))  # noqa: PLW0108 - it marks what it is given
    slow = '<script src="/slow.js"></script><b>Eller mejla</b>'
    body = LISTEN + stage.script + around.replace("p>", "section>").format(mount(fallback="Ring " + slow))
    page.goto(stage.host.show(body), wait_until="commit")
    page.wait_for_function("window.leadgate && window.kontakt")
    page.evaluate("leadgate.mount()")
    held.pop().fulfill(body="")
    await_heard(page)
    expect(page.get_by_text("Eller mejla")).to_be_hidden()
    page.evaluate("delete kontakt.dataset.leadgateForm")
    expect(page.locator("#kontakt")).to_have_text(re.compile(r"Ring\s*Eller mejla"))
    expect(page.get_by_text("Eller mejla")).to_be_visible()


def test_what_a_page_adds_to_the_element_stays_the_pages_own(stage: Stage) -> None:
    page = stage.open(mount() + stage.script)
    await_heard(page)
    page.evaluate(
        "kontakt.append(Object.assign(document.createElement('p'), {id: 'ny', textContent: 'Nytt'}))"
    )
    expect(page.get_by_text("Nytt")).to_be_visible()
    page.evaluate("kontakt.removeChild(ny)")
    expect(page.get_by_text("Nytt")).to_have_count(0)


def test_a_page_that_keeps_something_last_in_the_element_may(stage: Stage) -> None:
    keep = """<script>
      const last = Object.assign(document.createElement("p"), {textContent: "Sist"});
      window.moves = 0;
      const watch = () => { if (kontakt.lastElementChild !== last && moves++ < 100) kontakt.append(last) };
      watch();
      new MutationObserver(watch).observe(kontakt, {childList: true, subtree: true});
    </script>"""
    page = stage.open(mount() + keep + stage.script)
    await_heard(page)
    assert page.evaluate("moves") <= 2
    expect(page.get_by_text("Sist")).to_be_visible()


def test_a_form_on_a_page_without_an_address_of_its_own_is_shown_and_thanks(stage: Stage) -> None:
    inside = f"<!doctype html>{LISTEN}{mount()}{stage.script}".replace("&", "&amp;").replace('"', "&quot;")
    page = stage.open(f'<iframe id="utan" width="800" height="900" srcdoc="{inside}"></iframe>')
    around = page.frame_locator("#utan")
    expect(around.locator("#kontakt iframe")).to_be_visible()
    send(around.frame_locator("#kontakt iframe"), "Utan adress")
    # The page of thanks, too, knows whom to speak to.
    said = "heard.filter(({ type }) => type === 'form-submit').length"
    page.wait_for_function(f"document.querySelector('#utan').contentWindow.{said} === 2")


def test_a_page_may_call_a_variable_of_its_own_origin(stage: Stage) -> None:
    page = stage.open("<script>var origin = 'Stockholm C'</script>" + mount() + stage.script)
    await_heard(page)
    expect(page.locator("iframe")).to_be_visible()


def test_the_page_stays_where_its_visitor_is_unless_there_are_thanks_or_something_is_wrong(
    stage: Stage,
) -> None:
    page = stage.open(
        mount(attributes='data-leadgate-lang="sv"') + '<p style="height: 4000px">Text</p>' + stage.script
    )
    await_heard(page)
    page.evaluate("scrollTo(0, 3000); kontakt.dataset.leadgateLang = 'en'")
    form = framed(page)
    expect(form.get_by_role("heading", name="Contact us")).to_be_visible()
    page.wait_for_function("heard.filter(said => said.type === 'form-ready').length === 2")
    assert page.evaluate("scrollY") == 3000
    press = "form.querySelector('button').click()"
    form.locator("form").evaluate(f"form => {press}")
    page.wait_for_function("scrollY < 100")
    for name, value in {
        "firstName": "Anna",
        "lastName": "Ek",
        "email": "a@example.com",
        "message": "R",
    }.items():
        form.locator(f"[name={name}]").fill(value)
    page.evaluate("scrollTo(0, 3000)")
    form.locator("form").evaluate(f"form => {press}")
    await_told(page, "submit")
    page.wait_for_function("scrollY < 100")


def test_two_forms_live_on_one_page(stage: Stage) -> None:
    attributes = 'data-leadgate-field-objectreference="TV-9"'
    page = stage.open(mount() + mount("objekt", attributes) + stage.script)
    await_heard(page)
    page.locator("#objekt").scroll_into_view_if_needed()
    await_heard(page, "objekt")
    await_input(framed(page, "objekt"), "objectReference", "TV-9")
    send(framed(page), "Två formulär")
    assert await_told(page, "submit")["formId"] == "kontakt"
    assert page.evaluate("told.filter(([name]) => name === 'submit').map(([, id]) => id)") == ["kontakt"]
    expect(framed(page, "objekt").locator("form")).to_be_visible()


def test_a_form_takes_its_own_parameters_whatever_other_forms_take(stage: Stage) -> None:
    page = stage.open(mount() + stage.script, "?partner_id=7&utm_source=google")
    await_heard(page)
    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", mount("objekt"))
    page.locator("#objekt").scroll_into_view_if_needed()
    await_heard(page, "objekt")
    await_input(framed(page, "objekt"), "utm_source", "google")
    # A late word from the page finds both.
    page.evaluate("leadgate.consent({})")
    send(framed(page), "Partnern")
    assert tags_of(stage.newest()) == {"partner_id": "7", "utm_source": "google"}


# --- pages that change, and scripts that come late


def test_a_tag_manager_may_load_it_late_and_twice(stage: Stage) -> None:
    page = stage.open(mount())
    page.wait_for_load_state("load")
    for _ in range(2):
        page.evaluate(
            "src => new Promise(done => document.head.append("
            "Object.assign(document.createElement('script'), {src, async: true, onload: done})))",
            f"{stage.base}/embed/v1.js",
        )
    await_heard(page)
    assert page.locator("iframe").count() == 1


def test_a_single_page_app_mounts_moves_and_takes_away(stage: Stage) -> None:
    page = stage.open(stage.script + '<div id="app"></div>')
    page.wait_for_function("window.leadgate")
    page.evaluate(f"app.innerHTML = '{mount()}'")
    await_heard(page)
    page.evaluate("window.kept = kontakt; kontakt.remove()")
    page.wait_for_function("!document.querySelector('iframe')")
    page.evaluate("heard.length = 0; app.append(kept)")
    await_heard(page)
    assert page.locator("iframe").count() == 1
    page.evaluate("heard.length = 0; kontakt.dataset.leadgateForm = 'objekt'")
    await_heard(page, "objekt")
    assert page.locator("iframe").count() == 1


@pytest.mark.parametrize("attributes", ["", 'data-leadgate-lang="sv"'])
def test_a_page_that_changes_its_language_takes_the_form_along(stage: Stage, attributes: str) -> None:
    page = stage.open(mount(attributes=attributes) + stage.script)
    await_heard(page)
    page.evaluate("kontakt.dataset.leadgateLang = 'en'")
    expect(framed(page).get_by_label("First name")).to_be_visible()
    expect(page.locator("iframe")).to_have_attribute("title", "Contact us")


def test_a_page_may_tidy_its_address_and_the_campaign_stays(stage: Stage) -> None:
    page = stage.open(mount() + stage.script, "?partner_id=7&utm_source=google&token=hemlig")
    page.wait_for_function("window.leadgate")
    page.evaluate("history.replaceState({}, '', location.pathname)")
    await_heard(page)
    page.evaluate("leadgate.consent({})")
    form = framed(page)
    await_input(form, "pageUrl", f"{stage.host.origin}/")
    assert page.evaluate("sessionStorage.length") == 0
    send(form, "Städad adress")
    assert tags_of(stage.newest()) == {"partner_id": "7", "utm_source": "google"}


def test_a_later_campaign_takes_the_place_of_the_former(stage: Stage) -> None:
    page = stage.open(mount() + stage.script, "?utm_source=google&gclid=1")
    await_heard(page)
    page.evaluate("history.pushState({}, '', '/salja?utm_source=meta'); leadgate.consent({})")
    await_input(framed(page), "utm_source", "meta")
    expect(framed(page).locator("[name=gclid]")).to_have_count(0)


def test_consent_may_come_in_the_moment_in_which_a_form_goes(stage: Stage) -> None:
    page = stage.open(mount() + stage.script)
    await_heard(page)
    page.evaluate("kontakt.remove(); leadgate.consent({analytics: true})")


def test_an_element_may_become_a_form(stage: Stage) -> None:
    page = stage.open('<div id="kontakt">Ring</div>' + stage.script)
    page.wait_for_load_state("load")
    page.evaluate("kontakt.dataset.leadgateForm = 'kontakt'")
    await_heard(page)
    assert page.locator("iframe").count() == 1


def test_a_pinned_script_is_checked_by_the_browser(stage: Stage) -> None:
    [(name, asset)] = [one for one in load_assets().items() if one[0].startswith("v1.") and len(one[0]) > 7]
    tag = '<script async crossorigin src="{}" integrity="{}"></script>'
    page = stage.open(mount() + tag.format(f"{stage.base}/embed/{name}", asset.integrity))
    await_heard(page)
    wrong = stage.open(mount() + tag.format(f"{stage.base}/embed/{name}", asset.integrity[:-4] + "AAAA"))
    wrong.wait_for_load_state("load")
    expect(wrong.get_by_text("Ring 08-123")).to_be_visible()
    assert wrong.locator("iframe").count() == 0


# --- the page is not to be trusted, nor are its neighbours


def test_forged_messages_are_not_heard_by_the_page(stage: Stage) -> None:
    stage.host.show(
        """<script>addEventListener("message", ({data}) => {
          const said = {source: "leadgate", v: 1, embedId: data, formId: "kontakt"};
          for (const more of [{type: "form-submit", id: "x", reference: "y", conversion: true},
                              {type: "form-redirect", url: "https://evil.example/"},
                              {type: "form-height-changed", height: 4000}, {type: "form-error", code: "x"}])
            parent.postMessage({...said, ...more}, "*");
          parent.postMessage("done", "*");
        })</script>""",
        "/ond",
    )
    evil = stage.host.origin.replace("localhost", "127.0.0.1") + "/ond"
    page = stage.open(mount() + stage.script + f'<iframe id="evil" src="{evil}"></iframe>')
    embed_id = await_heard(page)
    before = page.locator("#kontakt iframe").evaluate("frame => frame.offsetHeight")
    page.evaluate("id => document.querySelector('#evil').contentWindow.postMessage(id, '*')", embed_id)
    page.wait_for_function("heard.some(said => said.url)")
    # The page itself cannot speak for its frame either, and a number for an id is none.
    page.evaluate(
        "id => { for (const embedId of [id, 'other'])"
        " postMessage({source: 'leadgate', v: 1, embedId, type: 'form-submit', id: 'z'}, '*') }",
        embed_id,
    )
    page.wait_for_function("heard.some(said => said.id === 'z')")
    assert not page.evaluate("told.filter(([name]) => name !== 'ready')")
    assert page.evaluate("window.dataLayer") is None
    assert page.locator("#kontakt iframe").evaluate("frame => frame.offsetHeight") == before
    assert page.url.startswith(stage.host.origin)


def test_the_frame_hears_its_own_page_alone_and_takes_nothing_but_context(stage: Stage) -> None:
    stage.host.show(
        """<script>addEventListener("message", ({data}) => {
          parent.frames[0].postMessage(data, "*");
          parent.postMessage({passed: 1}, "*");
        })</script>""",
        "/ond",
    )
    evil = stage.host.origin.replace("localhost", "127.0.0.1") + "/ond"
    page = stage.open(mount() + stage.script + f'<iframe id="evil" src="{evil}"></iframe>')
    embed_id = await_heard(page)
    form = framed(page)
    await_input(form, "pageUrl", f"{stage.host.origin}/")
    said = {
        "source": "leadgate",
        "v": 1,
        "type": "context",
        "embedId": embed_id,
        "params": {"utm_source": "evil"},
    }
    page.evaluate("said => document.querySelector('#evil').contentWindow.postMessage(said, '*')", said)
    page.wait_for_function("heard.some(said => said.passed)")
    post = "said => document.querySelector('#kontakt iframe').contentWindow.postMessage(said, '*')"
    for wrong in ({"embedId": "other"}, {"v": 2}, {"source": "other"}, {"type": "form-ready"}):
        page.evaluate(post, said | wrong)
    page.evaluate(post, "text")
    page.evaluate(post, None)
    # From the page itself only what a page may tell is taken.
    params = {"utm_medium": "cpc", "consents.newsletter": "true", "token": "x", "email": "x", "utm_id": 7}
    fields = {"token": "x", "email": "x", "firstName": "x", "": "x"}
    page.evaluate(post, said | {"params": params, "fields": fields, "receiver": ["anna"], "lang": "sv"})
    await_input(form, "utm_medium", "cpc")
    names = form.locator("input[type=hidden]").evaluate_all(
        "inputs => inputs.map(input => input.name).sort()"
    )
    assert names == ["language", "notice.version", "token", "utm_medium"]
    assert form.locator("[name=token]").input_value() != "x"
    assert form.get_by_role("textbox", name="E-post").input_value() == ""


def test_no_message_holds_what_a_visitor_typed_or_goes_to_anyone_else(stage: Stage) -> None:
    page = stage.open(mount() + stage.script)
    form = framed(page)
    await_heard(page)
    fill_in(form, "Sekretess")
    form.get_by_role("textbox", name="E-post").fill("anna@")
    form.get_by_role("textbox", name="E-post").press("Enter")
    form.locator(".summary").wait_for()
    form.get_by_role("textbox", name="E-post").fill("anna@example.com")
    form.locator("button[type=submit]").click()
    await_told(page, "submit")
    text = page.evaluate("JSON.stringify(heard)")
    for personal in ("Anna", "Bergström", "anna@", "Sekretess"):
        assert personal not in text
    assert page.evaluate("[...new Set(heard.map(said => said.origin))]") == [stage.base]
    kinds = page.evaluate("[...new Set(heard.map(said => said.type))].sort()")
    assert kinds == [
        "form-height-changed",
        "form-ready",
        "form-sending",
        "form-started",
        "form-submit",
        "form-validation-failed",
    ]


def test_a_page_that_is_not_listed_keeps_its_fallback_and_is_told_the_line_to_add(stage: Stage) -> None:
    page = stage.context.new_page()
    with page.expect_console_message(lambda said: "allowed_origins" in said.text, timeout=20_000) as said:
        page.goto(stage.host.show(LISTEN + mount("ensam") + stage.script))
    line = f'write under [forms.ensam]: allowed_origins = ["{stage.host.origin}"]'
    assert line in said.value.text
    assert await_told(page, "error")["code"] == "origin-not-allowed"
    expect(page.get_by_text("Ring 08-123")).to_be_visible()
    expect(page.locator("iframe")).to_be_hidden()


def test_a_form_that_there_is_not_keeps_its_fallback(stage: Stage) -> None:
    page = stage.open(mount("okand") + stage.script)
    assert await_told(page, "error")["code"] == "unknown-form"
    expect(page.get_by_text("Ring 08-123")).to_be_visible()
    assert page.evaluate("called.map(([name]) => name)") == ["onFormSubmitError"]


def test_a_gateway_that_is_away_leaves_the_fallback(stage: Stage, tmp_path: Path) -> None:
    with serve_gateway(tmp_path, FORMS.format(host=stage.host.origin)) as (name, port):
        base = f"http://{name}:{port}"
        page = stage.open(
            f'<p style="height:9000px">Långt ovanför</p>{mount()}<script async src="{base}/embed/v1.js"></script>'
        )
        page.wait_for_function("document.querySelector('iframe')")
    with page.expect_console_message(lambda said: "Leadgate" in said.text, timeout=20_000) as said:
        page.locator("#kontakt").scroll_into_view_if_needed()
    assert said.value.text == f"Leadgate: {base} cannot be reached"
    assert await_told(page, "error")["code"] == "unreachable"
    expect(page.get_by_text("Ring 08-123")).to_be_visible()
    expect(page.locator("iframe")).to_be_hidden()


# --- what the page learns


def test_events_and_callbacks_come_in_their_order(stage: Stage) -> None:
    page = stage.open(mount() + stage.script)
    form = framed(page)
    await_heard(page)
    form.locator("button[type=submit]").click()
    await_told(page, "validation-failed")
    send(form, "Ordningen")
    await_told(page, "submit")
    assert page.evaluate("told.map(([name]) => name)") == [
        "ready",
        "validation-failed",
        "started",
        "sending",
        "submit",
    ]
    assert page.evaluate("called.map(([name, id]) => name + ' ' + id)") == [
        "onFormReady kontakt",
        "onBeforeFormSubmit kontakt",
        "onFormSubmit kontakt",
        "onFormSubmitted kontakt",
    ]


def test_what_the_page_throws_stops_no_form_and_is_told_in_the_console(stage: Stage) -> None:
    fail = """<script>
      for (const name of ["onFormReady", "onBeforeFormSubmit", "onFormSubmit", "onFormSubmitted", "gtag"])
        window[name] = () => { throw Error("fel i " + name) };
    </script>"""
    page = stage.context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(error.message))
    page.goto(stage.host.show(LISTEN + fail + mount(attributes="data-leadgate-gtag") + stage.script))
    send(framed(page), "Kastat")
    await_told(page, "submit")
    # Longer than a form that has not been heard is waited for.
    page.wait_for_timeout(3500)
    expect(page.locator("iframe")).to_be_visible()
    expect(page.get_by_text("Ring 08-123")).to_be_hidden()
    for name in ("onFormReady", "onBeforeFormSubmit", "onFormSubmit", "onFormSubmitted", "gtag"):
        assert f"fel i {name}" in thrown


def test_what_bears_a_callbacks_name_and_is_no_function_is_ignored(stage: Stage) -> None:
    names = ["onFormReady", "onFormSubmit", "dataLayer"]
    clobber = "".join(f'<i id="{name}"></i>' for name in names)
    clear = "<script>" + "".join(f"delete window.{name};" for name in names) + "</script>"
    page = stage.context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(error.message))
    page.goto(stage.host.show(LISTEN + clear + clobber + mount() + stage.script))
    send(framed(page), "Inga funktioner")
    await_told(page, "submit")
    assert not thrown


def test_tag_manager_hears_of_a_lead_once(stage: Stage) -> None:
    page = stage.open(mount() + stage.script)
    form = framed(page)
    await_heard(page)
    send(form, "En gång")
    lead_id = await_told(page, "submit")["id"]
    # The form has said it, then its thanks; now the thanks once more.
    submits = "heard.filter(said => said.type === 'form-submit').length"
    page.wait_for_function(f"{submits} >= 2")
    form.locator("html").evaluate("() => location.reload()")
    page.wait_for_function(f"{submits} >= 3")
    lead = {
        "event": "generate_lead",
        "form_id": "kontakt",
        "submission_id": lead_id,
        "lead_source": "website",
    }
    assert page.evaluate("dataLayer") == [lead]
    assert page.evaluate("told.filter(([name]) => name === 'submit').length") == 1


def test_another_layer_a_value_and_a_source(stage: Stage) -> None:
    attributes = (
        'data-leadgate-datalayer="lager" data-leadgate-value="1500" data-leadgate-lead-source="annons"'
    )
    page = stage.open(mount(attributes=attributes) + stage.script)
    await_heard(page)
    send(framed(page), "Värdet")
    await_told(page, "submit")
    [lead] = page.evaluate("lager")
    assert (lead["value"], lead["currency"], lead["lead_source"]) == (1500, "SEK", "annons")
    assert page.evaluate("window.dataLayer") is None


def test_a_page_with_gtag_alone_hears_by_gtag(stage: Stage) -> None:
    gtag = "<script>window.tags = []; window.gtag = (...said) => tags.push(said)</script>"
    page = stage.open(gtag + mount(attributes="data-leadgate-gtag") + stage.script)
    await_heard(page)
    send(framed(page), "Taggen")
    lead_id = await_told(page, "submit")["id"]
    lead = {"form_id": "kontakt", "submission_id": lead_id, "lead_source": "website"}
    assert page.evaluate("tags") == [["event", "generate_lead", lead]]
    assert page.evaluate("window.dataLayer") is None


@pytest.mark.parametrize(("form", "attributes"), [("kontakt", 'data-leadgate-datalayer="off"'), ("prov", "")])
def test_no_conversion_where_it_is_not_wanted_or_none(stage: Stage, form: str, attributes: str) -> None:
    """A lead in quarantine, as every test's is, would mistrain bidding."""
    page = stage.open(mount(form, attributes) + stage.script)
    await_heard(page, form)
    send(framed(page, form), f"Ingen konvertering {form}")
    await_told(page, "submit")
    assert page.evaluate("window.dataLayer") is None
    assert "onFormSubmitted" in page.evaluate("called.map(([name]) => name)")


def test_a_suspect_s_lead_is_thanked_for_and_no_conversion(stage: Stage) -> None:
    page = stage.open(mount() + stage.script)
    await_heard(page)
    framed(page).locator(f"[name={HONEYPOT}]").evaluate("input => (input.value = 'Acme')")
    send(framed(page), "Honungsburken")
    assert await_told(page, "submit")["conversion"] is False
    assert page.evaluate("window.dataLayer") is None


def test_pressing_twice_and_going_back_is_one_lead(stage: Stage) -> None:
    page = stage.open(mount() + stage.script)
    await_heard(page)
    form = framed(page)
    fill_in(form, "Två tryck i ramen")
    form.locator("button[type=submit]").dblclick()
    form.locator("dl.reference").wait_for()
    newest = stage.newest().id
    page.evaluate("history.back()")
    expect(form.get_by_label("Förnamn")).to_be_visible()
    assert page.url.startswith(stage.host.origin)
    assert [one["submission_id"] for one in page.evaluate("dataLayer")] == [newest]
    assert stage.newest().id == newest


# --- consent


def test_nothing_is_kept_in_the_browser_without_consent(stage: Stage) -> None:
    page = stage.open(mount() + stage.script, "?utm_source=google")
    await_heard(page)
    send(framed(page), "Utan samtycke")
    await_told(page, "submit")
    assert page.evaluate("sessionStorage.length + localStorage.length") == 0
    assert stage.context.cookies() == []


def test_with_consent_the_first_touch_is_remembered_until_it_is_revoked(stage: Stage) -> None:
    page = stage.open(stage.script, "?utm_source=google&utm_medium=cpc", "/landning")
    page.wait_for_function("window.leadgate")
    page.evaluate("leadgate.consent({analytics: true})")
    page.goto(stage.host.show(LISTEN + mount() + stage.script, "/kontakt") + "?utm_source=nyhetsbrev")
    await_heard(page)
    form = framed(page)
    await_input(form, "utm_source", "nyhetsbrev")
    assert form.locator("[name^=first_]").count() == 0
    # Late, as a banner's answer is.
    page.evaluate("leadgate.consent({analytics: true})")
    await_input(form, "first_utm_source", "google")
    await_input(form, "first_utm_medium", "cpc")
    page.evaluate("leadgate.consent({analytics: false})")
    expect(form.locator("[name^=first_]")).to_have_count(0)
    assert page.evaluate("sessionStorage.length") == 0
    await_input(form, "utm_source", "nyhetsbrev")
    page.evaluate("leadgate.consent({analytics: true})")
    await_input(form, "first_utm_source", "nyhetsbrev")
    send(form, "Första kontakten")
    await_told(page, "submit")
    tags = tags_of(stage.newest())
    assert tags["utm_source"] == tags["first_utm_source"] == "nyhetsbrev"


def test_consent_that_is_taken_back_reaches_a_lead_that_waits_for_the_network(stage: Stage) -> None:
    early = "<script>leadgate = {given: {analytics: true}}</script>"
    page = stage.open(early + mount() + of_this_site(stage), "?utm_source=google")
    await_heard(page)
    form = framed(page)
    await_input(form, "first_utm_source", "google")
    page.route("**/f/kontakt", refuse)
    fill_in(form, "Återkallat")
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("status")).to_contain_text("Vi får inget svar")
    page.evaluate("leadgate.consent({analytics: false})")
    expect(form.locator("[name^=first_]")).to_have_count(0)
    assert "first_" not in form.locator("html").evaluate("() => JSON.stringify({...sessionStorage})")
    page.unroute("**/f/kontakt", refuse)
    form.locator("html").evaluate("() => dispatchEvent(new Event('online'))")
    await_told(page, "submit")
    assert tags_of(stage.newest()) == {"utm_source": "google"}


def test_with_consent_a_remembered_campaign_that_goes_leaves_a_lead_that_waits(stage: Stage) -> None:
    early = "<script>leadgate = {given: {analytics: true}}</script>"
    page = stage.open(early + stage.script, "?utm_source=brev&utm_medium=post", "/landning")
    page.wait_for_function("sessionStorage.leadgate")
    page.goto(stage.host.show(LISTEN + early + mount() + of_this_site(stage), "/kontakt"))
    form = framed(page)
    await_input(form, "utm_source", "brev")
    page.route("**/f/kontakt", refuse)
    fill_in(form, "Återkallat sista")
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("status")).to_contain_text("Vi får inget svar")
    page.evaluate("leadgate.consent({analytics: false})")
    expect(form.locator("[name^=utm_]")).to_have_count(0)
    assert "utm_" not in form.locator("html").evaluate("() => JSON.stringify({...sessionStorage})")
    page.unroute("**/f/kontakt", refuse)
    form.locator("html").evaluate("() => dispatchEvent(new Event('online'))")
    await_told(page, "submit")
    assert tags_of(stage.newest()) == {}


def test_a_lead_that_is_sent_by_the_next_page_tells_no_first_touch(stage: Stage) -> None:
    """That page may have been told that consent is taken back, before its form could hear of it."""
    early = "<script>leadgate = {given: {analytics: %s}}</script>"
    page = stage.open(early % "true" + mount() + of_this_site(stage), "?utm_source=google")
    form = framed(page)
    await_input(form, "first_utm_source", "google")
    page.route("**/f/kontakt", refuse)
    fill_in(form, "Nästa sida")
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("status")).to_contain_text("Vi får inget svar")
    page.unroute("**/f/kontakt", refuse)
    page.goto(stage.host.show(LISTEN + early % "false" + mount() + of_this_site(stage), "/sedan"))
    await_told(page, "submit")
    assert tags_of(stage.newest()) == {"utm_source": "google"}


def test_consent_may_be_given_before_the_script_has_come(stage: Stage) -> None:
    early = """<script>
      window.leadgate = window.leadgate || { consent: function (given) { this.given = given } };
      leadgate.consent({ analytics: true });
    </script>"""
    page = stage.open(early + mount() + stage.script, "?utm_source=google")
    await_heard(page)
    await_input(framed(page), "first_utm_source", "google")
    page.goto(stage.host.show(LISTEN + early + mount() + stage.script, "/sedan"))
    await_heard(page)
    await_input(framed(page), "utm_source", "google")


def test_a_site_that_has_asked_already_says_so_in_an_attribute(stage: Stage) -> None:
    remember = 'data-leadgate-remember="session"'
    page = stage.open(mount(attributes=remember) + stage.script, "?utm_source=google")
    await_heard(page)
    await_input(framed(page), "first_utm_source", "google")


# --- after the lead


def test_of_two_frames_of_one_form_each_keeps_its_own(stage: Stage) -> None:
    first = mount("objekt", 'data-leadgate-field-object-reference="TV-1"')
    second = mount("objekt", 'data-leadgate-field-object-reference="TV-2"').replace(
        'id="objekt"', 'id="andra"'
    )
    page = stage.open(first + second + of_this_site(stage))
    for place in ("objekt", "andra"):
        page.locator(f"#{place}").scroll_into_view_if_needed()
        framed(page, place).get_by_label("Förnamn").wait_for()
    page.route("**/f/objekt", refuse)
    form = framed(page, "andra")
    for name, value in {"firstName": "Anna", "lastName": "Ek", "email": "a@example.com"}.items():
        form.locator(f"[name={name}]").fill(value)
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("status")).to_contain_text("Vi får inget svar")
    page.unroute("**/f/objekt", refuse)
    page.reload()
    page.locator("#andra").scroll_into_view_if_needed()
    await_told(page, "submit")
    assert page.evaluate("told.filter(([name]) => name === 'submit').map(([, id]) => id)") == ["andra"]
    form.locator("dl.reference").wait_for()
    expect(framed(page, "objekt").get_by_label("Förnamn")).to_have_value("")
    assert {answer.name: answer.value for answer in stage.newest().answers} == {"objectReference": "TV-2"}


def test_of_frames_that_come_and_go_each_keeps_its_own(stage: Stage) -> None:
    second = mount().replace('id="kontakt"', 'id="andra"')
    page = stage.open(mount() + second + of_this_site(stage))
    page.locator("#andra").scroll_into_view_if_needed()
    form = framed(page, "andra")
    form.get_by_label("Förnamn").wait_for()
    page.route("**/f/kontakt", refuse)
    fill_in(form, "Den andra ramens")
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("status")).to_contain_text("Vi får inget svar")
    page.evaluate("html => { kontakt.remove(); andra.insertAdjacentHTML('beforebegin', html) }", mount())
    framed(page).get_by_label("Förnamn").wait_for()
    expect(framed(page).get_by_role("status")).to_have_text("")
    expect(framed(page).get_by_label("Meddelande")).to_have_value("")
    # One that comes back finds what it has kept.
    page.evaluate("window.kept = andra; andra.remove()")
    page.wait_for_function("document.querySelectorAll('iframe').length === 1")
    page.evaluate("kontakt.after(kept)")
    page.locator("#andra").scroll_into_view_if_needed()
    expect(framed(page, "andra").get_by_label("Meddelande")).to_have_value("Den andra ramens")


def test_a_redirect_leaves_the_frame(stage: Stage) -> None:
    page = stage.open(mount("tillbaka") + stage.script)
    stage.host.show("<h1>Tack från byrån</h1>", "/tack")
    await_heard(page, "tillbaka")
    form = framed(page, "tillbaka")
    fill_in(form, "Vidare")
    form.locator("button[type=submit]").click()
    page.wait_for_url(f"{stage.host.origin}/tack?form=1")
    expect(page.get_by_role("heading")).to_have_text("Tack från byrån")


def test_a_redirect_to_a_place_on_the_same_page_ends_with_the_thanks(stage: Stage) -> None:
    page = stage.open(mount("samma") + stage.script + '<p id="tack">Tack</p>', path="/samma")
    await_heard(page, "samma")
    send(framed(page, "samma"), "Samma sida")
    assert page.url == f"{stage.host.origin}/samma#tack"
    assert page.evaluate("told.filter(([name]) => name === 'submit').length") == 1


def test_who_has_gone_to_another_place_on_the_page_is_left_there(stage: Stage) -> None:
    below = '<p style="height: 3000px">Text</p><section id="tack" style="height: 1500px"><input id="fraga"></section>'
    page = stage.open(mount("samma") + stage.script + below, path="/samma")
    await_heard(page, "samma")
    form = framed(page, "samma")
    fill_in(form, "Längre ner")
    form.locator("button[type=submit]").click()
    page.wait_for_url(f"{stage.host.origin}/samma#tack")
    page.locator("#fraga").focus()
    where = "[fraga.getBoundingClientRect().top, document.activeElement.id]"
    before = page.evaluate(where)
    form.locator("dl.reference").wait_for()
    page.wait_for_function("heard.filter(said => said.type === 'form-ready').length === 2")
    assert page.evaluate(where) == before
    assert page.evaluate("heard.filter(said => said.type === 'form-submit').length") == 1


def test_only_the_address_of_the_form_is_gone_to(stage: Stage) -> None:
    page = stage.open(mount("tillbaka") + stage.script)
    await_heard(page, "tillbaka")
    accept = """(form, redirect) => form.dispatchEvent(new CustomEvent("leadgate:accepted", {bubbles: true,
      cancelable: true, detail: {id: "1", reference: "R", redirect, conversion: false}}))"""
    form = framed(page, "tillbaka").locator("form")
    # What is not prevented is the page's own script's to do, within the frame.
    assert form.evaluate(accept, "https://evil.example/")
    assert form.evaluate(accept, "javascript:alert(1)")
    assert not form.evaluate(accept, f"{stage.host.origin}/tack?form=1")
    stage.host.show("<h1>Tack</h1>", "/tack")
    page.wait_for_url(f"{stage.host.origin}/tack?form=1")


def test_a_kiosk_begins_anew_and_keeps_nothing(stage: Stage) -> None:
    page = stage.open(
        mount(attributes='data-leadgate-kiosk="1" data-leadgate-remember="session"') + stage.script,
        "?utm_source=google",
    )
    await_heard(page)
    form = framed(page)
    assert form.locator("input:not([type=hidden], [autocomplete=off])").count() == 0
    form.get_by_label("Förnamn").fill("Bortglömd")
    expect(form.get_by_label("Förnamn")).to_have_value("")
    send(form, "Kiosken")
    expect(form.get_by_label("Förnamn")).to_have_value("")
    assert page.evaluate("sessionStorage.length") == 0


def test_a_kiosk_outlives_a_network_that_comes_and_goes(stage: Stage) -> None:
    page = stage.open(mount(attributes='data-leadgate-kiosk="1"') + stage.script)
    await_heard(page)
    form = framed(page)
    form.get_by_label("Förnamn").fill("Bortglömd")
    stage.context.set_offline(True)
    expect(form.get_by_label("Förnamn")).to_have_value("")
    stage.context.set_offline(False)
    form.locator("html").evaluate("root => (root.id = 'old')")
    expect(form.locator("html:not(#old) form")).to_be_visible()


def test_a_kiosk_waits_for_a_lead_that_waits_for_the_network(stage: Stage) -> None:
    page = stage.open(mount(attributes='data-leadgate-kiosk="1"') + stage.script)
    await_heard(page)
    form = framed(page)
    page.route("**/f/kontakt", refuse)
    fill_in(form, "Väntar i kiosken")
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("status")).to_contain_text("Vi får inget svar")
    # The gateway is away only for leads: the kiosk could begin anew.
    page.wait_for_timeout(2500)
    expect(form.get_by_label("Meddelande")).to_have_value("Väntar i kiosken")
    page.unroute("**/f/kontakt", refuse)
    await_told(page, "submit")
    expect(form.get_by_label("Förnamn")).to_have_value("")
    assert stage.newest().message == "Väntar i kiosken"


def test_the_next_visitor_of_a_kiosk_meets_nothing_of_the_former(stage: Stage) -> None:
    page = stage.open(mount(attributes='data-leadgate-kiosk="60"') + stage.script)
    await_heard(page)
    form = framed(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/f/kontakt", hold)
    title = form.locator("html").evaluate("() => document.title")
    # An answer that comes when its visitor has gone.
    fill_in(form, "Den förra")
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("status")).to_have_text("Skickar …")
    form.locator("form").evaluate("form => form.reset()")
    expect(form.get_by_role("status")).to_have_text("")
    form.get_by_label("Förnamn").fill("Bo")
    with page.expect_response("**/f/kontakt"):
        held.pop().continue_()
    page.wait_for_timeout(500)
    expect(form.get_by_label("Förnamn")).to_have_value("Bo")
    # A lead that waits, and what is wrong.
    page.unroute("**/f/kontakt", hold)
    page.route("**/f/kontakt", refuse)
    fill_in(form, "Den andra")
    form.locator("button[type=submit]").click()
    expect(form.get_by_role("status")).to_contain_text("Vi får inget svar")
    form.locator("form").evaluate("form => form.reset()")
    form.get_by_label("Förnamn").fill("Cilla")
    expect(form.get_by_role("status")).to_have_text("")
    form.locator("button[type=submit]").click()
    expect(form.locator(".summary")).to_be_visible()
    form.locator("form").evaluate("form => form.reset()")
    expect(form.locator(".summary, .error, [aria-invalid]")).to_have_count(0)
    assert form.locator("html").evaluate("() => document.title") == title


def test_without_javascript_the_link_leads_to_the_form_and_the_campaign_with_it(
    browser: Browser, stage: Stage
) -> None:
    context = browser.new_context(java_script_enabled=False, locale="sv-SE")
    page = context.new_page()
    link = f'<noscript><a href="{stage.base}/f/kontakt?utm_source=tidning">Kontakta oss</a></noscript>'
    page.goto(stage.host.show(mount() + stage.script + link))
    expect(page.get_by_text("Ring 08-123")).to_be_visible()
    page.get_by_role("link", name="Kontakta oss").click()
    page.get_by_label("Förnamn").fill("Anna")
    page.get_by_label("Efternamn").fill("Bergström")
    page.get_by_role("textbox", name="E-post").fill("anna@example.com")
    page.get_by_label("Meddelande").fill("Utan skript")
    page.locator("button[type=submit]").click()
    page.locator("dl.reference").wait_for()
    context.close()
    assert tags_of(stage.newest())["utm_source"] == "tidning"


# --- what it weighs


def test_the_framed_document_is_light_and_asks_nobody_else(stage: Stage) -> None:
    page = stage.context.new_page()
    answers: list[tuple[str, int]] = []
    page.on("requestfinished", lambda request: answers.append((request.url, weigh(request.response()))))
    page.goto(stage.host.show(LISTEN + mount() + stage.script))
    await_heard(page)
    page.wait_for_load_state("networkidle")
    framed_too = [(url, size) for url, size in answers if url.startswith(stage.base) and "/embed/" not in url]
    assert {url.partition("?")[0].removeprefix(stage.base) for url, _ in framed_too} >= {
        "/f/kontakt",
        "/static/leadgate.css",
        "/static/frame.js",
    }
    assert sum(size for _, size in framed_too) <= 15_000
    assert all(url.startswith((stage.base, stage.host.origin)) for url, _ in answers)


def weigh(response: Any) -> int:
    return len(gzip.compress(response.body()))
