"""A landing page's own form, enhanced in place: in a real browser, on another origin than the gateway's."""

import json
import re

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.stages import LISTEN, Stage, await_told, tags_of

TWO_BOXES = """<fieldset><legend>Om bostaden</legend>
  <label><input type="checkbox" name="objectAddress" value="villa"> Villa</label>
  <label><input type="checkbox" name="objectAddress" value="radhus"> Radhus</label>
</fieldset>"""

OWN = """<form id="egen" data-leadgate-form="{form}" action="{base}/f/{form}" method="post" {attributes}>
  <label>Förnamn <input name="firstName"></label>
  <label>Efternamn <input name="lastName"></label>
  <label>E-post <input name="email"></label>
  <label>Meddelande <textarea name="message"></textarea></label>
  <label><input type="checkbox" name="consents.newsletter" value="ja"> Nyheter</label>
  <input type="hidden" name="kampanjkod" value="h1">
  {more}
  <button>Skicka</button>
</form>"""


def open_own(
    stage: Stage, form: str = "kontakt", query: str = "", attributes: str = "", more: str = ""
) -> Page:
    own = OWN.format(form=form, base=stage.base, attributes=attributes, more=more)
    page = stage.open(own + stage.script, query)
    await_told(page, "ready")
    return page


def fill_in(page: Page, message: str) -> None:
    page.get_by_label("Förnamn").fill("Anna")
    page.get_by_label("Efternamn").fill("Bergström")
    page.get_by_label("E-post").fill("anna@example.com")
    page.get_by_label("Meddelande").fill(message)


def press(page: Page) -> None:
    page.get_by_role("button", name="Skicka").click()


def test_a_pages_own_form_is_sent_as_json_and_thanked_for_in_place(stage: Stage) -> None:
    page = open_own(stage, query="?utm_source=google&token=hemlig")
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 - it marks what it is given
    fill_in(page, "Eget formulär")
    page.get_by_label("Nyheter").check()
    press(page)
    detail = await_told(page, "submit")
    thanks = page.locator(".leadgate-thanks")
    expect(thanks).to_contain_text(detail["reference"])
    expect(thanks).to_be_focused()
    expect(page.locator("#egen")).to_be_hidden()
    lead = stage.newest()
    assert lead.message == "Eget formulär"
    assert [consent.given for consent in lead.consents] == [True]
    assert lead.page_url == f"{stage.host.origin}/?utm_source=google"
    assert tags_of(lead) == {"utm_source": "google"}
    [lead_event] = page.evaluate("dataLayer")
    assert (lead_event["event"], lead_event["submission_id"]) == ("generate_lead", lead.id)
    posted = [request for request in requests if request.method == "POST"]
    # A field that the form does not have is refused by the API: it is left out, and nobody bothered.
    assert len(posted) == 2
    assert len({request.headers["idempotency-key"] for request in posted}) == 1
    assert "kampanjkod" not in json.loads(posted[-1].post_data or "")


@pytest.mark.parametrize("name", ["hur många", "vem/varför~", "your.name[0]", "consents.other"])
def test_a_field_that_the_form_does_not_have_is_left_out_whatever_its_name(stage: Stage, name: str) -> None:
    page = open_own(stage, more=f'<input name="{name}" value="x">')
    posted: list[Request] = []
    page.on("request", lambda request: posted.append(request) if request.method == "POST" else None)
    fill_in(page, f"Okänt fält {name}")
    press(page)
    await_told(page, "submit")
    assert len(posted) == 2


def test_what_is_refused_again_and_again_is_told_and_not_sent_again(stage: Stage) -> None:
    page = open_own(stage)
    posted: list[Request] = []

    def refuse(route: Route) -> None:
        posted.append(route.request)
        error = {"pointer": "#/kampanjkod", "code": "unknown_field", "detail": "Okänt."}
        allow = {"Access-Control-Allow-Origin": stage.host.origin}
        route.fulfill(status=422, headers=allow, json={"errors": [error]})

    page.route("**/leads", refuse)
    fill_in(page, "Aldrig rätt")
    press(page)
    await_told(page, "validation-failed")
    expect(page.locator("#egen [role=status]")).to_contain_text("Okänt.")
    assert len(posted) == 2


def test_a_pages_own_form_tells_which_home_it_shows(stage: Stage) -> None:
    attributes = 'data-leadgate-field-objectReference="TV-1" data-leadgate-field-object-address="Brygga 4"'
    page = open_own(stage, "objekt", attributes=attributes)
    expect(page.locator("#egen > [name=objectReference]")).to_have_value("TV-1")
    page.evaluate("egen.setAttribute('data-leadgate-field-objectreference', 'TV-2')")
    expect(page.locator("#egen > [name=objectReference]")).to_have_value("TV-2")
    fill_in(page, "Visning")
    press(page)
    await_told(page, "submit")
    answers = {answer.name: answer.value for answer in stage.newest().answers}
    assert answers == {"objectReference": "TV-2", "objectAddress": "Brygga 4"}


def test_a_form_that_is_moved_tells_of_its_new_home_alone(stage: Stage) -> None:
    attributes = 'data-leadgate-field-object-reference="TV-1" data-leadgate-receiver="anna"'
    page = open_own(stage, "objekt", attributes=attributes)
    expect(page.locator("#egen > [name=objectReference]")).to_have_value("TV-1")
    page.evaluate("window.form = egen; egen.remove()")
    expect(page.locator("#egen")).to_have_count(0)
    page.evaluate("""() => {
      form.dataset.leadgateFieldObjectReference = "TV-2";
      delete form.dataset.leadgateReceiver;
      history.pushState({}, "", "/hem-2");
      document.body.append(form);
    }""")
    await_told(page, "ready", 2)
    expect(page.locator("#egen > [role=status]")).to_have_count(1)
    fill_in(page, "Hem två")
    press(page)
    await_told(page, "submit")
    lead = stage.newest()
    assert {answer.name: answer.value for answer in lead.answers} == {"objectReference": "TV-2"}
    assert lead.page_url == f"{stage.host.origin}/hem-2"
    assert lead.receiver is None


def test_a_copy_of_a_form_takes_what_was_written_into_it_for_nobody_s(stage: Stage) -> None:
    """As a page that was kept by a framework that shows it again."""
    page = open_own(stage, "objekt", attributes='data-leadgate-field-object-reference="TV-1"')
    expect(page.locator("#egen > [name=objectReference]")).to_have_value("TV-1")
    page.evaluate("""() => {
      const copy = egen.cloneNode(true);
      copy.dataset.leadgateFieldObjectReference = "TV-2";
      egen.replaceWith(copy);
    }""")
    await_told(page, "ready", 2)
    expect(page.locator("#egen > [name=objectReference]")).to_have_value("TV-2")
    expect(page.locator("#egen > [role=status]")).to_have_count(1)


def test_an_element_that_becomes_another_form_is_posted_to_that(stage: Stage) -> None:
    own = OWN.format(form="objekt", base=stage.base, attributes="", more="")
    page = stage.open(own.replace(f'action="{stage.base}/f/objekt"', "") + stage.script)
    expect(page.locator("#egen")).to_have_attribute("action", f"{stage.base}/f/objekt")
    page.evaluate("egen.dataset.leadgateForm = 'kontakt'")
    expect(page.locator("#egen")).to_have_attribute("action", f"{stage.base}/f/kontakt")


def test_a_form_that_has_become_another_tells_it_once(stage: Stage) -> None:
    page = open_own(stage)
    page.evaluate("egen.dataset.leadgateForm = 'objekt'")
    await_told(page, "ready", 2)
    page.get_by_label("Förnamn").fill("Anna")
    page.wait_for_function("told.some(([name]) => name === 'started')")
    assert page.evaluate("told.filter(([name]) => name === 'started').map(([, , said]) => said.formId)") == [
        "objekt"
    ]


def test_a_copy_of_a_form_is_not_told_what_was_wrong_in_the_original(stage: Stage) -> None:
    page = open_own(stage, more='<p data-leadgate-error="email" id="fel"></p>')
    press(page)
    await_told(page, "validation-failed")
    expect(page.locator("#egen .leadgate-error")).not_to_have_count(0)
    page.evaluate("egen.replaceWith(egen.cloneNode(true))")
    await_told(page, "ready", 2)
    expect(page.locator("#egen [aria-invalid]")).to_have_count(0)
    assert page.locator("#egen .leadgate-error").all_inner_texts() == [""]
    fill_in(page, "Kopian")
    press(page)
    await_told(page, "submit")


def test_a_lead_has_the_language_of_the_notice_that_was_shown(stage: Stage) -> None:
    page = open_own(stage, attributes='data-leadgate-lang="sv"', more="<div data-leadgate-notice></div>")
    expect(page.locator("[data-leadgate-notice]")).to_contain_text("Byrån")
    page.evaluate("egen.dataset.leadgateLang = 'en'; leadgate.consent({})")
    fill_in(page, "Språkbyte")
    press(page)
    await_told(page, "submit")
    assert stage.newest().language == "sv"


def test_a_language_is_known_however_it_is_written(stage: Stage) -> None:
    page = open_own(stage, attributes='data-leadgate-lang="EN"')
    press(page)
    await_told(page, "validation-failed")
    expect(page.locator("#egen [role=status]")).to_contain_text("need to be corrected")


def test_a_disabled_box_gives_no_consent(stage: Stage) -> None:
    page = open_own(stage)
    page.get_by_label("Nyheter").check()
    page.evaluate("""() => {
      const group = document.createElement("fieldset");
      group.disabled = true;
      group.append(document.querySelector("[name='consents.newsletter']").parentNode);
      egen.append(group);
    }""")
    fill_in(page, "Avstängd ruta")
    press(page)
    await_told(page, "submit")
    assert not [consent for consent in stage.newest().consents if consent.given]


def test_of_two_boxes_for_a_field_of_text_the_ticked_one_s_value_is_sent(stage: Stage) -> None:
    page = open_own(stage, "objekt", more=TWO_BOXES)
    fill_in(page, "Två rutor")
    page.get_by_label("Villa").check()
    press(page)
    await_told(page, "submit")
    assert {answer.name: answer.value for answer in stage.newest().answers} == {"objectAddress": "villa"}


def test_the_notice_stays_known_when_consent_comes_late(stage: Stage) -> None:
    page = open_own(stage, more="<div data-leadgate-notice></div>")
    expect(page.locator("[data-leadgate-notice]")).to_contain_text("Byrån")
    page.evaluate("leadgate.consent({analytics: true})")
    fill_in(page, "Sent samtycke")
    press(page)
    await_told(page, "submit")
    notice = stage.newest().notice
    assert notice
    assert notice.shown_at


@pytest.mark.parametrize(
    ("form", "cause"), [("ensam", "allowed_origins = "), ("saknas", "there is no form 'saknas'")]
)
def test_the_console_names_why_a_pages_own_form_cannot_ask(stage: Stage, form: str, cause: str) -> None:
    page = stage.open(OWN.format(form=form, base=stage.base, attributes="", more="") + stage.script)
    await_told(page, "ready")
    with page.expect_console_message(lambda said: said.text.startswith("Leadgate: ")) as said:
        page.get_by_label("Förnamn").fill("A")
    assert cause in said.value.text


def test_what_is_wrong_is_told_beside_the_fields(stage: Stage) -> None:
    page = open_own(stage)
    page.get_by_label("Förnamn").fill("Anna")
    page.get_by_label("E-post").fill("anna@")
    press(page)
    assert await_told(page, "validation-failed")["count"] == 2
    name, email = page.locator("[name=lastName]"), page.locator("[name=email]")
    for control in (name, email):
        expect(control).to_have_attribute("aria-invalid", "true")
        told = page.locator(f"#{control.get_attribute('aria-describedby')}")
        expect(told).to_have_class(re.compile(r"\bleadgate-error\b"))
    expect(page.get_by_text("Kontrollera e-postadressen.")).to_be_visible()
    expect(page.locator("#egen [role=status]")).to_have_text("2 saker behöver rättas.")
    expect(name).to_be_focused()
    name.fill("Bergström")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    email.fill("anna@example.com")
    press(page)
    await_told(page, "submit")
    assert page.evaluate("told.map(([name]) => name)") == [
        "ready",
        "started",
        "sending",
        "validation-failed",
        "sending",
        "submit",
    ]


def test_what_is_wrong_does_not_become_part_of_a_field_s_name(stage: Stage) -> None:
    page = open_own(stage, attributes='data-leadgate-lang="en"', more='<input name="villkor" required>')
    press(page)
    await_told(page, "validation-failed")
    expect(page.locator("[name=villkor] + .leadgate-error")).to_have_attribute("lang", "sv-SE")
    page.get_by_role("textbox").last.fill("ja")
    press(page)
    await_told(page, "validation-failed", 2)
    first = page.get_by_role("textbox", name="Förnamn", exact=True)
    expect(first).to_have_accessible_description(re.compile("."))
    expect(page.locator("label + .leadgate-error").first).to_have_attribute("lang", "en")


def test_a_form_that_is_emptied_is_no_longer_told_what_was_wrong(stage: Stage) -> None:
    page = open_own(stage)
    press(page)
    await_told(page, "validation-failed")
    expect(page.locator(".leadgate-error").first).to_be_visible()
    page.evaluate("egen.reset()")
    expect(page.locator(".leadgate-error, [aria-invalid]")).to_have_count(0)


def test_a_missing_address_is_told_where_the_page_asks_for_a_phone(stage: Stage) -> None:
    own = """<form id="egen" data-leadgate-form="kontakt"><input name="name" value="Anna Ek"><input name="phone">
      <button>Skicka</button></form>"""
    page = stage.open(own + stage.script)
    await_told(page, "ready")
    press(page)
    await_told(page, "validation-failed")
    expect(page.locator("[name=phone]")).to_be_focused()
    expect(page.locator("[name=phone]")).to_have_attribute("aria-invalid", "true")


def test_a_required_box_with_a_hidden_twin_is_required(stage: Stage) -> None:
    twins = '<input type="hidden" name="villkor" value="0"><input type="checkbox" name="villkor" required>'
    page = open_own(stage, more=twins)
    fill_in(page, "Tvillingar")
    press(page)
    assert await_told(page, "validation-failed")["count"] == 1
    expect(page.locator("[name=villkor][type=checkbox]")).to_be_focused()


def test_the_second_of_two_boxes_may_be_the_required_one(stage: Stage) -> None:
    page = open_own(stage, "objekt", more=TWO_BOXES.replace('"radhus"', '"radhus" required'))
    fill_in(page, "Andra rutan")
    press(page)
    assert await_told(page, "validation-failed")["count"] == 1
    expect(page.get_by_label("Radhus")).to_be_focused()


def test_what_the_page_itself_requires_stays_required(stage: Stage) -> None:
    more = (
        '<label><input type="checkbox" name="villkor" required> Villkor</label>'
        '<label>Telefon <input name="phone" pattern="[0-9]{10}"></label>'
        '<fieldset><input type="radio" name="val" value="a" required><input type="radio" name="val" value="b">'
        '</fieldset><input name="stilla" required disabled>'
    )
    page = open_own(stage, more=more)
    posted: list[Request] = []
    page.on("request", lambda request: posted.append(request) if request.method == "POST" else None)
    fill_in(page, "Sidans egna krav")
    page.get_by_label("Telefon").fill("070")
    press(page)
    assert await_told(page, "validation-failed")["count"] == 3
    for name in ("villkor", "phone"):
        control = page.locator(f"[name={name}]")
        told = page.locator(f"#{control.get_attribute('aria-describedby')}")
        expect(told).to_have_text(control.evaluate("control => control.validationMessage"))
    expect(page.locator("fieldset .leadgate-error")).to_have_count(1)
    expect(page.locator("[name=villkor]")).to_be_focused()
    assert not posted
    page.get_by_label("Villkor").check()
    page.get_by_label("Telefon").fill("0701740605")
    page.locator("[value=b]").check()
    press(page)
    await_told(page, "submit")
    assert page.evaluate("told.filter(([name]) => name === 'sending').length") == 1


def test_a_page_that_checks_by_itself_is_not_checked_for(stage: Stage) -> None:
    page = open_own(stage, attributes="novalidate", more='<input name="kundnummer" required>')
    fill_in(page, "Sidan kontrollerar")
    press(page)
    await_told(page, "submit")


def test_what_the_page_has_stopped_is_not_sent(stage: Stage) -> None:
    own = OWN.format(form="kontakt", base=stage.base, attributes="", more="")
    stop = "<script>egen.addEventListener('submit', event => window.pass || event.preventDefault())</script>"
    page = stage.open(own + stop + stage.script)
    await_told(page, "ready")
    fill_in(page, "Hejdat")
    press(page)
    assert page.evaluate("told.map(([name]) => name)") == ["ready", "started"]
    page.evaluate("window.pass = true")
    press(page)
    await_told(page, "submit")
    assert page.evaluate("told.filter(([name]) => name === 'sending').length") == 1


@pytest.mark.parametrize("name", ["onBeforeFormSubmit", "onFormSubmit", "onFormSubmitted", "gtag"])
def test_what_the_page_throws_stops_no_lead(stage: Stage, name: str) -> None:
    page = open_own(stage, attributes="data-leadgate-gtag")
    page.evaluate(f"() => {{ window.{name} = () => {{ throw Error('fel') }} }}")
    fill_in(page, f"Kastat {name}")
    with page.expect_event("pageerror") as thrown:
        press(page)
    assert thrown.value.message == "fel"
    await_told(page, "submit")
    expect(page.locator(".leadgate-thanks")).to_be_visible()
    assert page.url == f"{stage.host.origin}/"


def test_a_form_s_own_parameters_arrive(stage: Stage) -> None:
    page = open_own(stage, query="?partner_id=7&utm_source=google&token=hemlig")
    fill_in(page, "Egna parametrar")
    press(page)
    await_told(page, "submit")
    lead = stage.newest()
    assert tags_of(lead) == {"partner_id": "7", "utm_source": "google"}
    assert lead.page_url == f"{stage.host.origin}/?partner_id=7&utm_source=google"


def test_a_form_s_own_parameters_arrive_when_nobody_has_typed(stage: Stage) -> None:
    page = open_own(stage, query="?partner_id=7")
    page.evaluate("""() => {
      const values = {firstName: "Anna", lastName: "Bergström", email: "anna@example.com", message: "Ifyllt"};
      for (const name in values) egen.elements[name].value = values[name];
      egen.requestSubmit();
    }""")
    await_told(page, "submit")
    assert tags_of(stage.newest()) == {"partner_id": "7"}


def test_what_changes_after_an_error_arrives(stage: Stage) -> None:
    page = open_own(stage, "objekt", attributes='data-leadgate-field-object-reference="TV-1"')
    page.get_by_label("E-post").fill("anna@")
    press(page)
    await_told(page, "validation-failed")
    page.evaluate("egen.setAttribute('data-leadgate-field-object-reference', 'TV-2')")
    fill_in(page, "Efter felet")
    press(page)
    await_told(page, "submit")
    assert {answer.name: answer.value for answer in stage.newest().answers} == {"objectReference": "TV-2"}


@pytest.mark.parametrize(
    ("around", "told"), [("sv", "Kontrollera e-postadressen."), ("en", "check the email address")]
)
def test_the_server_speaks_the_language_of_the_page(
    browser: Browser, stage: Stage, around: str, told: str
) -> None:
    context = browser.new_context(locale="en-GB" if around == "sv" else "sv-SE")
    page = context.new_page()
    own = OWN.format(form="kontakt", base=stage.base, attributes="", more="")
    page.goto(
        stage.host.show(
            f"<script>document.documentElement.lang = '{around}'</script>" + LISTEN + own + stage.script
        )
    )
    await_told(page, "ready")
    page.get_by_label("E-post").fill("anna@")
    press(page)
    await_told(page, "validation-failed")
    expect(page.locator("#egen")).to_contain_text(told)
    context.close()


def test_two_forms_of_one_name_describe_each_its_own_fields(stage: Stage) -> None:
    own = '<form id="{}" data-leadgate-form="kontakt"><input name="firstName"><button>Skicka</button></form>'
    page = stage.open(own.format("en") + own.format("annan") + stage.script)
    await_told(page, "ready", 2)
    for count, form in enumerate(("en", "annan"), 1):
        page.locator(f"#{form} button").click()
        await_told(page, "validation-failed", count)
        told = page.locator(f"#{form} [name=firstName]").get_attribute("aria-describedby")
        expect(page.locator(f"#{told}")).to_have_count(1)
        expect(page.locator(f"#{form} #{told}")).to_be_visible()


def test_the_page_has_places_of_its_own_for_errors_notice_and_thanks(stage: Stage) -> None:
    page = open_own(
        stage,
        attributes='data-leadgate-lang="en"',
        more='<p data-leadgate-error="email" id="fel"></p><div data-leadgate-notice></div>',
    )
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<div data-leadgate-thanks=\"kontakt\" hidden>"
        "Thanks, <b data-leadgate-reference></b></div>')"
    )
    expect(page.locator("[data-leadgate-notice]")).to_contain_text("Byrån")
    fill_in(page, "Egna platser")
    page.get_by_label("E-post").fill("x")
    press(page)
    expect(page.locator("#fel")).to_contain_text("email")
    page.get_by_label("E-post").fill("anna@example.com")
    press(page)
    reference = await_told(page, "submit")["reference"]
    expect(page.locator("[data-leadgate-thanks]")).to_have_text(f"Thanks, {reference}")
    notice = stage.newest().notice
    assert notice
    assert notice.shown_at


def test_two_forms_of_one_name_thank_each_in_its_own_place(stage: Stage) -> None:
    one = OWN.format(form="kontakt", base=stage.base, attributes="", more="")
    thanks = '<p hidden data-leadgate-thanks="kontakt">Tack</p>'
    two = (
        f"<section>{one.replace('egen', 'forst')}{thanks}</section><section id='sist'>{one}{thanks}</section>"
    )
    page = stage.open(two + stage.script)
    await_told(page, "ready", 2)
    for name, value in {
        "firstName": "Anna",
        "lastName": "Ek",
        "email": "a@example.com",
        "message": "T",
    }.items():
        page.locator(f"#egen [name={name}]").fill(value)
    page.locator("#egen button").click()
    await_told(page, "submit")
    expect(page.locator("#sist [data-leadgate-thanks]")).to_be_visible()
    expect(page.locator("[data-leadgate-thanks]").first).to_be_hidden()


def test_pressing_often_is_one_lead_and_another_text_is_another(stage: Stage) -> None:
    page = open_own(stage)
    fill_in(page, "Många tryck")
    page.evaluate("for (let i = 0; i < 5; i++) egen.requestSubmit()")
    first = await_told(page, "submit")["id"]
    assert page.evaluate("told.filter(([name]) => name === 'sending').length") == 1
    page.evaluate("egen.reset()")
    expect(page.locator("#egen")).to_be_visible()
    expect(page.locator(".leadgate-thanks")).to_have_count(0)
    fill_in(page, "Ett annat ärende")
    press(page)
    assert await_told(page, "submit", 2)["id"] != first


def test_a_test_or_a_suspect_is_no_conversion_here_either(stage: Stage) -> None:
    page = open_own(stage, "prov")
    fill_in(page, "Prov")
    press(page)
    await_told(page, "submit")
    assert page.evaluate("window.dataLayer") is None


def test_the_visitor_goes_on_to_where_the_form_says(stage: Stage) -> None:
    stage.host.show("<h1>Tack</h1>", "/tack")
    page = open_own(stage, "tillbaka")
    fill_in(page, "Vidare")
    press(page)
    page.wait_for_url(f"{stage.host.origin}/tack?form=1")


def test_without_a_network_what_was_typed_stays(stage: Stage) -> None:
    page = open_own(stage)
    fill_in(page, "Utan nät")
    stage.context.set_offline(True)
    press(page)
    expect(page.locator("#egen [role=status]")).to_contain_text("inget svar just nu")
    assert await_told(page, "error")["code"] == "network"
    expect(page.get_by_label("Meddelande")).to_have_value("Utan nät")
    stage.context.set_offline(False)
    press(page)
    await_told(page, "submit")
    assert stage.newest().message == "Utan nät"


def test_a_page_whose_policy_forbids_to_ask_posts_the_form_itself(stage: Stage) -> None:
    """With the context that the script had written into it, and back to the address of the form's configuration."""
    stage.host.show("<h1>Tack</h1>", "/tack")
    stage.host.headers["Content-Security-Policy"] = "connect-src 'none'"
    page = open_own(stage, "tillbaka", query="?utm_source=meta")
    fill_in(page, "Infödd post")
    press(page)
    page.wait_for_url(f"{stage.host.origin}/tack?form=1")
    lead = stage.newest()
    assert lead.message == "Infödd post"
    assert tags_of(lead)["utm_source"] == "meta"


def test_a_gateway_that_explains_nothing_keeps_no_lead_waiting(stage: Stage) -> None:
    page = open_own(stage)
    page.evaluate(
        "() => { const real = AbortSignal.timeout; AbortSignal.timeout = () => real.call(AbortSignal, 900) }"
    )
    hung: list[Route] = []
    page.route("**/forms/kontakt", lambda route: hung.append(route))  # noqa: PLW0108 - as above
    page.route("**/embed/v1/kontakt", lambda route: hung.append(route))  # noqa: PLW0108 - as above
    fill_in(page, "Ingen förklaring")
    press(page)
    await_told(page, "submit")
    assert len(hung) >= 2


def test_where_the_browser_may_not_post_it_either_the_visitor_is_told(stage: Stage) -> None:
    stage.host.headers["Content-Security-Policy"] = "form-action 'self'"
    page = open_own(stage)
    page.route("**/leads", lambda route: route.abort())
    fill_in(page, "Ingen väg ut")
    # Pressing and expecting would wait for the page to be left.
    page.evaluate("egen.requestSubmit()")
    page.wait_for_function("egen.querySelector('[role=status]').textContent.includes('inget svar just nu')")
    assert page.evaluate("egen.elements.message.value") == "Ingen väg ut"


def test_without_the_script_the_browser_posts_it(browser: Browser, stage: Stage) -> None:
    stage.host.show("<h1>Tack</h1>", "/tack")
    context = browser.new_context(java_script_enabled=False, locale="sv-SE")
    page = context.new_page()
    own = OWN.format(form="tillbaka", base=stage.base, attributes="", more="")
    page.goto(stage.host.show(LISTEN + own + stage.script))
    fill_in(page, "Utan skript")
    press(page)
    page.wait_for_url(f"{stage.host.origin}/tack?form=1")
    assert stage.newest().message == "Utan skript"
    context.close()


def test_the_second_script_is_fetched_only_where_it_is_needed(stage: Stage) -> None:
    asked: list[str] = []
    page = stage.context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(stage.host.show(LISTEN + '<div data-leadgate-form="kontakt"></div>' + stage.script))
    await_told(page, "ready")
    assert not [url for url in asked if "/embed/own." in url]
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<form id=sen data-leadgate-form=kontakt></form>')"
    )
    await_told(page, "ready", 2)
    assert len([url for url in asked if "/embed/own." in url]) == 1
