"""From a raw submission, page's or API's, to a checked enquiry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.errors import SubmissionRefused
from app.forms.model import FieldType, Form, Forms
from app.forms.routing import Choice, choose_receiver
from app.i18n import choose_language
from app.intake.attribution import Attribution, Sources, attribute
from app.intake.content import mask_values, read_answers, read_consents, read_contact, write_values
from app.intake.definition import Definition, Values
from app.intake.notice import read_notice
from app.intake.people import suggest_email
from app.intake.refusal import Problem, describe_problems
from app.intake.text import clean_line, mask_identity_numbers
from app.lead import Enquiry, Note
from app.phones import parse_phone

TYPO_LIKELY = "email_typo_likely"
"""A note whose detail is the domain that was probably meant."""
MASKED = "personnummer_masked"
"""A note that somebody's personnummer was made unreadable before anything was kept."""


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
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """A submission without a fault in it."""

    values: Values
    phone: str | None
    unreadable_phone: str | None
    language: str
    campaign: Mapping[str, Any]
    notes: tuple[Note, ...]


def check_submission(
    raw: Mapping[str, Any], definition: Definition, forms: Forms, *, circumstances: Circumstances
) -> Enquiry:
    """The enquiry in it. Raises SubmissionRefused with every field's error, in the visitor's language."""
    form = definition.form
    checked = _check(raw, definition, circumstances)
    values, language = checked.values, checked.language
    attribution = _attribute(checked, definition, circumstances)
    choice, receiver_notes = _choose_receiver(values, form, forms)
    notice, notice_notes = read_notice(
        values.get("notice", {}),
        form,
        language=language,
        page_shown_at=circumstances.page_shown_at,
        now=circumstances.now,
    )
    masked = mask_values(values, definition)
    unreadable = mask_identity_numbers(checked.unreadable_phone or "") or None
    written = write_values(masked, definition)
    return Enquiry(
        language=language,
        contact=read_contact(written, checked.phone),
        message=written.get("message", ""),
        answers=read_answers(written, form),
        unreadable_phone=unreadable,
        consents=read_consents(values.get("consents", {}), form, language),
        notice=notice,
        marketing=attribution.marketing,
        page_url=attribution.page_url,
        receiver=choice.receiver,
        receiver_reason=choice.reason,
        notes=(
            *circumstances.notes,
            *checked.notes,
            *notice_notes,
            *receiver_notes,
            *attribution.notes,
            *_note_changes(checked, form, masked=masked != values or unreadable != checked.unreadable_phone),
        ),
    )


def _check(raw: Mapping[str, Any], definition: Definition, circumstances: Circumstances) -> _Checked:
    form = definition.form
    campaign = {
        name: raw[name]
        for name in raw
        if name not in definition.known and name.lower() in definition.parameter_names
    }
    body = {name: value for name, value in raw.items() if name not in campaign} if campaign else raw
    values, problems = definition.check(body)
    language, notes = _choose_language(values.get("language"), form, circumstances)
    typed = values.get("phone")
    phone = parse_phone(typed, region=form.phone_region) if typed else None
    if typed and phone is None and "email" not in values:
        problems.append(Problem("phone", "invalid_phone"))
    if problems:
        raise SubmissionRefused(describe_problems(problems, form, language))
    return _Checked(
        values=values,
        phone=phone,
        unreadable_phone=None if phone else typed,
        language=language,
        campaign=campaign,
        notes=notes,
    )


def choose_form_language(form: Form, *, wanted: str | None, accept_language: str | None) -> str:
    return choose_language(form.languages, wanted, accept_language=accept_language)


def _choose_language(wish: Any, form: Form, circumstances: Circumstances) -> tuple[str, tuple[Note, ...]]:
    text = wish if isinstance(wish, str) else ""
    # What is none of the form's falls back to the empty one.
    if chosen := choose_language(("", *form.languages), text, accept_language=None):
        return chosen, ()
    language = choose_form_language(
        form, wanted=circumstances.language, accept_language=circumstances.accept_language
    )
    return language, () if wish is None else (Note(code="language_dropped", detail="not one of the form's"),)


def _attribute(checked: _Checked, definition: Definition, circumstances: Circumstances) -> Attribution:
    return attribute(
        Sources(
            marketing=checked.values.get("marketing"),
            fields=checked.campaign,
            query=circumstances.query,
            page_url=checked.values.get("pageUrl"),
            referer=circumstances.referer,
        ),
        parameters=definition.parameters,
        own_hosts=circumstances.own_hosts,
    )


def _choose_receiver(values: Values, form: Form, forms: Forms) -> tuple[Choice, tuple[Note, ...]]:
    wish = values.get("receiver")
    wanted = clean_line(wish) if isinstance(wish, str) else None
    choice = choose_receiver(
        form,
        forms,
        wanted=wanted,
        zip_code=values.get("zipCode"),
        values=_as_texts(values) if form.routes else {},
    )
    if wish is not None and wanted is None:
        return choice, (Note(code="receiver_dropped", detail="no text"),)
    return choice, (choice.note,) if choice.note else ()


def _as_texts(values: Values) -> dict[str, str]:
    booleans = {True: "true", False: "false"}
    return {
        name: booleans[value] if isinstance(value, bool) else value
        for name, value in values.items()
        if isinstance(value, str | bool)
    }


def _note_changes(checked: _Checked, form: Form, *, masked: bool) -> Iterator[Note]:
    """What became of the visitor's own words, and what she may have meant."""
    values = checked.values
    if masked:
        yield Note(code=MASKED)
    if checked.unreadable_phone:
        yield Note(code="phone_unreadable")
    for field in form.fields:
        if field.type is FieldType.HIDDEN and len(values.get(field.name, "")) > field.max_length:
            yield Note(code="hidden_field_cut", detail=field.name)
    if meant := suggest_email(values.get("email", "")):
        yield Note(code=TYPO_LIKELY, detail=meant.rpartition("@")[2])
