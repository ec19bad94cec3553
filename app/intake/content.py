"""What was filled in, as the agent reads it."""

from collections.abc import Mapping
from typing import Any

from app.forms.model import Field, FieldType, Form, Text
from app.intake.definition import Definition, Values
from app.intake.people import split_name
from app.intake.text import mask_identity_numbers
from app.lead import Answer, Consent, Contact

_YES: Text = {"sv": "Ja", "en": "Yes"}


def mask_values(values: Values, definition: Definition) -> Values:
    """The values without anybody's personnummer in what a visitor wrote, or what her page put beside it."""
    free, hidden = definition.free_texts, definition.hidden
    return {
        name: mask_identity_numbers(value, bare=name in free)
        if (name in free or name in hidden) and isinstance(value, str)
        else value
        for name, value in values.items()
    }


def write_values(values: Values, definition: Definition) -> Values:
    """The values of the form's fields in the agency's words: an option's label, "Ja"."""
    language = definition.form.languages[0]
    return values | {
        field.name: _write_value(field, values[field.name], language)
        for field in definition.reworded
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
