"""The languages: their choice, their catalogs, and that nothing is left untranslated."""

import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from app.i18n import (
    LOCALE,
    choose_language,
    describe_error,
    describe_problem,
    describe_suggestion,
    get_translations,
    name_language,
)

ROOT = Path(__file__).resolve().parent.parent
BOTH = ("sv", "en")
CODES = (
    "required",
    "email_or_phone_required",
    "too_long",
    "too_small",
    "invalid_email",
    "invalid_phone",
    "invalid_postcode",
    "invalid_number",
    "invalid_option",
    "invalid_type",
    "unknown_field",
    "invalid_notice",
    "invalid_consent",
)


def read_swedish() -> Catalog:
    with (LOCALE / "sv" / "LC_MESSAGES" / "leadgate.po").open("rb") as source:
        return read_po(source, locale="sv")


def extract_messages() -> set[str]:
    with (ROOT / "babel.cfg").open(encoding="utf-8") as source:
        methods, options = parse_mapping_cfg(source)  # type: ignore[no-untyped-call]
    # The two directories alone: walking all of a checkout would walk what else lies in it.
    found: set[str] = set()
    for part in ("app", "templates"):
        wanted = [
            (pattern.removeprefix(f"{part}/"), method) for pattern, method in methods if part in pattern
        ]
        local = {pattern.removeprefix(f"{part}/"): chosen for pattern, chosen in options.items()}
        for _, _, message, _, _ in extract_from_dir(ROOT / part, wanted, local):
            found.add(message if isinstance(message, str) else message[0])
    return found


def test_swedish_has_every_message_and_no_stale_or_doubtful_one() -> None:
    catalog = read_swedish()
    translated = {
        message.id if isinstance(message.id, str) else message.id[0]: message
        for message in catalog
        if message.id
    }
    assert set(translated) == extract_messages()
    assert not catalog.obsolete
    for message in translated.values():
        assert not message.fuzzy, message.id
        assert all(message.string if isinstance(message.string, tuple) else [message.string]), message.id


def test_a_translation_has_the_blanks_of_its_message() -> None:
    for message in read_swedish():
        if isinstance(message.id, str) and "{" in message.id:
            blanks = [
                {name for _, name, _, _ in Formatter().parse(str(text))}
                for text in (message.id, message.string)
            ]
            assert blanks[0] == blanks[1], message.id


def test_plurals_are_swedish_too() -> None:
    swedish = get_translations("sv")
    one = "One thing needs to be corrected", "%(count)s things need to be corrected"
    assert swedish.ngettext(*one, 1) == "En sak behöver rättas"
    assert swedish.ngettext(*one, 3) == "%(count)s saker behöver rättas"


@pytest.mark.parametrize("language", ["en", "en-GB", "de", "", "../../etc", "sv/../sv", "SV", "é"])
def test_a_language_without_a_catalog_is_english(language: str) -> None:
    assert get_translations(language).gettext("Choose") == "Choose"


@pytest.mark.parametrize("language", ["sv", "sv-SE", "sv-FI"])
def test_a_country_does_not_change_the_catalog(language: str) -> None:
    assert get_translations(language).gettext("Choose") == "Välj"


@pytest.mark.parametrize(
    ("wanted", "header", "chosen"),
    [
        ((), None, "sv"),
        ((), "", "sv"),
        (("en",), None, "en"),
        (("de", "en"), "sv", "en"),
        ((None, "", "en-GB"), None, "en"),
        (("EN",), None, "en"),
        (("sv_SE",), "en", "sv"),
        (("<script>",), "en", "en"),
        ((), "en", "en"),
        ((), "en-US,en;q=0.9,sv;q=0.8", "en"),
        ((), "en;q=0.3, sv;q=0.7", "sv"),
        ((), "de, en;q=0.5", "en"),
        ((), "de, fr", "sv"),
        ((), "*", "sv"),
        ((), "*, en;q=0.5", "sv"),
        ((), "en;q=0, sv", "sv"),
        ((), "en;q=nan, sv;q=0.1", "sv"),
        ((), "en;q=1e9, sv;q=0.1", "sv"),
        ((), "en;q=-1", "sv"),
        ((), "en;level=1", "sv"),
        ((), "en ; q = 0.5", "en"),
        ((), ",;,;;q=,=" * 100_000 + "en", "sv"),
        ((), "x" * 1_000_000, "sv"),
        ((), "en-a," * 400_000, "en"),
        ((), "\x00\r\n\ud800", "sv"),
    ],
)
def test_the_language_is_the_first_that_is_asked_for(
    wanted: tuple[str | None, ...], header: str | None, chosen: str
) -> None:
    assert choose_language(BOTH, *wanted, accept_language=header) == chosen


def test_a_language_with_its_country_is_met_exactly_or_by_its_family() -> None:
    offered = ("en-GB", "en-US", "sv")
    assert choose_language(offered, "en-us", accept_language=None) == "en-US"
    assert choose_language(offered, "en-AU", accept_language=None) == "en-GB"
    assert choose_language(offered, "sv-SE", accept_language=None) == "sv"


@pytest.mark.parametrize(
    ("language", "name"),
    [("sv", "Svenska"), ("en", "English"), ("fi", "Suomi"), ("qqq", "qqq"), ("", ""), ("?", "?")],
)
def test_a_language_is_called_by_its_own_name(language: str, name: str) -> None:
    assert name_language(language) == name


@pytest.mark.parametrize("language", BOTH)
@pytest.mark.parametrize("code", CODES)
def test_every_error_is_a_sentence(language: str, code: str) -> None:
    sentence = describe_error(
        code, translations=get_translations(language), label="Ort {limit} %s", limit=200
    )
    unknown = describe_error("no such", translations=get_translations(language), label="Ort {limit} %s")
    assert sentence.endswith(".")
    assert sentence != unknown
    assert not re.search(r"\{label}|\bNone\b", sentence)


def test_swedish_errors_are_swedish() -> None:
    swedish, english = get_translations("sv"), get_translations("en")
    for code in CODES:
        assert describe_error(code, translations=swedish, label="x") != describe_error(
            code, translations=english, label="x"
        )


def test_an_error_says_what_would_be_right() -> None:
    swedish = get_translations("sv")
    assert describe_error("required", translations=swedish, label="Förnamn") == "Fyll i ”Förnamn”."
    too_long = describe_error("too_long", translations=swedish, label="Meddelande", limit=5000)
    assert too_long == "”Meddelande” är för långt. Skriv högst 5000 tecken."
    assert "None" not in describe_error("too_long", translations=swedish, label="Meddelande")
    assert describe_error("new_code", translations=swedish, label="Ort") == "Kontrollera ”Ort”."


def test_a_suggestion_is_a_question() -> None:
    asked = describe_suggestion("astrid@example.com", translations=get_translations("sv"))
    assert asked == "Menade du astrid@example.com?"


@pytest.mark.parametrize("language", BOTH)
@pytest.mark.parametrize("status", [400, 403, 404, 405, 413, 415, 422, 429, 500, 503, 504])
def test_a_problem_is_told_in_human_words(language: str, status: int) -> None:
    title, detail = describe_problem(status, translations=get_translations(language))
    assert title
    assert detail.endswith(".")
    assert not re.search(r"\d|HTTP|error|server|Vitec", title + detail, re.IGNORECASE)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "malformed"),
        (400, "invalid-idempotency-key"),
        (404, "unknown-form"),
        (405, "method-not-allowed"),
        (415, "unsupported-media-type"),
        (422, "idempotency-key-reused"),
    ],
)
def test_what_only_a_developer_can_cause_is_told_to_a_developer(status: int, kind: str) -> None:
    swedish, english = get_translations("sv"), get_translations("en")
    told = describe_problem(status, kind=kind, translations=english)
    assert told[1] != describe_problem(status, translations=english)[1]
    assert told[1] != describe_problem(status, kind=kind, translations=swedish)[1]
    assert describe_problem(status, kind="else", translations=english) == describe_problem(
        status, translations=english
    )
