"""A form as its API tells it: fields as JSON Schema, texts by language, the notice and its version."""

import re
from typing import Any

from app.forms.campaign import allowed_parameters, last_touch_parameters
from app.forms.model import BUILT_IN_FIELDS, PROOF, Field, FieldType, Form

Schema = dict[str, Any]

_SHAPES: dict[FieldType, Schema] = {
    FieldType.EMAIL: {"type": "string", "format": "email"},
    FieldType.NUMBER: {"type": ["number", "string"]},
    FieldType.CHECKBOX: {"type": "boolean"},
}
_MOMENT = {"type": "string", "format": "date-time"}

# What is not right in these is dropped, never refused: they have no type.
_CONTEXT: dict[str, Schema] = {
    "language": {"description": "The visitor's language, one of the form's"},
    "receiver": {"description": "A receiver's name from the forms file"},
    "pageUrl": {"description": "The page on which the form was shown"},
    "marketing": {"description": "{referrer, utmTags: [{name, value}]}"},
}
_NOTICE = {
    "type": "object",
    "properties": {"version": {"type": "string"}, "shownAt": _MOMENT},
    "additionalProperties": False,
}
_PROOF = {"description": "The solution of a challenge, by ALTCHA's protocol, version 2"}
# A full name stands for its parts, and a part for a name.
_ALTERNATIVES = {
    "firstName": ("firstName", "name"),
    "lastName": ("lastName", "name"),
    "name": ("name", "firstName", "lastName"),
}
_EXAMPLES: dict[str, Any] = {
    "firstName": "Anna",
    "lastName": "Bergström",
    "name": "Anna Bergström",
    "email": "anna@example.com",
    "phone": "070-174 06 05",
}
_EXAMPLES_BY_TYPE: dict[FieldType, Any] = {
    FieldType.EMAIL: "anna@example.com",
    FieldType.TEL: "070-174 06 05",
    FieldType.NUMBER: 75,
    FieldType.POSTCODE: "169 55",
    FieldType.CHECKBOX: True,
}


def describe_form(form: Form) -> dict[str, Any]:
    return {
        "form": form.name,
        "languages": list(form.languages),
        "title": dict(form.title),
        "intro": dict(form.intro),
        "submitLabel": dict(form.submit_label),
        "thanks": dict(form.thanks),
        "notice": {"version": form.privacy.version, "text": dict(form.privacy.notice)},
        "consents": {one.name: {"label": dict(one.label)} for one in form.consents},
        "parameters": list(last_touch_parameters(form.parameters)),
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": _describe_fields(form),
            "allOf": _describe_conditions(form),
        },
    }


def describe_lead(form: Form) -> Schema:
    """All that the API takes for a form; any other key is refused."""
    built_ins = {name: {"type": "string"} for name in BUILT_IN_FIELDS}
    names = "|".join(map(re.escape, allowed_parameters(form.parameters)))
    return {
        "type": "object",
        "properties": built_ins | _describe_fields(form) | {"notice": _NOTICE, PROOF: _PROOF} | _CONTEXT,
        "patternProperties": {f"^(?:{names})$": {"description": "A campaign parameter"}},
        "additionalProperties": False,
        "allOf": _describe_conditions(form),
    }


def _describe_fields(form: Form) -> dict[str, Schema]:
    consents = {
        "type": "object",
        "properties": {one.name: {"type": "boolean"} for one in form.consents},
        "additionalProperties": False,
    }
    return {field.name: _describe_field(field) for field in form.fields} | {"consents": consents}


def _describe_field(field: Field) -> Schema:
    shape = dict(_SHAPES.get(field.type, {"type": "string"}))
    if field.options:
        shape["enum"] = [option.value for option in field.options]
        shape["x-optionLabels"] = {option.value: dict(option.label) for option in field.options}
    elif shape["type"] == "string" and field.type is not FieldType.HIDDEN:
        shape["maxLength"] = field.max_length
    elif field.type is FieldType.CHECKBOX and field.required:
        shape["const"] = True
    if field.minimum is not None:
        shape["minimum"] = field.minimum
    shape["title"] = next(iter(field.label.values()))
    shape["x-label"] = dict(field.label)
    shape["x-type"] = field.type.value
    if field.help:
        shape["x-help"] = dict(field.help)
    return shape


def _describe_conditions(form: Form) -> list[Schema]:
    """What must be there, each with what may stand for it; of e-mail and phone one is enough."""
    required = [_ALTERNATIVES.get(field.name, (field.name,)) for field in form.fields if field.required]
    return [{"anyOf": [{"required": [name]} for name in names]} for names in (*required, ("email", "phone"))]


def make_example(form: Form) -> dict[str, Any]:
    """A body that the form takes: what it requires, an e-mail, and where the visitor came from."""
    shown = {"pageUrl": "https://www.example.se/kontakt", "utm_source": "newsletter"}
    required = {field.name: _make_value(field) for field in form.fields if field.required}
    return {"email": _EXAMPLES["email"]} | required | shown


def _make_value(field: Field) -> Any:
    if field.options:
        return field.options[0].value
    return _EXAMPLES.get(field.name, _EXAMPLES_BY_TYPE.get(field.type, "Hej!"[: field.max_length]))
