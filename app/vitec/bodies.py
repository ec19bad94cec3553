"""The bodies of answers, read leniently: JSON of any shape, a refusal's words, and text safe to keep."""

import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from app.vitec.xml import read_texts

EXCERPT = 500
"""Characters of Vitec's words that are kept."""

_DEPTH = 6
_MASK = "[…]"
# Each is linear in its text: an opening bracket ends the search for the one before it.
_TAG = re.compile(r"<[^<>]*>")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_NUMBER = re.compile(r"\d(?:[ ().\-/]{0,2}\d){4,}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal says. Not yet scrubbed."""

    text: str
    fields: tuple[str, ...] = ()
    """The paths of `modelState`, such as `lead.AssignedToId`."""


def read_json(body: bytes) -> Any:
    """The value, or None when it is no JSON that can be read."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def read_member(value: Any, name: str) -> Any:
    """A member by its name in any case (how Vitec writes them is not settled); None when absent."""
    if not isinstance(value, dict):
        return None
    return next((member for key, member in value.items() if key.lower() == name.lower()), None)


def read_refusal(body: bytes) -> Refusal:
    """Vitec does not document the shape: a string, `message` and `modelState`, other JSON, XML, or a page."""
    value = read_json(body)
    if value is None:
        texts = read_texts(body)
        text = body.decode("utf-8", "replace") if texts is None else "; ".join(text for _, text in texts)
        return Refusal(text)
    state = read_member(value, "modelState")
    fields = tuple(state) if isinstance(state, dict) else ()
    return Refusal("; ".join(_texts(value)), fields)


def scrub(text: str, values: Iterable[str] = ()) -> str:
    """Text that may be kept: at most 500 characters, no markup, and no e-mail address, number of five or more
    digits, or any of the visitor's own `values` in it."""
    plain = _tidy(_TAG.sub(" ", html.unescape(text)))
    for value in sorted({_tidy(value) for value in values} - {""}, key=len, reverse=True):
        plain = _mask(plain, value)
    plain = " ".join(_MASK if "@" in word else word for word in plain.split(" "))
    plain = _NUMBER.sub(_MASK, plain)
    return plain if len(plain) <= EXCERPT else plain[: EXCERPT - 1] + "…"


def _tidy(text: str) -> str:
    return " ".join(_INVISIBLE.sub(" ", text).split())


def _mask(text: str, value: str) -> str:
    # A short name, such as Bo, is a part of many a word.
    bounds = (r"(?<!\w)", r"(?!\w)") if len(value) < 4 else ("", "")
    return re.sub(bounds[0] + re.escape(value) + bounds[1], lambda _: _MASK, text, flags=re.IGNORECASE)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > _DEPTH:
        return
    if isinstance(value, dict):
        for name, member in value.items():
            for text in _texts(member, depth + 1):
                # The names of the two known wrappers tell a reader nothing.
                yield text if name.lower() in {"message", "modelstate"} else f"{name}: {text}"
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member, depth + 1)
    elif value is not None:
        yield str(value)
