"""What was filled in, as the agent reads it."""

from collections.abc import Mapping
from typing import Any

from app.forms.model import Field, FieldType, Form, Text
from app.intake.definition import Values
from app.intake.people import split_name
from app.intake.text import mask_identity_numbers
from app.lead import Answer, Consent, Contact

_YES: Text = {"sv": "Ja", "en": "Yes"}
_FREE_TEXT = frozenset({FieldType.TEXT, FieldType.TEXTAREA, FieldType.NUMBER})
# May be its owner's personnummer, and is what the field asks for.
_UNMASKED = frozenset({"corporateNumber"})
_TYPED = ("firstName", "lastName", "name", "message", "streetAddress", "city", "companyName")


def mask_values(values: Values, fields: Mapping[str, Field]) -> Values:
    """The values without anybody's personnummer in what a visitor wrote, or what her page put beside it."""
    own = {name for name, field in fields.items() if field.type in _FREE_TEXT}
    free = (own | {name for name in _TYPED if name not in fields}) - _UNMASKED
    hidden = {name for name, field in fields.items() if field.type is FieldType.HIDDEN}
    return {
        name: mask_identity_numbers(value, bare=name in free)
        if name in free | hidden and isinstance(value, str)
        else value
        for name, value in values.items()
    }


def write_values(values: Values, form: Form) -> Values:
    """The values of the form's fields in the agency's words: an option's label, "Ja"."""
    return values | {
        field.name: _write_value(field, values[field.name], form.languages[0])
        for field in form.fields
        if field.name in values
    }


def _write_value(field: Field, value: Any, language: str) -> Any:
    if value is True:
        return _YES.get(language, _YES["en"])
    if field.type is FieldType.HIDDEN:
        return value[: field.max_length]
    labels = {option.value: option.label[language] for option in field.options}
    return labels.get(value, value)


def read_contact(written: Values, phone: str | None) -> Contact:
    first, last = written.get("firstName"), written.get("lastName")
    if "name" in written and not (first and last):
        first, last = split_name(written["name"])
    return Contact(
        first_name=first,
        last_name=last,
        email=written.get("email"),
        phone=phone,
        company_name=written.get("companyName"),
        corporate_number=written.get("corporateNumber"),
        street_address=written.get("streetAddress"),
        zip_code=written.get("zipCode"),
        city=written.get("city"),
    )


def read_answers(written: Values, form: Form) -> tuple[Answer, ...]:
    """Of the form's own fields; a box that was not ticked is no answer."""
    language = form.languages[0]
    return tuple(
        Answer(name=field.name, label=field.label[language], value=written[field.name])
        for field in form.fields
        if not field.built_in and written.get(field.name, False) is not False
    )


def read_consents(given: Mapping[str, bool], form: Form, language: str) -> tuple[Consent, ...]:
    return tuple(
        Consent(
            name=one.name,
            label=one.label[language],
            given=given.get(one.name, False),
            maps_to=one.maps_to,
        )
        for one in form.consents
    )
