"""A form as its API tells it: fields as JSON Schema, texts by language, the notice and its version."""

from typing import Any

from app.forms.model import Field, FieldType, Form

_SHAPES: dict[FieldType, dict[str, Any]] = {
    FieldType.EMAIL: {"type": "string", "format": "email"},
    FieldType.NUMBER: {"type": ["number", "string"]},
    FieldType.CHECKBOX: {"type": "boolean"},
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
        "schema": describe_schema(form),
    }


def describe_schema(form: Form) -> dict[str, Any]:
    """JSON Schema (2020-12) of the form's own fields. That e-mail or phone suffices, `anyOf` says."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": describe_field_properties(form),
        "required": [field.name for field in form.fields if field.required],
        "anyOf": [{"required": ["email"]}, {"required": ["phone"]}],
    }


def describe_field_properties(form: Form) -> dict[str, Any]:
    consents = {
        "type": "object",
        "properties": {one.name: {"type": "boolean"} for one in form.consents},
        "additionalProperties": False,
    }
    return {field.name: _describe_field(field) for field in form.fields} | {"consents": consents}


def _describe_field(field: Field) -> dict[str, Any]:
    shape = dict(_SHAPES.get(field.type, {"type": "string"}))
    if field.options:
        shape["enum"] = [option.value for option in field.options]
        shape["x-optionLabels"] = {option.value: dict(option.label) for option in field.options}
    elif shape.get("type") == "string":
        shape["maxLength"] = field.max_length
    shape["title"] = dict(field.label)["en"] if "en" in field.label else next(iter(field.label.values()))
    shape["x-label"] = dict(field.label)
    shape["x-type"] = field.type.value
    if field.help:
        shape["x-help"] = dict(field.help)
    return shape
