"""An HTML form's flat fields in the shape of the API's body."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from app.forms.model import BUILT_IN_FIELDS, HONEYPOT, PROOF, FieldType
from app.intake.definition import Definition
from app.intake.notice import read_moment
from app.lead import Note

_TICKED = frozenset({"on", "true", "1", "yes", "ja"})
_UNTICKED = frozenset({"off", "false", "0", "no", "nej"})
_CONTEXT = frozenset({"receiver", "pageUrl", "language"})
_TOKEN = "token"  # noqa: S105 - the page's own, and no secret
_PAGES_OWN = frozenset({_TOKEN, HONEYPOT, PROOF})
_NESTED = {("notice", "version"), ("notice", "shownAt"), ("marketing", "referrer")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfolded:
    body: dict[str, Any]
    token: str | None
    honeypot: str | None
    """None where it did not come at all."""
    proof: str | None
    typed: dict[str, str]
    """Every field as it was typed, for the page that comes again."""
    notes: tuple[Note, ...]


def parse_urlencoded(body: bytes) -> list[tuple[str, str]]:
    """The pairs of an urlencoded body. Old landing pages are written in Windows-1252, and send in it."""
    pairs = [pair.replace(b"+", b" ").partition(b"=") for pair in body.split(b"&") if pair]
    decoded = [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs]
    try:
        return [(name.decode(), value.decode()) for name, value in decoded]
    except UnicodeDecodeError:
        return [
            (name.decode("cp1252", "replace"), value.decode("cp1252", "replace")) for name, value in decoded
        ]


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
        if name not in _PAGES_OWN and value.strip():
            ignored += not _place(body, name, value, definition)
    notes = (Note(code="fields_ignored", detail=str(ignored)),) if ignored else ()
    return Unfolded(
        body=body,
        token=typed.get(_TOKEN),
        honeypot=typed.get(HONEYPOT),
        proof=typed.get(PROOF),
        typed=typed,
        notes=notes,
    )


def _place(body: dict[str, Any], name: str, value: str, definition: Definition) -> bool:
    """Whether the form knows the field; it then stands in the body."""
    group, dot, part = name.partition(".")
    field = definition.fields.get(name)
    if dot:
        return _place_nested(body, group, part, value, definition)
    if field is not None and field.type is FieldType.CHECKBOX:
        # A browser sends only boxes that are ticked, with whatever value their page gave them.
        body[name] = value.strip().lower() not in _UNTICKED
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


def _place_nested(body: dict[str, Any], group: str, part: str, value: str, definition: Definition) -> bool:
    given: str | bool = value
    if group == "consents":
        answer = value.strip().lower()
        # Only a clear yes is a consent.
        if all(one.name != part for one in definition.form.consents) or answer not in _TICKED | _UNTICKED:
            return False
        given = answer in _TICKED
    elif (group, part) not in _NESTED or (part == "shownAt" and read_moment(value.strip()) is None):
        # No visitor can mend a time that her page got wrong.
        return False
    body.setdefault(group, {})[part] = given
    return True
