"""The languages of the pages: catalogs, the choice between them, and the sentences visitors are told."""

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

DOMAIN = "leadgate"
LOCALE = Path(__file__).resolve().parent / "locale"
LANGUAGES = ("sv", "en")
"""Those of the texts here, for answers that belong to no form."""

_LANGUAGE = re.compile(r"([a-z]{2,3})(?:[-_][A-Za-z0-9]+)*")
_ACCEPTED = re.compile(r"([a-z]{2,3}(?:-[a-z0-9]+)*|\*)(?:;q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?")
_ACCEPT_LANGUAGE_LIMIT = 1000  # characters; browsers send some forty, and the rest is somebody's experiment


@cache
def get_translations(language: str) -> NullTranslations:
    """The catalog of a language, compiled in memory; English, the language of the code, where there is none."""
    match = _LANGUAGE.fullmatch(language)
    path = LOCALE / (match[1] if match else "en") / "LC_MESSAGES" / f"{DOMAIN}.po"
    if not path.is_file():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, domain=DOMAIN))
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)


def name_language(language: str) -> str:
    """A language by its own name, as a visitor looks for it: `Svenska`. Its code where nobody knows it."""
    try:
        name = Locale.parse(language, sep="-").get_display_name() or language
    except (UnknownLocaleError, ValueError):
        return language
    return name[:1].upper() + name[1:]


def choose_language(languages: Sequence[str], *wanted: str | None, accept_language: str | None) -> str:
    """The first of `languages` that is asked for: explicit wishes in their order, then the header's, then [0].

    `sv-SE` is content with `sv`, and `en` with `en-GB`. The header is read as RFC 9110 §12.5.4 has it; what
    cannot be read is passed over.
    """
    return _choose(tuple(languages), wanted, accept_language or "")


# The same few combinations come with nearly every request.
@lru_cache(maxsize=512)
def _choose(languages: tuple[str, ...], wanted: tuple[str | None, ...], header: str) -> str:
    for wish in (*wanted, *_read_accept_language(header)):
        code = (wish or "").strip().replace("_", "-").lower()
        if code == "*":
            break
        for language in languages:
            if language.lower() == code:
                return language
        for language in languages:
            if language.lower().partition("-")[0] == code.partition("-")[0]:
                return language
    return languages[0]


def _read_accept_language(header: str) -> list[str]:
    accepted: list[tuple[float, str]] = []
    for part in header[:_ACCEPT_LANGUAGE_LIMIT].lower().split(","):
        match = _ACCEPTED.fullmatch("".join(part.split()))
        if match and (quality := float(match[2] or 1)) > 0:
            accepted.append((quality, match[1]))
    return [code for _, code in sorted(accepted, key=lambda item: -item[0])]


def describe_error(
    code: str, *, translations: NullTranslations, label: str, limit: float | None = None
) -> str:
    """What is wrong with a field and what would be right. `limit` is in characters for `too_long`."""
    sentence = _error_sentences(translations.gettext, limited=limit is not None).get(code)
    if sentence is None:
        sentence = translations.gettext("Please check “{label}”.")
    return sentence.format(label=label, limit=limit)


def _error_sentences(gettext: Callable[[str], str], *, limited: bool) -> dict[str, str]:
    return {
        "required": gettext("Please fill in “{label}”."),
        "email_or_phone_required": gettext(
            "Please give an email address or a phone number, so that we can answer you."
        ),
        "too_long": gettext("“{label}” is too long. Please use at most {limit} characters.")
        if limited
        else gettext("“{label}” is too long. Please shorten it."),
        "too_small": gettext("“{label}” must be at least {limit}."),
        "invalid_email": gettext("Please check the email address. It should look like name@example.com."),
        "invalid_phone": gettext(
            "Please check the phone number. Write it like 070-174 06 05,"
            " or with a country code, like +46 70 174 06 05."
        ),
        "invalid_postcode": gettext("Please check the postcode. It has five digits, like 123 45."),
        "invalid_number": gettext("Please write “{label}” in figures, like 75."),
        "invalid_option": gettext("Please choose one of the options for “{label}”."),
        "invalid_type": gettext("“{label}” was sent as the wrong kind of value."),
        "unknown_field": gettext("This form has no field called “{label}”."),
        "invalid_notice": gettext(
            "The privacy notice should be given by its version and the time at which it was shown."
        ),
        "invalid_consent": gettext("Please answer yes or no to “{label}”."),
        "proof_required": gettext("Please let your browser do a little work first. It keeps robots out."),
    }


def describe_suggestion(suggestion: str, *, translations: NullTranslations) -> str:
    """The hint beside an e-mail address that looks mistyped."""
    return translations.gettext("Did you mean {suggestion}?").format(suggestion=suggestion)


def describe_masked(*, translations: NullTranslations) -> str:
    """The hint beside a text in which somebody's personnummer stands."""
    return translations.gettext("A personal identity number is never needed here. It will be masked.")


def describe_problem(
    status: int, *, translations: NullTranslations, kind: str | None = None
) -> tuple[str, str]:
    """Title and explanation of an HTTP status for a visitor, who has never heard of one.

    A problem of a `kind` that only a developer can cause is told in a developer's words.
    """
    gettext = translations.gettext
    told = _developer_sentences(gettext).get(kind or "") or _problem_sentences(gettext).get(status)
    return told or (
        gettext("Something went wrong on our side"),
        gettext(
            "We are sorry. Please try again in a moment. If it does not help, contact us by phone or email."
        ),
    )


def _developer_sentences(gettext: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    return {
        "malformed": (
            gettext("We could not read what was sent"),
            gettext("Send one complete and valid JSON object."),
        ),
        "unsupported-media-type": (
            gettext("We could not read what was sent"),
            gettext("Send the body as application/json."),
        ),
        "method-not-allowed": (
            gettext("The address cannot be used that way"),
            gettext("The Allow header names the methods that it takes."),
        ),
        "unknown-form": (
            gettext("There is no such form"),
            gettext("No form of that name is in the forms file."),
        ),
        "invalid-idempotency-key": (
            gettext("The Idempotency-Key cannot be used"),
            gettext("It has 1 to 255 printable ASCII characters."),
        ),
        "key-required": (
            gettext("An API key is needed"),
            gettext("Send the header Authorization: Bearer with a key that the forms file knows."),
        ),
        "key-not-allowed": (
            gettext("The API key is not for this form"),
            gettext("The key's forms are listed in the forms file."),
        ),
        "proof-required": (
            gettext("Some work is asked for first"),
            gettext(
                "Solve the member “challenge” (ALTCHA, version 2) and send the same again with the solution in"
                " the field “altcha”."
            ),
        ),
        "idempotency-key-reused": (
            gettext("The Idempotency-Key was used before, with other content"),
            gettext("Use a new key for a new lead."),
        ),
    }


def _problem_sentences(gettext: Callable[[str], str]) -> dict[int, tuple[str, str]]:
    return {
        400: (
            gettext("We could not read what was sent"),
            gettext("Please go back to the form and try once more."),
        ),
        403: (
            gettext("The form cannot be used from this page"),
            gettext(
                "The page you came from is not set up to send to us."
                " Please open the form directly, or contact us by phone or email."
            ),
        ),
        404: (
            gettext("We cannot find the page"),
            gettext("The address may be misspelt, or the page may have moved."),
        ),
        405: (
            gettext("The page cannot be used that way"),
            gettext("Please open the form and send it from there."),
        ),
        413: (
            gettext("That was too much text for us"),
            gettext("Please shorten your message and send it again."),
        ),
        415: (
            gettext("We could not read what was sent"),
            gettext("Please go back to the form and try once more."),
        ),
        422: (
            gettext("Something needs to be corrected"),
            gettext("Nothing has been sent yet. Please correct what is named here and send it again."),
        ),
        429: (
            gettext("Many messages have come from your network"),
            gettext(
                "To keep robots out we pause for a while. Please wait a few minutes and try again."
                " If it is urgent, contact us by phone or email."
            ),
        ),
        503: (
            gettext("We cannot receive your message right now"),
            gettext(
                "Nothing has been sent. Please wait a minute and try again."
                " If it is urgent, contact us by phone or email."
            ),
        ),
    }
