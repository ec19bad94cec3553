"""An HTML form's flat fields in the shape of the API's body."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from app.forms.model import BUILT_IN_FIELDS, FieldType
from app.intake.definition import Definition
from app.lead import Note

_TICKED = frozenset({"on", "true", "1", "yes", "ja"})
_CONTEXT = frozenset({"receiver", "pageUrl", "language"})
# The page's own, read elsewhere.
_OURS = frozenset({"token"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfolded:
    body: dict[str, Any]
    token: str | None
    typed: dict[str, str]
    """Every field as it was typed, for the page that comes again."""
    notes: tuple[Note, ...]


def parse_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """The pairs of an urlencoded body. Old landing pages are written in Windows-1252, and send in it."""
    text = body.decode("ascii", "replace")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        return parse_qsl(text, keep_blank_values=True, encoding="cp1252", errors="replace")


def unfold(pairs: Iterable[tuple[str, str]], definition: Definition) -> Unfolded:
    """Of a repeated field the last that is not empty counts. What the form does not know is ignored and noted."""
    typed: dict[str, str] = {}
    for name, value in pairs:
        text = value.replace("\r\n", "\n").replace("\r", "\n")
        if text.strip() or name not in typed:
            typed[name] = text
    body: dict[str, Any] = {}
    ignored = 0
    for name, value in typed.items():
        if name in _OURS or not value.strip():
            continue
        ignored += not _place(body, name, value, definition)
    notes = (Note(code="fields_ignored", detail=str(ignored)),) if ignored else ()
    return Unfolded(body=body, token=typed.get("token"), typed=typed, notes=notes)


def _place(body: dict[str, Any], name: str, value: str, definition: Definition) -> bool:
    group, dot, part = name.partition(".")
    field = definition.fields.get(name)
    if dot and group == "consents" and any(consent.name == part for consent in definition.form.consents):
        body.setdefault("consents", {})[part] = value.strip().lower() in _TICKED
    elif dot and (group, part) in {("notice", "version"), ("notice", "shownAt"), ("marketing", "referrer")}:
        body.setdefault(group, {})[part] = value
    elif field is not None and field.type is FieldType.CHECKBOX:
        body[name] = value.strip().lower() in _TICKED
    elif (
        field is not None
        or name in BUILT_IN_FIELDS
        or name in _CONTEXT
        or name.lower() in definition.parameter_names
    ):
        body[name] = value
    else:
        return False
    return True
