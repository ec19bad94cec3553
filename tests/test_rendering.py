"""The visitor's pages: what is labelled, described, kept, escaped, and what is not there."""

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from random import Random
from secrets import token_urlsafe

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FieldError
from app.forms.model import Consent, Field, FieldType, Form, Mode, Option, Privacy, Text, Theme
from app.i18n import describe_error, get_translations
from app.lead import Destination
from app.resources import STATIC, TEMPLATES
from app.web.compression import Stencil
from app.web.rendering import Renderer, locate_asset

VOID = frozenset({"meta", "link", "input", "img", "br"})
LANGUAGES = ("sv", "en")
RENDERER = Renderer()
HOSTILE = "\"'><script>alert(1)</script>{{ 7 * 7 }}&amp;"


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list["Element"] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def get(self, name: str) -> str | None:
        return self.attributes.get(name)


class Page(HTMLParser):
    """A page's elements, each with its whole text. Fails on a tag that is not closed."""

    def __init__(self, markup: bytes) -> None:
        super().__init__()
        self.markup = markup.decode()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(self.markup)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice on {tag}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        for parent in self._open:
            parent.inside.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = attributes.items()
        return [
            e for e in self.elements if e.tag == tag and all(e.get(name) == value for name, value in wanted)
        ]

    def one(self, tag: str, **attributes: str) -> Element:
        (element,) = self.all(tag, **attributes)
        return element

    def by_id(self, identity: str) -> Element:
        (element,) = [e for e in self.elements if e.get("id") == identity]
        return element

    def control(self, name: str) -> Element:
        return next(e for e in self.elements if e.get("name") == name)

    def described(self, name: str) -> str:
        ids = (self.control(name).get("aria-describedby") or "").split()
        return " ".join(self.by_id(identity).text for identity in ids)


def both(swedish: str, english: str) -> Text:
    return {"sv": swedish, "en": english}


def make_field(name: str, kind: FieldType = FieldType.TEXT, *, required: bool = False) -> Field:
    return Field(
        name=name, type=kind, label=both(f"{name} på svenska", f"{name} in English"), required=required
    )


OPTIONS = (
    Option(value="villa", label=both("Villa", "House")),
    Option(value="radhus", label=both("Radhus", "Terraced house")),
)
EVERY_TYPE = (
    make_field("firstName", required=True),
    make_field("lastName", required=True),
    make_field("email", FieldType.EMAIL),
    make_field("phone", FieldType.TEL),
    make_field("companyName"),
    make_field("corporateNumber"),
    make_field("streetAddress", required=True),
    make_field("zipCode", FieldType.POSTCODE),
    make_field("city"),
    replace(make_field("area", FieldType.NUMBER), help=both("Ungefär.", "Roughly."), max_length=12),
    make_field("rooms", FieldType.NUMBER, required=True),
    replace(make_field("home", FieldType.SELECT, required=True), options=OPTIONS),
    replace(make_field("other", FieldType.RADIO, required=True), options=OPTIONS, help=both("Ett.", "One.")),
    make_field("owner", FieldType.CHECKBOX, required=True),
    make_field("message", FieldType.TEXTAREA),
    make_field("objectReference", FieldType.HIDDEN),
)


def make_form(
    fields: Sequence[Field] = EVERY_TYPE, *, theme: Theme | None = None, notice: Text | None = None
) -> Form:
    return Form(
        name="kontakt",
        source="forms.toml",
        title=both("Kontakta oss", "Contact us"),
        intro=both("Skriv till oss.", "Write to us."),
        submit_label=both("Skicka", "Send"),
        thanks=both("Tack! Vi hör av oss.", "Thank you! We will be in touch."),
        subject=both("Vill bli kontaktad", "Would like to be contacted"),
        fields=tuple(fields),
        destination=Destination(customer_id="M1", assigned_to_id="H1", lead_source_id="L1"),
        privacy=Privacy(
            notice=notice or both("Vi ansvarar.\n\nDu har rätt.", "We control.\n\nYou may."),
            version="2026-1",
            controller="Byrån",
            policy_url="https://example.se/integritet",
        ),
        consents=(Consent(name="newsletter", label=both("Nyheter, tack", "News, please")),),
        theme=theme or Theme(),
    )


def open_form(
    form: Form | None = None,
    *,
    language: str = "sv",
    values: Mapping[str, str] | None = None,
    errors: Sequence[FieldError] = (),
    hints: Mapping[str, str] | None = None,
    hidden: Mapping[str, str] | None = None,
    framed: bool = False,
    problem_status: int | None = None,
) -> Page:
    return Page(
        RENDERER.render_form(
            form or make_form(),
            language=language,
            action="/f/kontakt",
            token="signed.token",
            values=values or {},
            errors=errors,
            hints=hints or {},
            hidden=hidden or {},
            framed=framed,
            problem_status=problem_status,
        )
    )


@pytest.mark.parametrize("framed", [True, False, None])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_blank_page_is_the_page_rendered_anew_but_for_its_token(language: str, framed: bool | None) -> None:
    renderer, form = Renderer(), make_form()
    changed = replace(form, title={"sv": "Ny rubrik", "en": "New heading"})
    for shown, token in (
        (form, "first.token"),
        (form, "second-_token"),
        (changed, "third"),
        (form, "fourth"),
    ):
        anew = renderer.render_form(
            shown, language=language, action="/f/kontakt", token=token, values={}, framed=framed
        )
        blank = renderer.find_blank_form(
            shown, language=language, action="/f/kontakt", length=len(token), framed=framed
        )
        assert blank.fill(token.encode()) == anew
        assert gzip.decompress(blank.pack(token.encode())) == anew
        assert token.encode() in anew


def test_a_page_compressed_once_is_hardly_longer_than_one_compressed_anew() -> None:
    token = token_urlsafe(80)
    blank = Renderer().find_blank_form(
        make_form(), language="sv", action="/f/kontakt", length=len(token), framed=None
    )
    anew = gzip.compress(blank.fill(token.encode()), 6)
    assert len(blank.pack(token.encode())) < len(anew) + 100


@given(
    st.lists(st.binary(max_size=300) | st.integers(0, 300).map(bytes), min_size=1, max_size=4),
    st.sampled_from([1, 2, 150, 65_535]),
    st.randoms(use_true_random=False),
)
def test_a_stencil_is_filled_whatever_lies_around_its_holes(
    parts: list[bytes], length: int, random: Random
) -> None:
    stencil, token = Stencil(parts, length), random.randbytes(length)
    assert stencil.fill(token) == token.join(parts)
    assert gzip.decompress(stencil.pack(token)) == token.join(parts)


def make_error(name: str, detail: str = "Rätta det här.") -> FieldError:
    return FieldError(field=name, code="required", detail=detail)


def every_page() -> Iterator[Page]:
    form = make_form(theme=Theme(accent="#0a5c36", mode="auto", logo="/static/logo.svg"))
    errors = [make_error(one.name) for one in EVERY_TYPE] + [
        make_error("consents.newsletter"),
        make_error("x"),
    ]
    for language in LANGUAGES:
        yield open_form(form, language=language)
        yield open_form(form, language=language, errors=errors, hints={"email": "Menade du?"}, framed=True)
        yield open_form(form, language=language, problem_status=503)
        yield Page(RENDERER.render_thanks(form, language=language, reference="K7Q2-9XMF-3H"))
        yield Page(RENDERER.render_problem(language=language, status=404))
        yield Page(RENDERER.render_problem(language=language, status=503, form=form))


AGENCY = {
    "base": "http://127.0.0.1:8000/",
    "inbox": "http://127.0.0.1:8001/",
    "page_url": "http://x/demo?a=b",
}


def test_every_control_has_a_visible_label_in_both_languages() -> None:
    for page in every_page():
        for tag in ("input", "select", "textarea"):
            for control in page.all(tag):
                if control.get("type") == "hidden":
                    continue
                around = [e for e in page.all("label") if control in e.inside]
                pointing = page.all("label", **{"for": control["id"]})
                (label,) = around + pointing
                assert label.text.strip()


def test_labels_are_in_the_visitors_language() -> None:
    for language, ending in (("sv", "på svenska"), ("en", "in English")):
        page = open_form(language=language)
        assert page.one("html")["lang"] == language
        assert page.one("label", **{"for": "f-firstName"}).text == f"firstName {ending}"


def test_every_id_is_there_once_and_every_reference_leads_to_one() -> None:
    for page in every_page():
        ids = [e["id"] for e in page.elements if "id" in e.attributes]
        assert len(ids) == len(set(ids))
        for element in page.elements:
            for name in ("for", "aria-describedby", "aria-labelledby"):
                assert set((element.get(name) or "").split()) <= set(ids)
            if (element.get("href") or "").startswith("#"):
                assert element["href"][1:] in ids


def test_no_page_has_style_or_script_of_its_own_or_a_request_to_others() -> None:
    pages = [*every_page(), Page(RENDERER.render_agency(query="utm_source=x", **AGENCY))]
    for page in pages:
        assert not page.all("style")
        ours = ("/static/", f"{AGENCY['base']}embed/v1.js")
        assert all(script["src"].startswith(ours) and not script.text for script in page.all("script"))
        for element in page.elements:
            assert not any(name == "style" or name.startswith("on") for name in element.attributes)
            if element.tag in {"link", "img"}:
                address = element.get("href") or element.get("src") or ""
                assert address.startswith(("/", "data:,"))


def test_fields_can_be_filled_in_by_the_browser() -> None:
    page = open_form()
    tokens = {
        "firstName": "given-name",
        "lastName": "family-name",
        "email": "email",
        "phone": "tel",
        "streetAddress": "street-address",
        "zipCode": "postal-code",
        "city": "address-level2",
        "companyName": "organization",
        "corporateNumber": None,
        "area": None,
    }
    assert {name: page.control(name).get("autocomplete") for name in tokens} == tokens
    whole = open_form(make_form([make_field("name")]))
    assert whole.control("name")["autocomplete"] == "name"


def test_phones_show_the_keyboard_that_fits() -> None:
    page = open_form()
    shown = {
        name: (page.control(name)["type"], page.control(name).get("inputmode"))
        for name in ("email", "phone", "zipCode", "area", "firstName")
    }
    assert shown == {
        "email": ("email", None),
        "phone": ("tel", None),
        "zipCode": ("text", "numeric"),
        "area": ("text", "decimal"),
        "firstName": ("text", None),
    }
    assert page.control("area")["maxlength"] == "12"


def test_what_is_optional_says_so_and_the_rest_is_required() -> None:
    page = open_form()
    assert page.one("p", **{"class": "rule"}).text.strip() == "Fyll i allt som inte är märkt med ”valfritt”."
    assert page.one("label", **{"for": "f-city"}).text.endswith("(valfritt)")
    assert "valfritt" not in page.one("label", **{"for": "f-firstName"}).text
    for name in ("firstName", "rooms", "home", "other", "owner"):
        assert "required" in page.control(name).attributes
    assert "required" not in page.control("city").attributes
    assert page.one("fieldset")["aria-required"] == "true"


def test_email_or_phone_is_said_in_words_beside_both() -> None:
    page = open_form()
    for name in ("email", "phone"):
        assert page.described(name) == "Det räcker med e-post eller telefon."
        assert "required" not in page.control(name).attributes
        assert "valfritt" not in page.one("label", **{"for": f"f-{name}"}).text


def test_two_required_ways_to_answer_are_just_required() -> None:
    fields = [make_field("email", FieldType.EMAIL, required=True), make_field("phone", FieldType.TEL)]
    page = open_form(make_form(fields))
    assert "aria-describedby" not in page.control("email").attributes
    assert page.one("label", **{"for": "f-phone"}).text.endswith("(valfritt)")


def test_the_only_way_to_answer_is_required() -> None:
    form = replace(make_form([make_field("email", FieldType.EMAIL)]), consents=())
    page = open_form(form)
    assert "required" in page.control("email").attributes
    assert page.one("p", **{"class": "rule"}).text.strip() == "Fyll i alla uppgifter."


def test_ways_to_answer_that_stand_apart_have_no_common_group() -> None:
    apart = [make_field("email", FieldType.EMAIL), make_field("city"), make_field("phone", FieldType.TEL)]
    page = open_form(make_form(apart))
    assert page.described("email") == page.described("phone") == "Det räcker med e-post eller telefon."
    assert len(page.all("p", id="either")) == 1
    assert "valfritt" not in page.one("label", **{"for": "f-email"}).text
    assert not page.all("div", role="group")


def test_help_hint_and_error_describe_their_field() -> None:
    page = open_form(errors=[make_error("area", "Skriv siffror.")], hints={"area": "Menade du 75?"})
    assert page.described("area") == "Skriv siffror. Menade du 75? Ungefär."
    assert page.control("area")["aria-invalid"] == "true"
    assert "aria-invalid" not in page.control("city").attributes


def test_two_errors_of_one_field_are_both_told() -> None:
    page = open_form(errors=[make_error("city", "Ett."), make_error("city", "Två.")])
    assert page.described("city") == "Ett. Två."


def test_errors_are_summed_up_where_the_focus_lands() -> None:
    errors = [make_error("city", "Fel ort."), make_error("other", "Välj."), make_error("consents.newsletter")]
    page = open_form(errors=[*errors, make_error("nowhere", "Okänt.")])
    summary = page.one("section", tabindex="-1")
    assert "autofocus" in summary.attributes
    assert "4 saker behöver rättas" in summary.text
    assert "Okänt." in summary.text
    assert [(e["href"], e.text) for e in summary.inside if e.tag == "a"] == [
        ("#f-city", "Fel ort."),
        ("#f-other", "Välj."),
        ("#f-consents.newsletter", "Rätta det här."),
    ]
    assert page.by_id("f-other")["type"] == "radio"
    assert page.one("title").text == "Fel: Kontakta oss"


def test_one_error_is_one_thing() -> None:
    page = open_form(errors=[make_error("city")], language="en")
    assert page.by_id("summary").text.strip() == "One thing needs to be corrected"
    assert page.one("title").text == "Error: Contact us"


def test_a_page_without_errors_takes_no_focus() -> None:
    page = open_form()
    assert page.one("title").text == "Kontakta oss"
    assert not [e for e in page.elements if "autofocus" in e.attributes]


def test_a_refusal_nobody_is_to_blame_for_keeps_the_values() -> None:
    page = open_form(values={"city": "Solna"}, problem_status=503)
    assert page.by_id("summary").text == "Vi kan inte ta emot ditt meddelande just nu"
    assert page.control("city")["value"] == "Solna"
    assert page.one("title").text.startswith("Fel:")


def test_values_survive_in_every_kind_of_field() -> None:
    message = "\nHej!\n\nVi vill sälja.\n"
    page = open_form(
        values={
            "firstName": "Åsa",
            "home": "radhus",
            "other": "villa",
            "owner": "true",
            "message": message,
            "consents.newsletter": "on",
            "objectReference": "TV-1042",
        },
        errors=[make_error("lastName")],
    )
    assert page.control("firstName")["value"] == "Åsa"
    chosen = [e["value"] for e in page.elements if {"selected", "checked"} & set(e.attributes)]
    assert chosen == ["radhus", "villa", "true", "true"]
    # A browser drops the line break after the tag, so that the value's own is kept.
    assert page.control("message").text == "\n" + message
    assert page.control("objectReference")["value"] == "TV-1042"


def test_consents_are_unticked_optional_and_named() -> None:
    box = open_form().control("consents.newsletter")
    assert box["type"] == "checkbox"
    assert not {"checked", "required"} & set(box.attributes)
    refused = open_form(values={"consents.newsletter": "false", "owner": ""})
    assert "checked" not in refused.control("consents.newsletter").attributes


def test_a_choice_is_a_named_group_with_its_description() -> None:
    page = open_form(errors=[make_error("other", "Välj en.")])
    group = page.one("fieldset")
    assert group["role"] == "radiogroup"
    assert page.by_id(group["aria-labelledby"]).text == "other på svenska"
    assert group["aria-describedby"].split() == ["f-other-error", "f-other-help"]
    assert group["aria-invalid"] == "true"
    assert len(page.all("input", type="radio")) == len(OPTIONS)


def test_the_form_is_posted_with_its_own_fields() -> None:
    page = open_form(hidden={"pageUrl": "https://x.se/?a=1&b=2", "token": "forged", "notice.version": "0"})
    form = page.one("form")
    assert (form["method"], form["action"]) == ("post", "/f/kontakt")
    assert "novalidate" in form.attributes
    hidden = {e["name"]: e["value"] for e in page.all("input", type="hidden")}
    assert hidden == {
        "pageUrl": "https://x.se/?a=1&b=2",
        "token": "signed.token",
        "language": "sv",
        "notice.version": "2026-1",
    }
    assert page.one("button")["type"] == "submit"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_script_speaks_as_the_page_does(language: str) -> None:
    one, two = [make_error("city")], [make_error("city"), make_error("other")]
    words = json.loads(open_form(language=language).one("form")["data-words"])
    assert words["one"] == open_form(language=language, errors=one).by_id("summary").text.strip()
    heading = open_form(language=language, errors=two).by_id("summary").text.strip()
    assert words["many"].replace("%(count)s", "2") == heading
    assert words["kept"] in open_form(language=language, errors=one).one("section", tabindex="-1").text
    assert words["required"].format(label="Ort") == describe_error(
        "required", translations=get_translations(language), label="Ort"
    )


def test_only_where_one_of_two_will_do_does_the_script_say_so() -> None:
    both_there = [make_field("email", FieldType.EMAIL), make_field("phone", FieldType.TEL)]
    for fields, said in ((both_there, True), (both_there[:1], False)):
        words = json.loads(open_form(make_form(fields)).one("form")["data-words"])
        assert ("either" in words) is said


def test_the_notice_stands_before_the_button_with_its_policy() -> None:
    page = open_form()
    notice = page.one("section", **{"class": "notice"})
    assert [e.text for e in notice.inside if e.tag == "p"][:2] == ["Vi ansvarar.", "Du har rätt."]
    link = page.one("a", target="_blank")
    assert link["href"] == "https://example.se/integritet"
    assert "öppnas i en ny flik" in link.text
    assert page.elements.index(notice) < page.elements.index(page.one("button"))


def test_an_address_within_the_notice_becomes_the_link() -> None:
    text = "Läs https://example.se/integritet. Tack."
    page = open_form(make_form(notice=both(text, text)))
    link = page.one("a", target="_blank")
    assert link.text.startswith("https://example.se/integritet")
    notice = page.one("section", **{"class": "notice"}).text
    assert notice.rstrip().endswith("(öppnas i en ny flik). Tack.")


@pytest.mark.parametrize("url", [None, "javascript:alert(1)", "data:text/html,x"])
def test_a_policy_that_is_no_page_is_no_link(url: str | None) -> None:
    form = make_form()
    page = open_form(replace(form, privacy=replace(form.privacy, policy_url=url)))
    assert not page.all("a", target="_blank")


def test_hostile_values_stay_text() -> None:
    form = replace(make_form(), title=both(HOSTILE, HOSTILE))
    values = dict.fromkeys(("firstName", "message", "email", "area", "home", "objectReference"), HOSTILE)
    page = open_form(
        form,
        values=values,
        hidden={HOSTILE: HOSTILE},
        hints={"email": HOSTILE},
        errors=[make_error("email", HOSTILE), make_error(HOSTILE, HOSTILE)],
    )
    assert "<script>" not in page.markup
    assert page.control("firstName")["value"] == HOSTILE
    assert page.control(HOSTILE)["value"] == HOSTILE
    assert page.control("message").text == "\n" + HOSTILE
    assert HOSTILE in page.described("email")
    assert page.one("h1").text == HOSTILE


def test_another_language_is_a_link_without_what_was_asked() -> None:
    page = open_form()
    link = page.one("a", hreflang="en")
    assert (link["href"], link.text, link["lang"]) == ("?lang=en", "English", "en")
    alone = open_form(replace(make_form(), languages=("sv",)))
    assert not alone.all("header")


def test_what_is_too_long_for_an_address_stays_out_of_the_link_to_another_language() -> None:
    hidden = {"utm_source": "google", "pageUrl": "https://www.byran.se/?" + "å" * 700, "receiver": "anna"}
    link = open_form(hidden=hidden).one("a", hreflang="en")
    assert link["href"] == "?utm_source=google&receiver=anna&lang=en"


def test_what_belongs_together_shares_a_row() -> None:
    page = open_form()
    rows = [
        [e["name"] for e in row.inside if "name" in e.attributes]
        for row in page.elements
        if "row" in (row.get("class") or "").split()
    ]
    assert [row for row in rows if len(set(row)) == 2] == [
        ["firstName", "lastName"],
        ["email", "phone"],
        ["zipCode", "city"],
        ["area", "rooms"],
    ]


def test_a_form_about_a_home_has_a_part_for_it() -> None:
    home = [make_field("streetAddress"), make_field("zipCode", FieldType.POSTCODE), make_field("city")]
    person = [make_field("firstName"), make_field("email", FieldType.EMAIL)]

    def parts(fields: list[Field], home_fields: tuple[str, ...]) -> list[str]:
        page = open_form(replace(make_form(fields), home_fields=home_fields))
        return [element.text for element in page.all("h2", **{"class": "part"})]

    assert parts(home + person, ("streetAddress", "city")) == ["Bostaden", "Dina uppgifter"]
    assert parts(person + home, ("streetAddress", "city")) == []
    assert parts([home[0], *person, home[2]], ("streetAddress", "city")) == []
    assert parts(home + person, ()) == []
    assert parts(home, ("streetAddress",)) == []
    short = open_form(make_form(home)).one("div", **{"class": "row short"})
    assert [element["name"] for element in short.inside if "name" in element.attributes] == [
        "zipCode",
        "city",
    ]


def test_a_theme_is_a_stylesheet_of_its_own() -> None:
    plain = [e["href"] for e in open_form().all("link", rel="stylesheet")]
    assert plain == [locate_asset("leadgate.css")]
    theme = Theme(accent="#0a5c36", mode="dark", logo="/static/logo.svg", stylesheet="/static/own.css")
    page = open_form(make_form(theme=theme))
    *ours, themed, own = [e["href"] for e in page.all("link", rel="stylesheet")]
    assert ours == [locate_asset("leadgate.css"), locate_asset("leadgate-dark.css")]
    assert re.fullmatch(r"/f/kontakt/theme\.css\?v=[0-9a-f]{8}", themed)
    assert own == "/static/own.css"
    assert page.one("img")["alt"] == "Byrån"


def test_the_dark_is_the_visitors_choice_only_where_the_theme_leaves_it() -> None:
    dark = open_form(make_form(theme=Theme(mode="auto"))).all("link", rel="stylesheet")[1]
    assert dark["media"] == "(prefers-color-scheme: dark)"
    assert open_form().one("meta", name="color-scheme")["content"] == "light"


def test_a_frame_has_no_ground_of_its_own() -> None:
    assert open_form(framed=True).one("html")["class"] == "light framed"
    assert open_form().one("html")["class"] == "light"


def test_a_test_form_says_so() -> None:
    form = replace(make_form(), mode=Mode.TEST)
    assert open_form(form).one("p", **{"class": "testing"}).text.startswith("Testläge")
    thanks = Page(RENDERER.render_thanks(form, language="en", reference="K7Q2-9XMF-3H"))
    assert thanks.one("p", **{"class": "testing"}).text.startswith("Test mode")


def test_an_empty_intro_leaves_no_gap() -> None:
    assert not open_form(replace(make_form(), intro=both("", ""))).all("p", **{"class": "intro"})


@pytest.mark.parametrize(
    ("thanks", "heading", "rest"),
    [
        ("Tack! Vi hör av oss.", "Tack!", ["Vi hör av oss."]),
        ("Tack för ditt intresse!", "Tack för ditt intresse!", []),
        ("Vi hör av oss", "Tack", ["Vi hör av oss"]),
        ("Vi " + "hör " * 30 + "av oss. Snart.", "Tack", ["Vi " + "hör " * 30 + "av oss. Snart."]),
    ],
)
def test_the_first_sentence_of_the_thanks_is_the_heading(thanks: str, heading: str, rest: list[str]) -> None:
    form = replace(make_form(), thanks=both(thanks, thanks))
    page = Page(RENDERER.render_thanks(form, language="sv", reference="K7Q2-9XMF-3H"))
    assert page.one("h1").text == heading
    assert [e.text for e in page.all("p", **{"class": "intro"})] == rest
    assert page.one("dd").text == "K7Q2-9XMF-3H"
    assert "autofocus" in page.one("h1").attributes


def test_a_problem_keeps_hope_and_shows_the_way_back() -> None:
    page = Page(RENDERER.render_problem(language="sv", status=503, form=make_form()))
    assert "försök igen" in page.one("main").text
    assert page.one("a", **{"class": "button"})["href"] == "/f/kontakt?lang=sv"
    bare = Page(RENDERER.render_problem(language="en", status=404))
    assert bare.one("title").text == "We cannot find the page"
    assert not bare.all("a")


def test_a_problem_may_be_told_in_other_words() -> None:
    page = Page(RENDERER.render_problem(language="sv", status=404, title="Borta", detail=HOSTILE))
    assert page.one("h1").text == "Borta"
    assert page.one("p", **{"class": "intro"}).text == HOSTILE


def test_a_language_the_package_does_not_speak_gets_the_forms_own_texts() -> None:
    german = {"de": "Kontakt"}
    fields = [Field(name="name", type=FieldType.TEXT, label={"de": "Name"}, required=True)]
    form = replace(
        make_form(fields, notice=german),
        title=german,
        intro=german,
        submit_label=german,
        consents=(),
        languages=("de",),
    )
    page = open_form(form, language="de")
    assert page.one("h1").text == "Kontakt"
    assert page.one("p", **{"class": "rule"}).text.strip() == get_translations("en").gettext(
        "Please fill in everything."
    )


def test_the_agency_hands_its_visitors_origin_to_the_form() -> None:
    page = Page(RENDERER.render_agency(query="utm_source=a&utm_medium=cpc", **AGENCY))
    frame = page.one("iframe")
    assert frame["title"]
    assert frame["src"] == (
        "http://127.0.0.1:8000/f/kontakt?lang=sv&pageUrl=http%3A%2F%2Fx%2Fdemo%3Fa%3Db&utm_source=a&utm_medium=cpc"
    )
    assert page.all("a", href="http://127.0.0.1:8001/")
    assert any("/f/vardering?" in e["href"] for e in page.all("a"))


def test_the_agency_without_campaign_offers_one() -> None:
    page = Page(RENDERER.render_agency(query="", **AGENCY))
    assert page.one("iframe")["src"].endswith("a%3Db")
    assert [e for e in page.all("a") if e["href"].startswith("?utm_source=")]


def test_the_agency_escapes_what_comes_from_its_address() -> None:
    hostile = {**AGENCY, "page_url": HOSTILE}
    page = Page(RENDERER.render_agency(query=HOSTILE, **hostile))
    assert "<script>" not in page.markup


def test_every_file_the_pages_name_is_there() -> None:
    for template in TEMPLATES.rglob("*.html"):
        for name in re.findall(r'asset\("([^"]+)"\)', template.read_text(encoding="utf-8")):
            assert (STATIC / name).is_file()
