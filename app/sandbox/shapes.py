"""Checks a JSON body against the shape of a model, as Vitec's model binding does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any

from app.sandbox.replies import refuse_content

Errors = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Text:
    limit: int | None = None
    """UTF-16 units: .NET counts those."""


@dataclass(frozen=True, slots=True)
class Flag:
    pass


@dataclass(frozen=True, slots=True)
class Number:
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    pass


@dataclass(frozen=True, slots=True)
class Choice:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Many:
    item: "Kind"


@dataclass(frozen=True, slots=True)
class Shape:
    members: Mapping[str, "Kind"]
    required: frozenset[str] = frozenset()


Kind = Text | Flag | Number | Moment | Choice | Many | Shape


def read_json(content: bytes, *, model: str) -> Any:
    """Raises Refusal, 400, for what is no JSON. `model` is its name in errors."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise refuse_content({model: ["Innehållet går inte att läsa."]}) from None


def read_model(shape: Shape, value: Any, *, model: str) -> dict[str, Any]:
    """The members that were sent, by their documented names, whatever case they came in.

    Null is the same as absent: .NET cannot tell them apart. Unknown members are ignored. Raises Refusal, 400,
    with every error at once.
    """
    errors: Errors = {}
    found: dict[str, Any] = {}
    if isinstance(value, dict):
        found = _read(shape, value, path=model, errors=errors)
    else:
        errors[model] = ["Innehåll saknas."]
    if errors:
        raise refuse_content(errors)
    return found


def name_path(path: str, member: str) -> str:
    """A member's name in errors, such as `person.Email.EmailAddress`."""
    return f"{path}.{member[0].upper()}{member[1:]}"


def _read(kind: Kind, value: Any, *, path: str, errors: Errors) -> Any:
    match kind, value:
        case Shape(), dict():
            return _read_members(kind, value, path=path, errors=errors)
        case Many(item), list():
            items = (
                _read(item, one, path=f"{path}[{index}]", errors=errors) for index, one in enumerate(value)
            )
            return [one for one in items if one is not None]
        case Text(limit), str():
            if limit is not None and count_units(value) > limit:
                errors.setdefault(path, []).append(f"Får vara högst {limit} tecken.")
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case Choice(names), str() if value in names:
            return value
        case Flag(), bool():
            return value
        case Number(whole), int() | float() if not isinstance(value, bool) and -inf < value < inf:
            if whole and not isinstance(value, int):
                errors.setdefault(path, []).append("Måste vara ett heltal.")
            return value
        case Moment(), str() if _is_moment(value):
            return value
    errors.setdefault(path, []).append("Värdet har fel typ.")
    return None


def _read_members(shape: Shape, value: Mapping[str, Any], *, path: str, errors: Errors) -> dict[str, Any]:
    sent = {name.lower(): member for name, member in value.items()}
    found: dict[str, Any] = {}
    for name, kind in shape.members.items():
        member = sent.get(name.lower())
        if member is not None:
            found[name] = _read(kind, member, path=name_path(path, name), errors=errors)
        if name in shape.required and (member is None or (isinstance(member, str) and not member.strip())):
            errors.setdefault(name_path(path, name), []).append("Måste anges.")
    return found


def count_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
