"""A form's keys come in layers: the preset, the file's `[defaults]`, the form itself."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.forms import presets
from app.forms.findings import Findings
from app.forms.shape import FormShape, Raw

_TEXTS = frozenset({"title", "intro", "submit_label", "thanks", "subject", "label", "help", "notice"})
"""Tables by language: one replaces another whole, or a page would mix two voices."""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """A form as it is written, and where to point when something in it is wrong."""

    source: str
    name: str
    own: Raw
    defaults: Raw
    findings: Findings

    @cached_property
    def shape(self) -> FormShape:
        """All layers laid over each other."""
        written = overlay(self.defaults, self.own)
        preset = presets.load(written.get("preset", "kontakt"))
        merged = overlay(preset, written)
        return FormShape.model_validate({**merged, "fields": arrange_fields(merged)})

    def add(self, message: str, *path: str) -> None:
        """Adds a mistake at a key of the form, wherever it stands."""
        self.findings.add(self.source, self.locate(*path), message)

    def locate(self, *path: str) -> str:
        """`forms.kontakt.receiver`, or `defaults.receiver` when that is where it is written."""
        in_defaults = not _has(self.own, path) and _has(self.defaults, path)
        return ".".join(("defaults" if in_defaults else f"forms.{self.name}", *path))

    def locate_field(self, name: str, *path: str) -> str:
        """`forms.kontakt.fields[2].options`; the list alone for a field of the preset."""
        places = [
            (key, field)
            for table, prefix in ((self.own, f"forms.{self.name}"), (self.defaults, "defaults"))
            for key, field in number_fields(table, prefix=prefix)
            if field.get("name") == name
        ]
        for key, field in places:
            if path[0] in field:
                return ".".join((key, *path))
        return ".".join((places[0][0], *path)) if places else f"forms.{self.name}.fields"

    def add_field(self, message: str, name: str, *path: str) -> None:
        self.findings.add(self.source, self.locate_field(name, *path), message)


def number_fields(table: Raw, *, prefix: str) -> list[tuple[str, Raw]]:
    """`forms.kontakt.fields[1]` and so on, each with what is written there."""
    return [
        (f"{prefix}.fields[{number}]", field) for number, field in enumerate(table.get("fields", ()), start=1)
    ]


def _has(table: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        name, bracket, _ = key.partition("[")
        if not isinstance(table, dict) or name not in table:
            return False
        if bracket:
            return True
        table = table[name]
    return True


def overlay(lower: Raw, upper: Raw) -> Raw:
    """Tables are laid over each other, fields by their names; everything else replaces what was there."""
    result = dict(lower)
    for key, value in upper.items():
        below = result.get(key)
        if key == "fields" and isinstance(value, list) and isinstance(below, list):
            result[key] = _overlay_fields(below, value)
        elif key not in _TEXTS and isinstance(value, dict) and isinstance(below, dict):
            result[key] = overlay(below, value)
        else:
            result[key] = value
    return result


def _overlay_fields(lower: list[Raw], upper: list[Raw]) -> list[Raw]:
    over = {field.get("name"): field for field in upper}
    changed = [_overlay_field(field, over.pop(field.get("name"), {})) for field in lower]
    # A message is the visitor's last word, so that new fields stand before it.
    at = len(changed) - 1 if changed and changed[-1].get("name") == "message" else len(changed)
    return [*changed[:at], *over.values(), *changed[at:]]


def _overlay_field(lower: Raw, upper: Raw) -> Raw:
    field = lower | upper
    if upper.get("type", "select") not in {"select", "radio"} and "options" not in upper:
        field.pop("options", None)
    return field


def arrange_fields(form: Raw) -> list[Raw]:
    """The form's fields as the page shows them, each laid over what is built in."""
    fields = [field for field in form["fields"] if isinstance(field.get("name"), str)]
    names = [field["name"] for field in fields]
    if "name" in names:
        fields = _with_one_name(fields)
    if form.get("contact_type") == "company":
        fields = _with_company(fields)
    built_in = presets.load("builtin")
    return [_overlay_field(built_in.get(field["name"], {}), field) for field in fields]


def _with_one_name(fields: list[Raw]) -> list[Raw]:
    """`name` in the place of `firstName` and `lastName`."""
    single = next(field for field in fields if field["name"] == "name")
    rest = [single if field["name"] == "firstName" else field for field in fields if field is not single]
    return [field for field in rest if field["name"] != "lastName"]


def _with_company(fields: list[Raw]) -> list[Raw]:
    """A company's name and number in front of the person's name, unless the file has them elsewhere."""
    names = [field["name"] for field in fields]
    new: list[Raw] = [{"name": name} for name in ("companyName", "corporateNumber") if name not in names]
    at = min(names.index(name) for name in ("name", "firstName") if name in names)
    fields = [*fields[:at], *new, *fields[at:]]
    return [{"required": True} | field if field["name"] == "companyName" else field for field in fields]
