"""A form's fields: what each may be, and what may not stand beside what."""

import re

from app.forms.campaign import allowed_parameters
from app.forms.layers import Layers, number_fields
from app.forms.model import BUILT_IN_FIELDS, RESERVED_NAMES, Consent, Field, FieldType, Option
from app.forms.presets import load
from app.forms.shape import FieldShape, Raw
from app.forms.texts import resolve_text

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_CHOICES = frozenset({FieldType.SELECT, FieldType.RADIO})
_WORDS = frozenset({FieldType.TEXT, FieldType.TEXTAREA, FieldType.SELECT})
_LENGTHS = {
    FieldType.TEXTAREA: 5000,
    FieldType.EMAIL: 254,
    FieldType.TEL: 40,
    FieldType.NUMBER: 20,
    FieldType.POSTCODE: 10,
}


def build_fields(layers: Layers, languages: tuple[str, ...]) -> tuple[Field, ...]:
    """The fields in the order of the page; mistakes go to the layers."""
    for table, prefix in ((layers.own, f"forms.{layers.name}"), (layers.defaults, "defaults")):
        _check_names(layers, number_fields(table, prefix=prefix))
    fields = tuple(_build_field(layers, field, languages) for field in layers.shape.fields)
    company = next((field for field in fields if field.name == "companyName"), None)
    if layers.shape.contact_type == "company" and company and not company.required:
        layers.add_field("must be required: a company contact needs its name", "companyName", "required")
    return fields


def _check_names(layers: Layers, fields: list[tuple[str, Raw]]) -> None:
    """What is written, before it is laid over the preset."""
    seen: set[str] = set()
    for key, field in fields:
        name = str(field.get("name", ""))
        problem = _find_fault(name, seen, parameters=layers.shape.parameters)
        if problem:
            layers.findings.add(layers.source, f"{key}.name", problem)
        seen.add(name)


def _find_fault(name: str, seen: set[str], *, parameters: list[str]) -> str | None:
    if not name:
        return "is missing; every field has a name, such as budget"
    if name in seen:
        return f"is listed twice; {name} may stand once"
    if not _NAME.fullmatch(name):
        return "is no field name; it begins with a letter and has at most 40 letters, digits and _"
    if name in RESERVED_NAMES and name not in BUILT_IN_FIELDS:
        return f"{name} is reserved for what every lead has; choose another name"
    lower = name.lower()
    if lower.startswith("utm_") or lower in allowed_parameters(parameters):
        return f"{name} is captured by itself as a campaign parameter; take the field out"
    halves = {"firstName", "lastName"}
    if ("name" in seen and name in halves) or (name == "name" and seen & halves):
        return "name stands for firstName and lastName; list one or the other"
    return None


def _build_field(layers: Layers, shape: FieldShape, languages: tuple[str, ...]) -> Field:
    name = shape.name or ""
    type_ = FieldType(shape.type or "text")
    _check_type(layers, shape, type_)
    # An agent reads a hidden field by its label too; its name will do.
    label = name if shape.label is None and type_ is FieldType.HIDDEN else shape.label
    help_ = (
        None
        if shape.help is None
        else resolve_text(
            shape.help,
            languages,
            add=lambda message: layers.add_field(f"help of {name} {message}", name, "help"),
            may_be_empty=True,
        )
    )
    return Field(
        name=name,
        type=type_,
        label=resolve_text(
            label,
            languages,
            add=lambda message: layers.add_field(f"label of {name} {message}", name, "label"),
        ),
        help=help_,
        required=shape.required,
        options=_build_options(layers, shape, languages),
        minimum=shape.min,
        max_length=shape.max_length or _LENGTHS.get(type_, 200),
    )


def _check_type(layers: Layers, shape: FieldShape, type_: FieldType) -> None:
    name = shape.name or ""
    built_in = load("builtin").get(name)
    own = FieldType(built_in["type"]) if built_in else type_
    if own is not type_ and not {own, type_} <= _WORDS:
        right = "text, textarea or select" if own in _WORDS else own.value
        layers.add_field(f"{name} is built in; its type may be {right} only", name, "type")
    if type_ is FieldType.HIDDEN and shape.required:
        layers.add_field("cannot be true of a hidden field: no visitor could fill it in", name, "required")
    if type_ is not FieldType.NUMBER and shape.min is not None:
        layers.add_field("belongs to a number field; change the type or take it out", name, "min")
    if type_ in _CHOICES and not shape.options:
        layers.add_field(
            f'{name} has no options; a {type_.value} needs options = ["…", "…"]', name, "options"
        )
    if type_ not in _CHOICES and shape.options is not None:
        layers.add_field(
            "belong to a select or radio field; change the type or take them out", name, "options"
        )


def _build_options(layers: Layers, shape: FieldShape, languages: tuple[str, ...]) -> tuple[Option, ...]:
    name = shape.name or ""
    options: dict[str, Option] = {}
    for option in shape.options or ():
        value = option.value
        if value in options:
            layers.add_field(
                f'"{value}" is there twice; every option has a value of its own', name, "options"
            )
        label = resolve_text(
            option.label,
            languages,
            add=lambda message, value=value: layers.add_field(  # type: ignore[misc]
                f'label of "{value}" {message}', name, "options"
            ),
        )
        options[value] = Option(value=value, label=label)
    return tuple(options.values())


def build_consents(
    layers: Layers, languages: tuple[str, ...], *, fields: tuple[Field, ...]
) -> tuple[Consent, ...]:
    """The boxes next to the form, in the order of the file."""
    taken = RESERVED_NAMES | {field.name for field in fields}
    consents = []
    for name, shape in layers.shape.consents.items():
        if not _NAME.fullmatch(name):
            layers.add(
                "is no consent name; it begins with a letter and has at most 40 letters, digits and _",
                "consents",
                name,
            )
        if name in taken:
            layers.add("is the name of a field; a consent needs one of its own", "consents", name)
        label = resolve_text(
            shape.label,
            languages,
            add=lambda message, name=name: layers.add(message, "consents", name, "label"),  # type: ignore[misc]
        )
        consents.append(Consent(name=name, label=label, maps_to=shape.maps_to))
    return tuple(consents)
