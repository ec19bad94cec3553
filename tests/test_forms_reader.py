"""Reading the forms file: what a good one gives, and every mistake of a bad one."""

import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import ConfigurationError
from app.forms.model import CallGroup, ContactType, FieldType, Form, Forms, Login, Mode, OnAmbiguous, Password
from app.forms.reader import read_forms

DEFAULT = Login(
    name="default", username="leadgate", password=Password(value="x"), base_url="https://vitec.example"
)
KEYS = 'customer_id = "M12345"\nassigned_to_id = "HAN1"\nlead_source_id = "LKA1"\n'
MINIMAL = "[forms.kontakt]\n" + KEYS


def read(path: Path, *, login: Login | None = DEFAULT, environ: Mapping[str, str] | None = None) -> Forms:
    return read_forms(path, default_login=login, environ=environ or {})


def read_text(
    folder: Path, text: str, *, login: Login | None = DEFAULT, environ: Mapping[str, str] | None = None
) -> Forms:
    path = folder / "forms.toml"
    path.write_text(text, encoding="utf-8")
    return read(path, login=login, environ=environ)


def read_form(folder: Path, text: str) -> Form:
    """The form `kontakt` with more in it."""
    return read_text(folder, MINIMAL + text).forms["kontakt"]


def mistakes(
    folder: Path, text: str, *, login: Login | None = DEFAULT, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Key to message."""
    with pytest.raises(ConfigurationError) as caught:
        read_text(folder, text, login=login, environ=environ)
    assert {one.source for one in caught.value.mistakes} == {str(folder / "forms.toml")}
    found = {one.key: one.message for one in caught.value.mistakes}
    assert len(found) == len(caught.value.mistakes), caught.value
    return found


# -- Good files


def test_the_smallest_form_has_everything_a_visitor_needs(tmp_path: Path) -> None:
    form = read_form(tmp_path, "")
    assert form.source == str(tmp_path / "forms.toml")
    assert [field.name for field in form.fields] == ["firstName", "lastName", "email", "phone", "message"]
    assert form.title == {"sv": "Kontakta oss", "en": "Contact us"}
    assert (form.languages, form.preset, form.phone_region) == (("sv", "en"), "kontakt", "SE")
    assert (form.mode, form.on_ambiguous, form.contact_type) == (
        Mode.LIVE,
        OnAmbiguous.HOLD,
        ContactType.PERSON,
    )
    assert form.destination.customer_id == "M12345"
    assert form.destination.vitec == "default"
    assert form.reference_in_message
    assert form.extra_tags
    assert form.privacy.retention.delivered == timedelta(days=30)
    assert (form.spam.quarantine_at, form.spam.challenge_at) == (1.0, 0.5)


def test_the_built_in_fields_bring_their_types_and_lengths(tmp_path: Path) -> None:
    names = ["name", "zipCode", "streetAddress", "city", "companyName", "corporateNumber"]
    form = read_form(tmp_path, "".join(f'[[forms.kontakt.fields]]\nname = "{name}"\n' for name in names))
    found = {field.name: (field.type.value, field.max_length, field.required) for field in form.fields}
    assert found == {
        "name": ("text", 200, True),
        "email": ("email", 254, False),
        "phone": ("tel", 40, False),
        "zipCode": ("postcode", 10, False),
        "streetAddress": ("text", 200, False),
        "city": ("text", 100, False),
        "companyName": ("text", 200, False),
        "corporateNumber": ("text", 20, False),
        "message": ("textarea", 5000, False),
    }


def test_a_single_name_stands_where_the_first_name_stood(tmp_path: Path) -> None:
    form = read_form(tmp_path, 'fields = [{ name = "name", label = "Ditt namn" }]')
    assert [field.name for field in form.fields] == ["name", "email", "phone", "message"]
    assert form.fields[0].label == {"sv": "Ditt namn", "en": "Ditt namn"}


def test_new_fields_stand_before_the_message_and_a_listed_one_changes_in_its_place(tmp_path: Path) -> None:
    form = read_form(
        tmp_path,
        'fields = [{ name = "phone", required = true }, { name = "budget", type = "number", label = "Budget" }]',
    )
    assert [field.name for field in form.fields] == [
        "firstName",
        "lastName",
        "email",
        "phone",
        "budget",
        "message",
    ]
    phone = form.field("phone")
    assert phone is not None
    assert phone.required
    assert phone.type is FieldType.TEL
    assert phone.label == {"sv": "Telefon", "en": "Phone"}


def test_new_fields_stand_last_where_no_message_does(tmp_path: Path) -> None:
    form = read_form(
        tmp_path,
        'fields = [{ name = "a", label = "A" }]\n[defaults]\nfields = [{ name = "b", label = "B" }]',
    )
    assert [field.name for field in form.fields][-3:] == ["b", "a", "message"]


def test_a_company_form_asks_for_the_company(tmp_path: Path) -> None:
    form = read_form(tmp_path, 'contact_type = "company"')
    assert [(field.name, field.required) for field in form.fields][:3] == [
        ("companyName", True),
        ("corporateNumber", False),
        ("firstName", True),
    ]
    listed = read_form(
        tmp_path, 'contact_type = "company"\nfields = [{ name = "companyName", max_length = 50 }]'
    )
    assert [field.name for field in listed.fields] == [
        "corporateNumber",
        "firstName",
        "lastName",
        "email",
        "phone",
        "companyName",
        "message",
    ]
    company = listed.field("companyName")
    assert company is not None
    assert company.required


def test_options_may_be_texts_or_tables(tmp_path: Path) -> None:
    form = read_form(
        tmp_path,
        'fields = [{ name = "a", type = "radio", label = "A", options = '
        '["Ja", { value = "no", label = { sv = "Nej", en = "No" } }] }]',
    )
    field = form.field("a")
    assert field is not None
    assert [(option.value, option.label["en"]) for option in field.options] == [("Ja", "Ja"), ("no", "No")]


def test_a_select_of_the_preset_may_become_a_text(tmp_path: Path) -> None:
    form = read_form(tmp_path, 'preset = "vardering"\nfields = [{ name = "propertyType", type = "text" }]')
    field = form.field("propertyType")
    assert field is not None
    assert (field.type, field.options) == (FieldType.TEXT, ())


def test_a_hidden_field_needs_no_label(tmp_path: Path) -> None:
    field = read_form(tmp_path, 'fields = [{ name = "source", type = "hidden" }]').field("source")
    assert field is not None
    assert field.label == {"sv": "source", "en": "source"}


def test_any_key_of_a_form_may_stand_in_the_defaults(tmp_path: Path) -> None:
    forms = read_text(
        tmp_path,
        f"""
        [defaults]
        {KEYS}
        languages = ["sv"]
        title = {{ sv = "Hej", en = "Hello" }}
        preset = "objekt"
        fields = [{{ name = "phone", required = true, label = "Mobil" }}]
        theme = {{ accent = "#fff", radius = "4px" }}
        privacy = {{ controller = "AB", retention = {{ delivered = "2d" }} }}
        spam = {{ words = ["x"] }}
        [defaults.consents.news]
        label = "Nyheter"
        [forms.a]
        theme = {{ accent = "#000000" }}
        privacy = {{ retention = {{ discarded = "12h" }} }}
        fields = [{{ name = "phone", required = false }}]
        [forms.a.consents.news]
        maps_to = "wishAdvertising"
        [forms.b]
        preset = "kontakt"
        """,
    ).forms
    a, b = forms["a"], forms["b"]
    assert a.title == b.title == {"sv": "Hej"}
    assert (a.preset, b.preset) == ("objekt", "kontakt")
    assert (a.theme.accent, a.theme.radius, b.theme.accent) == ("#000000", "4px", "#fff")
    assert a.privacy.controller == "AB"
    assert a.privacy.retention.delivered == timedelta(days=2)
    assert a.privacy.retention.discarded == timedelta(hours=12)
    assert a.privacy.retention.quarantined == timedelta(days=30)
    assert a.spam.words == ("x",)
    assert [(one.label, one.maps_to) for one in (*a.consents, *b.consents)] == [
        ({"sv": "Nyheter"}, "wishAdvertising"),
        ({"sv": "Nyheter"}, None),
    ]
    phone, other = a.field("phone"), b.field("phone")
    assert phone is not None
    assert other is not None
    assert (phone.required, other.required, phone.label) == (False, True, {"sv": "Mobil"})


def test_origins_are_written_as_browsers_send_them(tmp_path: Path) -> None:
    form = read_form(
        tmp_path,
        'allowed_origins = ["https://WWW.Example.se:443", "https://www.example.se", "http://localhost:3000", '
        '"https://mäklare.se", "http://[::1]:8080", "http://example.se:80"]',
    )
    assert form.allowed_origins == (
        "https://www.example.se",
        "http://localhost:3000",
        "https://xn--mklare-bua.se",
        "http://[::1]:8080",
        "http://example.se",
    )


def test_the_notice_names_the_controller_and_the_address(tmp_path: Path) -> None:
    form = read_form(
        tmp_path,
        '[forms.kontakt.privacy]\ncontroller = "Exempel AB, 556000-0000"\npolicy_url = "https://example.se/p"\n',
    )
    notice = form.privacy.notice
    assert "Personuppgiftsansvarig är Exempel AB, 556000-0000." in notice["sv"]
    assert notice["sv"].endswith("Läs mer: https://example.se/p")
    assert notice["en"].endswith("Read more: https://example.se/p")


@pytest.mark.parametrize(
    ("duration", "said"), [("2d", "2 dagar"), ("1d", "1 dag"), ("90m", "90 minuter"), ("61s", "61 sekunder")]
)
def test_a_notice_may_say_the_storage_time_in_words(tmp_path: Path, duration: str, said: str) -> None:
    notice = 'notice = "Tas bort efter {retention}."'
    form = read_form(tmp_path, f'privacy = {{ {notice}, retention = {{ delivered = "{duration}" }} }}')
    assert form.privacy.notice["sv"] == f"Tas bort efter {said}."


def test_the_notice_of_the_file_is_filled_in_and_its_version_is_of_its_text(tmp_path: Path) -> None:
    ready = read_form(tmp_path, "").privacy
    own = read_form(
        tmp_path, 'privacy = { notice = "{controller} {policy_url} {retention}", controller = "AB" }'
    ).privacy
    named = read_form(tmp_path, 'privacy = { version = "2026-11" }').privacy
    assert own.notice == {"sv": "AB  30 dagar", "en": "AB  30 days"}
    assert len(ready.version) == 12
    assert ready.version != own.version
    assert ready.version == read_form(tmp_path, "").privacy.version
    assert (named.version, named.notice) == ("2026-11", ready.notice)


def test_a_language_the_package_does_not_speak_brings_its_own_texts(tmp_path: Path) -> None:
    labels = ", ".join(
        f'{{ name = "{name}", label = "x", help = "" }}'
        for name in ["firstName", "lastName", "email", "phone", "message"]
    )
    form = read_form(
        tmp_path,
        f'languages = ["de"]\ntitle = "a"\nintro = ""\nsubmit_label = "c"\nthanks = "d"\nsubject = "e"\n'
        f'fields = [{labels}]\nprivacy = {{ notice = "Von {{controller}}" }}',
    )
    assert form.intro == {"de": ""}
    assert form.privacy.notice == {"de": "Von the estate agent behind this page"}


def test_a_directory_is_read_whole_each_file_with_its_own_defaults(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(f"[defaults]\noffice_email = 'b@example.se'\n[forms.b]\n{KEYS}")
    (tmp_path / "a.toml").write_text(f"[forms.a]\nreceiver = 'x'\n{KEYS}\n[receivers.x]\n")
    (tmp_path / ".a.toml").write_text("an editor's leftovers")
    (tmp_path / "notes.txt").write_text("no forms")
    forms = read(tmp_path)
    assert list(forms.forms) == ["a", "b"]
    assert forms.forms["a"].destination.office_email is None
    assert forms.forms["b"].destination.office_email == "b@example.se"
    assert forms.receivers["x"].source == str(tmp_path / "a.toml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "forms.toml"
    path.write_text("\ufeff" + MINIMAL, encoding="utf-8")
    assert list(read(path).forms) == ["kontakt"]


def test_logins_take_passwords_from_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(0o600)
    (tmp_path / "secret").write_text("åäö\n", encoding="utf-8")
    forms = read_text(
        tmp_path,
        MINIMAL
        + 'vitec = "own"\n[vitec.own]\nusername = "u"\npassword_file = "secret"\n[vitec.own.create]\n'
        + 'password_env = "CREATE"\n[vitec.other]\nusername = "o"\npassword_env = "OTHER"\n'
        + 'base_url = "http://127.0.0.1:9000/"\n',
        environ={"CREATE": "c", "OTHER": "o"},
    )
    own, other = forms.logins["own"], forms.logins["other"]
    assert own.base_url == DEFAULT.base_url
    assert other.base_url == "http://127.0.0.1:9000"
    assert own.password_for(CallGroup.READ).read() == "åäö"
    assert own.password_for(CallGroup.CREATE).read({"CREATE": "c"}) == "c"
    assert forms.logins["default"] is DEFAULT


def test_a_login_is_vitecs_own_address_where_nothing_else_is_said(tmp_path: Path) -> None:
    text = MINIMAL + 'vitec = "own"\n[vitec.own]\nusername = "u"\npassword_env = "P"\n'
    forms = read_text(tmp_path, text, login=None, environ={"P": "p"})
    assert forms.logins["own"].base_url == "https://connect.maklare.vitec.net"
    assert "default" not in forms.logins


def test_a_form_in_test_mode_needs_no_credentials(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + 'mode = "test"\n[forms.other]\nmode = "test"\nvitec = "own"\n'
        + KEYS
        + '[receivers.a]\nvitec = "third"\n[vitec.own]\n[vitec.third]\nusername = "u"\npassword_file = "away"\n'
    )
    forms = read_text(tmp_path, text, login=None)
    assert list(forms.logins) == ["third"]


def test_an_api_key_is_for_the_forms_of_its_file_unless_it_names_them(tmp_path: Path) -> None:
    digest = "AB" * 32
    (tmp_path / "a.toml").write_text(f"[forms.a]\n{KEYS}[api_keys.one]\nhash = '{digest}'\n")
    (tmp_path / "b.toml").write_text(
        f"[forms.b]\n{KEYS}[api_keys.two]\nhash = 'sha256:{digest}'\nforms = ['a']\nrate = '5/second'\n"
    )
    keys = read(tmp_path).api_keys
    assert [(key.forms, key.rate) for key in keys.values()] == [
        (("a",), None),
        (("a",), "5/second"),
    ]
    assert keys["one"].hash == keys["two"].hash == digest.lower()


# -- Files that cannot be read


def only_mistake(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    (mistake,) = caught.value.mistakes
    return str(mistake)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "forms.toml"
    assert only_mistake(path) == (
        f"{path}: does not exist; copy forms.example.toml there, or let LEADGATE_FORMS name another file"
    )


def test_a_directory_without_files_is_a_mistake(tmp_path: Path) -> None:
    assert (
        only_mistake(tmp_path)
        == f"{tmp_path}: is a directory without a .toml file; add one, such as kontakt.toml"
    )


def test_a_path_through_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert "cannot be read: Not a directory" in only_mistake(tmp_path / "a" / "b.toml")


def test_a_name_too_long_for_the_system_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read" in only_mistake(tmp_path / ("x" * 300))


def test_what_is_no_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "forms.toml"
    path.write_bytes("[forms.å]".encode("latin-1"))
    assert only_mistake(path) == f"{path}: is no UTF-8 text; save it as UTF-8"


def test_a_syntax_error_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "forms.toml"
    path.write_text("[forms.kontakt]\ncustomer_id = M12345\n")
    assert only_mistake(path) == f"{path}: is not valid TOML: Invalid value (at line 2, column 15)"


def test_a_file_without_a_form_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "[receivers.a]\n") == {
        "forms": "has no form; write [forms.kontakt] with customer_id, assigned_to_id and lead_source_id"
    }


def test_the_same_name_in_two_files_names_both(tmp_path: Path) -> None:
    one, two = tmp_path / "a.toml", tmp_path / "b.toml"
    text = (
        f"[forms.x]\n{KEYS}[receivers.r]\n[vitec.v]\nusername = 'u'\npassword_env = 'P'\n"
        f"[api_keys.k]\nhash = '{'0' * 64}'\n"
    )
    one.write_text(text)
    two.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, environ={"P": "p"})
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        f"{two}: {key}: is in {one} too; a {kind} stands in one file, so rename one"
        for key, kind in [
            ("forms.x", "form"),
            ("receivers.r", "receiver"),
            ("vitec.v", "login"),
            ("api_keys.k", "API key"),
        ]
    ]


# -- Mistakes


def test_all_mistakes_are_told_at_once_each_with_its_place(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        colour = 1
        [defaults]
        mode = "tset"
        redirect_url = "tack.html"
        fallback_receiver = "city"
        [forms.Kontakt]
        customer_id = "12345"
        lead_source_id = 7
        tilte = "x"
        receiver = "slona"
        vitec = "partner"
        routes = [{ zip = ["118-111"], receiver = "solna" }, { receiver = "solna" }]
        theme = { accent = "green" }
        [receivers.solna]
        phone = "08"
        [vitec.partne]
        username = "u"
        [api_keys.a]
        forms = ["kontakt"]
        """,
    )
    assert found == {
        "colour": "is not a known key. Known here are defaults, forms, receivers, vitec, api_keys.",
        "defaults.mode": "must be one of live, test. Did you mean test?",
        "defaults.redirect_url": "must be a whole address, such as https://www.example.se/tack",
        "defaults.fallback_receiver": '"city" is not a receiver; the file has solna.',
        "forms.Kontakt": (
            "is no form name; it stands in addresses: at most 64 lower-case letters a-z, digits, - and _"
        ),
        "forms.Kontakt.customer_id": (
            "is no Vitec customer id; it is one of the letters S, M, O, G, T and digits, such as M12345"
        ),
        "forms.Kontakt.assigned_to_id": 'is missing; write assigned_to_id = "HAN…" here or in [defaults]',
        "forms.Kontakt.lead_source_id": "must be a text in quotes",
        "forms.Kontakt.tilte": "is not a known key. Did you mean title?",
        "forms.Kontakt.receiver": '"slona" is not a receiver; the file has solna. Did you mean solna?',
        "forms.Kontakt.vitec": (
            '"partner" is not a login; the file has partne, default. Did you mean partne?'
        ),
        "forms.Kontakt.routes[1].zip[1]": 'runs backwards; write "111-118"',
        "forms.Kontakt.routes[2]": (
            "has neither zip nor when and would take every lead; "
            'take it out and write receiver = "solna" on the form'
        ),
        "forms.Kontakt.theme.accent": "is no colour; write #rgb or #rrggbb, such as #0a5c36",
        "receivers.solna.phone": (
            "is not a known key. Known here are customer_id, assigned_to_id, office_id, lead_source_id, "
            "assignment_source_id, vitec, office_email."
        ),
        "vitec.partne": "has no password; add password_file or password_env",
        "api_keys.a.hash": "is missing; write the SHA-256 of the key in hexadecimal",
        "api_keys.a.forms": '"kontakt" is not a form; the file has Kontakt. Did you mean Kontakt?',
    } | {"forms.Kontakt.routes[1]": found["forms.Kontakt.routes[1]"]}


FORM = "forms.kontakt"

BAD_FORMS: list[tuple[str, str, str]] = [
    # what is written in the form, the key told, a part of the message
    ("languages = []", "languages", "is an empty list"),
    ('languages = ["sv", "svenska"]', "languages[2]", "write its code, such as sv"),
    ('languages = ["sv", "sv"]', "languages", "has a language twice"),
    ('title = { sv = "Hej" }', "title", "has no text in en; the form's languages are sv, en"),
    ('title = { sv = "Hej", english = "Hello" }', "title", 'has "english", which is no language'),
    ("title = 3", "title", "must be a text, or a table by language"),
    ('submit_label = " "', "submit_label", "is empty"),
    ('home_fields = ["cty"]', "home_fields", '"cty" is no field of the form; it has firstName'),
    ('phone_region = "XX"', "phone_region", "write its two letters, such as SE"),
    ('preset = "kontkat"', "preset", "Did you mean kontakt?"),
    ('office_id = "FIR 1"', "office_id", "1 to 40 characters and no blanks"),
    ('category_ids = ["", "a"]', "category_ids[1]", "1 to 40 characters and no blanks"),
    ('category_ids = "a"', "category_ids", "must be a list"),
    ('contact_type = "firm"', "contact_type", "must be one of person, company."),
    ('contact_type = "company"\nfields = [{ name = "companyName", required = false }]', "fields[1].required",
     "must be required"),
    ('office_email = "info"', "office_email", "is no e-mail address"),
    ('office_email = "a..b@example.se"', "office_email", "must be an e-mail address"),
    ('office_email = "åsa@example.se"', "office_email", "must have nothing but ASCII before the @"),
    ('redirect_url = "/tack"', "redirect_url", "must be a whole address"),
    ('redirect_url = "javascript:alert(1)"', "redirect_url", "must be a whole address"),
    ('redirect_url = "https://a:b@example.se/"', "redirect_url", "must not have a login"),
    ('redirect_url = "https://example.se:port/"', "redirect_url", "must be a whole address"),
    ('on_ambiguous = "drop"', "on_ambiguous", "must be one of hold, resend."),
    ('extra_tags = "yes"', "extra_tags", "must be true or false"),
    ('parameters = ["Partner"]', "parameters[1]", "lower-case letters"),
    ('theme = { radius = "8" }', "theme.radius", "such as 8px"),
    ('theme = { spacing = "calc(1px)" }', "theme.spacing", "such as 8px"),
    ('theme = { font = "Arial; } body {" }', "theme.font", "list of font names"),
    ('theme = { font = "\'Arial" }', "theme.font", "list of font names"),
    ('theme = { mode = "drak" }', "theme.mode", "Did you mean dark?"),
    ('theme = { logo = "https://cdn example.se/a.png" }', "theme.logo", "must be an https address"),
    ('theme = { logo = "http://example.se/a.png" }', "theme.logo", "must be an https address"),
    ('theme = { logo = "/static/../secrets" }', "theme.logo", "must be an https address"),
    ('theme = { logo = "/static/%2e%2e/secrets" }', "theme.logo", "must be an https address"),
    ('theme = { stylesheet = "//evil.example/x.css" }', "theme.stylesheet", "must be an https address"),
    ('theme = { stylesheet = "/a\\".css" }', "theme.stylesheet", "must be an https address"),
    ('privacy = { policy_url = "policy" }', "privacy.policy_url", "must be a whole address"),
    ('privacy = { controller = "" }', "privacy.controller", "is empty"),
    ('privacy = { notice = { en = "x" } }', "privacy.notice", "has no text in sv"),
    ('privacy = { retention = { delivered = "30" } }', "privacy.retention.delivered", 'such as "30d"'),
    ("privacy = { retention = { delivered = 30 } }", "privacy.retention.delivered", 'such as "30d"'),
    ('privacy = { retention = { discarded = "0d" } }', "privacy.retention.discarded", "longer than nothing"),
    ('privacy = { retention = { held = "30d" } }', "privacy.retention.held",
     "Known here are delivered, discarded, quarantined."),
    ('consents = { news = { label = "x", required = true } }', "consents.news.required", "cannot be asked for"),
    ('consents = { news = { label = "x", maps_to = "wishAdvertisng" } }', "consents.news.maps_to",
     "Did you mean wishAdvertising?"),
    ('consents = { "a b" = { label = "x" } }', "consents.a b", "is no consent name"),
    ('consents = { email = { label = "x" } }', "consents.email", "is the name of a field"),
    ("spam = { quarantine_at = 0.2 }", "spam.quarantine_at", "less than challenge_at, which is 0.5"),
    ("spam = { challenge_at = -1 }", "spam.challenge_at", "must be at least 0"),
    ('spam = { challenge_at = "1" }', "spam.challenge_at", "must be a number"),
    ('spam = { trusted_networks = ["192.0.2"] }', "spam.trusted_networks[1]", "is no network"),
    ('spam = { words = [""] }', "spam.words[1]", "is empty"),
    ("theme = 3", "theme", "must be a table"),
    ("consents = 3", "consents", "must be a table"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "message"), BAD_FORMS)
def test_a_wrong_key_of_a_form_is_told(tmp_path: Path, text: str, key: str, message: str) -> None:
    found = mistakes(tmp_path, MINIMAL + text)
    assert list(found) == [f"{FORM}.{key}"]
    assert message in found[f"{FORM}.{key}"]


@pytest.mark.parametrize(("text", "key", "message"), BAD_FORMS)
def test_a_wrong_key_of_the_defaults_is_told_there(tmp_path: Path, text: str, key: str, message: str) -> None:
    found = mistakes(tmp_path, f"[defaults]\n{text}\n{MINIMAL}")
    assert list(found) == [f"defaults.{key}"]
    assert message in found[f"defaults.{key}"]


BAD_FIELDS: list[tuple[str, str, str]] = [
    ('type = "text"', ".name", "is missing; every field has a name"),
    ('name = "2b"', ".name", "is no field name"),
    ('name = "a.b"', ".name", "is no field name"),
    ('name = "consents", label = "x"', ".name", "consents is reserved"),
    ('name = "pageUrl", label = "x"', ".name", "pageUrl is reserved"),
    ('name = "utm_source", type = "hidden"', ".name", "captured by itself"),
    ('name = "gclid", type = "hidden"', ".name", "captured by itself"),
    ('name = "budget"', ".label", "label of budget is missing"),
    ('name = "a", label = { sv = "x" }', ".label", "label of a has no text in en"),
    ('name = "a", label = ""', ".label", "label of a is empty"),
    ('name = "a", label = "x", help = { en = "x" }', ".help", "help of a has no text in sv"),
    ('name = "a", label = "x", type = "dropdown"', ".type", "must be one of text, textarea"),
    ('name = "email", type = "text"', ".type", "email is built in; its type may be email only"),
    ('name = "message", type = "number"', ".type", "may be text, textarea or select only"),
    ('name = "a", label = "x", type = "select"', ".options", "a has no options; a select needs options"),
    ('name = "a", label = "x", type = "select", options = []', ".options", "a has no options"),
    ('name = "a", label = "x", options = ["b"]', ".options", "belong to a select or radio field"),
    ('name = "a", label = "x", type = "radio", options = ["b", "b"]', ".options", '"b" is there twice'),
    ('name = "a", label = "x", type = "radio", options = ["b", ""]', ".options[2].value", "is empty"),
    ('name = "a", label = "x", type = "radio", options = ["b", { value = "c" }]', ".options[2].label",
     "is missing"),
    ('name = "a", label = "x", type = "radio", options = [{ value = "c", label = { sv = "x" } }]', ".options",
     'label of "c" has no text in en'),
    ('name = "a", label = "x", type = "radio", options = [{ value = "c", label = "x", lable = "x" }]',
     ".options[1].lable", "Did you mean label?"),
    ('name = "a", label = "x", min = 1', ".min", "belongs to a number field"),
    ('name = "a", label = "x", type = "number", min = "1"', ".min", "must be"),
    ('name = "a", label = "x", max_length = 0', ".max_length", "must be at least 1"),
    ('name = "a", label = "x", max_length = 5001', ".max_length", "must be at most 5000"),
    ('name = "a", label = "x", max_length = "9"', ".max_length", "must be a whole number"),
    ('name = "a", type = "hidden", required = true', ".required", "no visitor could fill it in"),
    ('name = "a", label = "x", requird = true', ".requird", "Did you mean required?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "message"), BAD_FIELDS)
def test_a_wrong_field_is_told(tmp_path: Path, text: str, key: str, message: str) -> None:
    found = mistakes(tmp_path, f'{MINIMAL}fields = [{{ name = "city" }}, {{ {text} }}]')
    told = {place: words for place, words in found.items() if place == f"{FORM}.fields[2]{key}"}
    assert message in "".join(told.values()), found


def test_a_field_may_stand_once(tmp_path: Path) -> None:
    fields = '{ name = "city" }, { name = "city" }, { name = "name" }, { name = "lastName" }'
    assert mistakes(tmp_path, f"{MINIMAL}fields = [{fields}]") == {
        f"{FORM}.fields[2].name": "is listed twice; city may stand once",
        f"{FORM}.fields[4].name": "name stands for firstName and lastName; list one or the other",
    }
    assert mistakes(tmp_path, f'{MINIMAL}fields = [{{ name = "firstName" }}, {{ name = "name" }}]') == {
        f"{FORM}.fields[2].name": "name stands for firstName and lastName; list one or the other"
    }


def test_a_consent_needs_its_words(tmp_path: Path) -> None:
    found = mistakes(tmp_path, f"{MINIMAL}consents = {{ news = {{}} }}")
    assert found == {
        f"{FORM}.consents.news.label": "is missing; write a text, or a table of texts by language"
    }


def test_a_list_of_names_is_no_list_of_fields(tmp_path: Path) -> None:
    assert mistakes(tmp_path, f'{MINIMAL}fields = ["city"]') == {f"{FORM}.fields[1]": "must be a table"}


def test_a_parameter_of_the_form_is_no_field(tmp_path: Path) -> None:
    text = 'parameters = ["partner"]\nfields = [{ name = "partner", type = "hidden" }]'
    assert list(mistakes(tmp_path, MINIMAL + text)) == [f"{FORM}.fields[1].name"]


def test_a_preset_lacks_the_texts_of_a_third_language(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_text(tmp_path, MINIMAL + 'languages = ["sv", "de"]')
    found = {(one.key, one.message) for one in caught.value.mistakes}
    lacks = "has no text in de; the form's languages are sv, de"
    assert {(f"{FORM}.title", lacks), (f"{FORM}.privacy.notice", lacks)} < found
    assert (f"{FORM}.fields", f"label of firstName {lacks}") in found


BAD_ROUTES: list[tuple[str, str, str]] = [
    ('zip = ["111"], receiver = "slona"', ".receiver", '"slona" is not a receiver; the file has solna.'),
    ('zip = ["111"]', ".receiver", "is missing; a route names its receiver"),
    ('receiver = "solna"', "", "has neither zip nor when; add one"),
    ('zip = ["abc"], receiver = "solna"', ".zip[1]", "is no range of postcodes"),
    ('zip = ["111-"], receiver = "solna"', ".zip[1]", "is no range of postcodes"),
    ('zip = ["123456"], receiver = "solna"', ".zip[1]", "is no range of postcodes"),
    ('zip = ["011"], receiver = "solna"', ".zip[1]", "is no range of postcodes"),
    ('zip = [111], receiver = "solna"', ".zip[1]", "must be a text in quotes"),
    ('when = { a = "x" }, receiver = "solna"', ".when.a", "is no field of the form; it has streetAddress"),
    (
        'when = { propertytype = "villa" }, receiver = "solna"',
        ".when.propertytype",
        "Did you mean propertyType?",
    ),
    ('when = { propertyType = "vila" }, receiver = "solna"', ".when.propertyType", "Did you mean villa?"),
    ('when = { box = "yes" }, receiver = "solna"', ".when.box", "known are true, false."),
    ('when = { box = ["yes"] }, receiver = "solna"', ".when.box", "must be a text in quotes"),
]


@pytest.mark.parametrize(("text", "key", "message"), BAD_ROUTES)
def test_a_wrong_route_is_told(tmp_path: Path, text: str, key: str, message: str) -> None:
    found = mistakes(
        tmp_path,
        f'{MINIMAL}preset = "vardering"\nfields = [{{ name = "box", type = "checkbox", label = "x" }}]\n'
        f'routes = [{{ {text} }}, {{ when = {{ box = true, rooms = 3 }}, receiver = "solna" }}]\n[receivers.solna]\n',
    )
    assert message in found.pop(f"{FORM}.routes[1]{key}")
    assert set(found) <= {f"{FORM}.routes[1]"}


def test_a_last_route_without_a_receiver_is_told_what_a_route_has(tmp_path: Path) -> None:
    assert mistakes(tmp_path, f"{MINIMAL}routes = [{{}}]") == {
        f"{FORM}.routes[1].receiver": "is missing; a route names its receiver",
        f"{FORM}.routes[1]": 'has neither zip nor when; add one, such as zip = ["111-118"]',
    }


def test_a_route_by_postcode_needs_the_field(tmp_path: Path) -> None:
    found = mistakes(tmp_path, f'{MINIMAL}routes = [{{ zip = ["111"], receiver = "a" }}]\n[receivers.a]')
    assert found == {
        f"{FORM}.routes[1].zip": 'needs the field zipCode on the form; add [[…fields]] with name = "zipCode"'
    }


@pytest.mark.parametrize("logo", ["/static/logo.svg", "https://cdn.example.se/logo.svg?v=2"])
def test_a_logo_stands_here_or_behind_https(tmp_path: Path, logo: str) -> None:
    assert read_form(tmp_path, f'theme = {{ logo = "{logo}" }}').theme.logo == logo


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ("www.example.se", "has no scheme; write https://www.example.se"),
        ("https://www.example.se/", "without a slash or path; write https://www.example.se"),
        ("https://www.example.se/salj?x=1", "without a slash or path; write https://www.example.se"),
        ("https://*.example.se", "may not have a wildcard; list every origin"),
        ("*", "may not have a wildcard; list every origin"),
        ("null", "has no scheme"),
        ("ftp://example.se", "must begin with https://"),
        ("https://", "is no origin"),
        ("https://exa mple.se", "is no origin"),
        ("https://example.se:99999", "is no origin"),
        ("https://a..se", "is no origin"),
        ("https://under_score.se", "is no origin"),
        ("https://me@example.se", "write https://example.se"),
    ],
)
def test_a_wrong_origin_is_told_what_would_be_right(tmp_path: Path, origin: str, message: str) -> None:
    found = mistakes(tmp_path, f'{MINIMAL}allowed_origins = ["{origin}"]')
    assert message in found[f"{FORM}.allowed_origins[1]"]


LOGIN = '[vitec.own]\nusername = "u"\n'

BAD_LOGINS: list[tuple[str, str, str]] = [
    (f'{LOGIN}password_env = "P"\nread = {{ password_env = "P", user = "u" }}', "vitec.own.read.user",
     "Known here are password_file, password_env."),
    (LOGIN, "vitec.own", "has no password; add password_file or password_env"),
    ('[vitec.own]\npassword_env = "P"\n', "vitec.own.username", "is missing"),
    (f'{LOGIN}password_env = "P"\npassword_file = "good"\n', "vitec.own", "has both password_file and password_env"),
    (f'{LOGIN}password_file = "away"\n', "vitec.own.password_file", "which cannot be read: No such file"),
    (f'{LOGIN}password_file = "empty"\n', "vitec.own.password_file", "which is empty"),
    (f'{LOGIN}password_file = "binary"\n', "vitec.own.password_file", "which is no UTF-8 text"),
    (f'{LOGIN}password_file = "good"\n', "vitec.own.password_file", "is open to every user of this machine"),
    (f'{LOGIN}password_env = "AWAY"\n', "vitec.own.password_env", "names AWAY, which is not set or empty"),
    (f'{LOGIN}password_env = "P"\n[vitec.own.read]\n', "vitec.own.read", "has no password"),
    (f'{LOGIN}password_env = "P"\npassword = "p"\n', "vitec.own.password", "Did you mean password_env?"),
    (f'{LOGIN}password_env = "P"\nbase_url = "http://vitec.example"\n', "vitec.own.base_url",
     "must begin with https://"),
    (f'{LOGIN}password_env = "P"\nbase_url = "vitec"\n', "vitec.own.base_url", "is no address"),
    (f'{LOGIN}password_env = "P"\nbase_url = "https://u:p@vitec.example"\n', "vitec.own.base_url", "no login"),
    ('[vitec.default]\nusername = "u"\npassword_env = "P"\n', "vitec.default", "LEADGATE_VITEC_USERNAME"),
    ('[vitec."a b"]\nusername = "u"\npassword_env = "P"\n', "vitec.a b", "is no name"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "message"), BAD_LOGINS)
def test_a_wrong_login_is_told(tmp_path: Path, text: str, key: str, message: str) -> None:
    (tmp_path / "good").touch(0o644)
    (tmp_path / "good").write_text("p")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")
    found = mistakes(tmp_path, MINIMAL + text, environ={"P": "p"})
    assert list(found) == [key]
    assert message in found[key]


def test_a_live_form_needs_the_login_of_the_environment(tmp_path: Path) -> None:
    text = f'[defaults]\nvitec = "default"\n{MINIMAL}[receivers.a]\nvitec = "default"\n[receivers.b]\nvitec = "x"\n'
    found = mistakes(tmp_path, text, login=None)
    assert list(found) == ["defaults.vitec", "receivers.a.vitec", "receivers.b.vitec"]
    assert "set LEADGATE_VITEC_USERNAME" in found["defaults.vitec"]
    assert found["receivers.b.vitec"] == '"x" is not a login; the file has default.'


def test_a_file_without_receivers_says_so(tmp_path: Path) -> None:
    found = mistakes(tmp_path, f'{MINIMAL}receiver = "a"')
    assert found == {f"{FORM}.receiver": '"a" is not a receiver; the file has none.'}


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ('hash = "hunter2"', "hash", "is no hash; write the SHA-256 of the key"),
        ("hash = '$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA'", "hash", "is no hash; write the SHA-256"),
        (f'hash = "{"0" * 64}"\nforms = []', "forms", "is an empty list"),
        (f'hash = "{"0" * 64}"\nrate = "fast"', "rate", 'write one such as "120/minute, 1000/hour"'),
    ],
)
def test_a_wrong_api_key_is_told_without_being_repeated(
    tmp_path: Path, text: str, key: str, message: str
) -> None:
    found = mistakes(tmp_path, f"{MINIMAL}[api_keys.a]\n{text}\n")
    assert list(found) == [f"api_keys.a.{key}"]
    assert message in found[f"api_keys.a.{key}"]
    assert "hunter2" not in str(found)


def test_tables_that_are_none_are_told_and_nothing_more(tmp_path: Path) -> None:
    text = "vitec = 3\nforms = 3\nreceivers = [1]\ndefaults = 'x'\n[api_keys]\na = 1\n"
    assert mistakes(tmp_path, text) == dict.fromkeys(
        ("defaults", "forms", "receivers", "vitec", "api_keys.a"), "must be a table"
    )


# -- Whatever is written, only mistakes are raised

EXAMPLE: dict[str, Any] = {
    "defaults": {
        "languages": ["sv"],
        "privacy": {"retention": {"delivered": "30d"}},
        "fields": [{"name": "city"}],
    },
    "forms": {
        "kontakt": {
            "preset": "vardering",
            "contact_type": "company",
            "title": {"sv": "Hej", "en": "Hello"},
            "customer_id": "M1",
            "assigned_to_id": "a",
            "lead_source_id": "b",
            "receiver": "solna",
            "routes": [{"zip": ["111-118"], "when": {"rooms": "3"}, "receiver": "solna"}],
            "fields": [{"name": "name"}, {"name": "a", "type": "select", "label": "x", "options": ["b"]}],
            "consents": {"news": {"label": "x"}},
            "theme": {"accent": "#fff"},
            "privacy": {"notice": "x"},
            "spam": {"quarantine_at": 2},
        }
    },
    "receivers": {"solna": {"vitec": "own"}},
    "vitec": {"own": {"username": "u", "password_env": "P", "read": {"password_env": "P"}}},
    "api_keys": {"k": {"hash": "0" * 64, "forms": ["kontakt"]}},
}
ODD = st.sampled_from(
    [3, 0.5, True, "", "name", "x y", [], [1], [{}], {}, {"sv": "x"}, {"name": {}}, [["x"]]]
)


def paths_of(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    return [(*at, key) for key, _ in children] + [
        path for key, child in children for path in paths_of(child, (*at, key))
    ]


def to_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {to_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(to_toml(one) for one in value) + "]"
    return json.dumps(value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(paths_of(EXAMPLE)), ODD), min_size=1, max_size=3))
def test_whatever_is_written_only_mistakes_are_raised(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    content = json.loads(json.dumps(EXAMPLE))
    for path, value in changes:
        node = content
        try:
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue
    text = "\n".join(f"{json.dumps(key)} = {to_toml(value)}" for key, value in content.items())
    try:
        read_text(tmp_path, text, environ={"P": "p"})
    except ConfigurationError as error:
        assert error.mistakes  # noqa: PT017 - either outcome is right
