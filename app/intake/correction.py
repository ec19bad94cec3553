"""A lead's own words put right by a person: checked as the visitor's were, by the same definition."""

from collections.abc import Mapping
from dataclasses import fields, replace

from app.errors import SubmissionRefused
from app.intake.content import mask_values, read_contact, write_values
from app.intake.definition import Definition, Values
from app.intake.refusal import Problem, describe_problems
from app.intake.submission import MASKED
from app.intake.text import mask_identity_numbers
from app.lead import Enquiry, Lead, Note
from app.phones import parse_phone

_OF_CONTACT = {
    "firstName": "first_name",
    "lastName": "last_name",
    "email": "email",
    "phone": "phone",
    "companyName": "company_name",
    "corporateNumber": "corporate_number",
    "streetAddress": "street_address",
    "zipCode": "zip_code",
    "city": "city",
}
CORRECTABLE = (*_OF_CONTACT, "message")
"""Who asked, and in which words. What was answered in the form's own fields stands as it was kept."""

_MISSING = frozenset({"required", "email_or_phone_required"})


def read_typed(lead: Enquiry) -> dict[str, str]:
    """The values that may be corrected, as they would have been typed."""
    contact = {name: getattr(lead.contact, attribute) or "" for name, attribute in _OF_CONTACT.items()}
    return contact | {"phone": contact["phone"] or lead.unreadable_phone or "", "message": lead.message}


def correct(lead: Lead, typed: Mapping[str, str], definition: Definition, *, language: str) -> Enquiry:
    """The lead's enquiry with these values in it. What was left as it is stays so, whatever the form says today.

    Raises SubmissionRefused with every field's error, in a language of the form's.
    """
    known = read_typed(lead)
    given = {name: typed.get(name, known[name]) for name in CORRECTABLE}
    changed = {name for name in CORRECTABLE if given[name].strip() != known[name].strip()}
    values, problems = definition.check({name: value for name, value in given.items() if value.strip()})
    problems = [problem for problem in problems if _is_told(problem, changed)]
    values = {name: values[name] for name in CORRECTABLE if name in values and name in changed}
    values |= {name: known[name] for name in CORRECTABLE if name not in changed and known[name]}
    phone = parse_phone(values.get("phone", ""), region=definition.form.phone_region)
    if "phone" in values and phone is None and "email" not in values:
        problems.append(Problem("phone", "invalid_phone"))
    if problems:
        raise SubmissionRefused(describe_problems(problems, definition.form, language))
    return _rewrite(lead, values, changed, phone=phone, definition=definition)


def _is_told(problem: Problem, changed: set[str]) -> bool:
    if problem.code in _MISSING:
        return problem.field == "name" or problem.field in CORRECTABLE
    return problem.field in changed


def _rewrite(
    lead: Lead, values: Values, changed: set[str], *, phone: str | None, definition: Definition
) -> Enquiry:
    masked = mask_values(values, definition)
    written = masked | write_values({name: masked[name] for name in changed & masked.keys()}, definition)
    typed = values.get("phone", "") if phone is None else ""
    unreadable = mask_identity_numbers(typed)
    note = Note(code=MASKED)
    is_news = (masked != values or unreadable != typed) and note not in lead.notes
    enquiry = Enquiry(**{one.name: getattr(lead, one.name) for one in fields(Enquiry)})
    return replace(
        enquiry,
        contact=read_contact(written, phone),
        message=written.get("message", ""),
        unreadable_phone=unreadable or None,
        notes=(*lead.notes, note) if is_news else lead.notes,
    )


def list_changes(lead: Enquiry, corrected: Enquiry) -> tuple[str, ...]:
    """The names of the fields that differ."""
    before, after = read_typed(lead), read_typed(corrected)
    return tuple(name for name in CORRECTABLE if before[name] != after[name])
