"""From a raw submission, page's or API's, to a checked enquiry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.errors import FieldError, SubmissionRefused
from app.forms.model import Field, FieldType, Form, Forms, Text
from app.forms.routing import choose_receiver
from app.i18n import choose_language, describe_error, get_translations
from app.intake.attribution import Sources, attribute
from app.intake.definition import Definition, Problem, Values
from app.intake.people import parse_phone, split_name, suggest_email
from app.intake.text import clean_line, mask_identity_numbers
from app.lead import Answer, Consent, Contact, Enquiry, Note, Notice

_YES_NO: Text = {"sv": "Ja", "en": "Yes"}
# A caller's clock may run ahead a little; nobody was shown a notice tomorrow.
_CLOCK_TOLERANCE = timedelta(minutes=5)
_OLDEST_NOTICE = timedelta(days=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known of a submission beside its body."""

    now: datetime
    language: str | None = None
    """An explicit wish, `?lang=`; the body's `language` goes before it."""
    accept_language: str | None = None
    query: Sequence[tuple[str, str]] = ()
    referer: str | None = None
    own_hosts: frozenset[str] = frozenset()
    page_shown_at: datetime | None = None
    """When our own page, notice and all, was made for this visitor."""
    notes: tuple[Note, ...] = field(default=())


def check_submission(
    raw: Mapping[str, Any], definition: Definition, forms: Forms, *, circumstances: Circumstances
) -> Enquiry:
    """The enquiry in it. Raises SubmissionRefused with every field's error, in the visitor's language."""
    form = definition.form
    body = {key: value for key, value in raw.items() if key.lower() not in definition.parameter_names}
    campaign = {key: value for key, value in raw.items() if key.lower() in definition.parameter_names}
    language, language_notes = _choose_language(body.get("language"), form, circumstances)
    values, problems = definition.check(body)
    phone, unreadable, phone_problem = _read_phone(values, problems, form)
    notice, notice_problem = _read_notice(values.get("notice"), form, language, circumstances)
    problems += [problem for problem in (phone_problem, notice_problem) if problem]
    if problems:
        raise SubmissionRefused(_describe(problems, form, language))
    attribution = attribute(
        Sources(
            marketing=values.get("marketing"),
            fields=campaign,
            query=circumstances.query,
            page_url=values.get("pageUrl"),
            referer=circumstances.referer,
        ),
        parameters=definition.parameters,
        own_hosts=circumstances.own_hosts,
    )
    answers, masked = _read_answers(values, form)
    message = mask_identity_numbers(values.get("message", ""))
    masked |= message != values.get("message", "")
    receiver, receiver_notes = _read_receiver(values.get("receiver"))
    choice = choose_receiver(
        form, forms, wanted=receiver, zip_code=values.get("zipCode"), values=_as_texts(values)
    )
    return Enquiry(
        language=language,
        contact=_read_contact(values, phone),
        message=message,
        answers=answers,
        unreadable_phone=unreadable,
        consents=_read_consents(values.get("consents"), form, language),
        notice=notice,
        marketing=attribution.marketing,
        page_url=attribution.page_url,
        receiver=choice.receiver,
        receiver_reason=choice.reason,
        notes=(
            *circumstances.notes,
            *language_notes,
            *receiver_notes,
            *attribution.notes,
            *([choice.note] if choice.note else []),
            *([Note(code="personnummer_masked")] if masked else []),
            *([Note(code="phone_unreadable")] if unreadable else []),
            *_hint_at_typo(values.get("email")),
        ),
    )


def choose_form_language(form: Form, *, wanted: str | None, accept_language: str | None) -> str:
    return choose_language(form.languages, wanted, accept_language=accept_language)


def _choose_language(wish: Any, form: Form, circumstances: Circumstances) -> tuple[str, tuple[Note, ...]]:
    usable = wish if isinstance(wish, str) and wish in form.languages else None
    language = choose_language(
        form.languages, usable, circumstances.language, accept_language=circumstances.accept_language
    )
    dropped = wish is not None and usable is None
    return language, (Note(code="language_dropped", detail="not one of the form's"),) if dropped else ()


def _read_phone(
    values: Values, problems: Sequence[Problem], form: Form
) -> tuple[str | None, str | None, Problem | None]:
    typed = values.get("phone")
    if not isinstance(typed, str) or any(problem.field == "phone" for problem in problems):
        return None, None, None
    if number := parse_phone(typed, region=form.phone_region):
        return number, None, None
    if "email" in values:
        return None, typed, None
    return None, None, Problem("phone", "invalid_phone")


def _read_notice(
    given: Mapping[str, str | None] | None, form: Form, language: str, circumstances: Circumstances
) -> tuple[Notice | None, Problem | None]:
    if circumstances.page_shown_at is not None:
        version = (given or {}).get("version") or form.privacy.version
        return _notice(form, language, version, circumstances.page_shown_at), None
    if not given:
        return None, None
    shown_at = None
    if moment := given.get("shownAt"):
        shown_at = _read_moment(moment)
        now = circumstances.now
        if shown_at is None or not now - _OLDEST_NOTICE < shown_at < now + _CLOCK_TOLERANCE:
            return None, Problem("notice.shownAt", "invalid_notice")
        shown_at = min(shown_at, now)
    return _notice(form, language, given.get("version") or form.privacy.version, shown_at), None


def _notice(form: Form, language: str, version: str, shown_at: datetime | None) -> Notice:
    # A caller that names another version showed another text, which we do not have.
    text = form.privacy.notice[language] if version == form.privacy.version else ""
    return Notice(version=version, text=text, language=language, shown_at=shown_at)


def _read_moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def _read_contact(values: Values, phone: str | None) -> Contact:
    first, last = values.get("firstName"), values.get("lastName")
    if "name" in values and not (first and last):
        first, last = split_name(values["name"])
    return Contact(
        first_name=first,
        last_name=last,
        email=values.get("email"),
        phone=phone,
        company_name=values.get("companyName"),
        corporate_number=values.get("corporateNumber"),
        street_address=values.get("streetAddress"),
        zip_code=values.get("zipCode"),
        city=values.get("city"),
    )


def _read_answers(values: Values, form: Form) -> tuple[tuple[Answer, ...], bool]:
    language = form.languages[0]
    answers, masked = [], False
    for one in form.fields:
        if one.built_in or values.get(one.name) in {None, False}:
            continue
        text = _write_answer(one, values[one.name], language)
        value = mask_identity_numbers(text) if one.type in {FieldType.TEXT, FieldType.TEXTAREA} else text
        masked |= value != text
        answers.append(Answer(name=one.name, label=one.label[language], value=value))
    return tuple(answers), masked


def _write_answer(one: Field, value: Any, language: str) -> str:
    if value is True:
        return _YES_NO.get(language, _YES_NO["en"])
    labels = {option.value: option.label[language] for option in one.options}
    return labels.get(value, str(value))


def _read_consents(given: Mapping[str, bool] | None, form: Form, language: str) -> tuple[Consent, ...]:
    return tuple(
        Consent(
            name=one.name,
            label=one.label[language],
            given=(given or {}).get(one.name, False),
            maps_to=one.maps_to,
        )
        for one in form.consents
    )


def _read_receiver(wish: Any) -> tuple[str | None, tuple[Note, ...]]:
    if wish is None or (isinstance(wish, str) and not wish.strip()):
        return None, ()
    if isinstance(wish, str):
        return clean_line(wish)[:64], ()
    return None, (Note(code="receiver_dropped", detail="no text"),)


def _as_texts(values: Values) -> dict[str, str]:
    booleans = {True: "true", False: "false"}
    return {
        name: booleans[value] if isinstance(value, bool) else value
        for name, value in values.items()
        if isinstance(value, str | bool)
    }


def _hint_at_typo(email: str | None) -> tuple[Note, ...]:
    meant = suggest_email(email) if email else None
    return (Note(code="email_typo_likely", detail=meant.rpartition("@")[2]),) if meant else ()


def _describe(problems: Sequence[Problem], form: Form, language: str) -> list[FieldError]:
    translations = get_translations(language)
    order = {one.name: place for place, one in enumerate(form.fields)}
    ordered = sorted(problems, key=lambda problem: order.get(problem.field, len(order)))
    return [
        FieldError(
            field=problem.field,
            code=problem.code,
            detail=describe_error(
                problem.code,
                translations=translations,
                label=find_label(form, problem.field, language),
                limit=problem.limit,
            ),
        )
        for problem in ordered
    ]


def find_label(form: Form, name: str, language: str) -> str:
    """What a field is called on the page; its own name where the page does not show it."""
    if (shown := form.field(name)) is not None:
        return shown.label[language]
    consent = next((one for one in form.consents if f"consents.{one.name}" == name), None)
    return consent.label[language] if consent else name[:80]
