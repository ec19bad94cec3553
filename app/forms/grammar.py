"""Holds a document against the shapes: unknown keys and wrong values become mistakes and are taken out."""

import types
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.forms.files import Document
from app.forms.findings import Findings, suggest
from app.forms.shape import FileShape, Raw

Path = tuple[int | str, ...]

_MESSAGES = {
    "string_type": "must be a text in quotes",
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "list_type": 'must be a list, such as ["…"]',
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "missing": "is missing",
    "too_short": "is an empty list; fill it in or take it out",
}


def check_grammar(document: Document, *, findings: Findings) -> Raw:
    """The document without what is wrong in it, so that the rest can be checked as well."""
    content: Raw = dict(document.content)
    wrong = _find_errors(content)
    for error in wrong:
        findings.add_unreadable(document.source, format_path(error["loc"]), _explain(error))
    while wrong:
        # A list that has lost its only entry may be wrong in turn: a consequence, and not told.
        content = _without(content, paths={_trim(content, error["loc"]) for error in wrong})
        wrong = _find_errors(content)
    return content


def _find_errors(content: Raw) -> list[ErrorDetails]:
    try:
        FileShape.model_validate(content)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _trim(content: Any, path: Path) -> Path:
    """As far as there is something to take out: the table, where a key of it is missing."""
    part: Any
    for depth, part in enumerate(path):
        if not isinstance(content, dict | list) or (isinstance(content, dict) and part not in content):
            return path[:depth]
        content = content[part]
    return path


def format_path(path: Path) -> str:
    """`forms.kontakt.routes[2].zip`: entries of a list are counted from one."""
    parts = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _without(node: Any, *, paths: set[Path], at: Path = ()) -> Any:
    if isinstance(node, dict):
        kept = ((key, value) for key, value in node.items() if (*at, key) not in paths)
        return {key: _without(value, paths=paths, at=(*at, key)) for key, value in kept}
    if isinstance(node, list):
        entries = ((index, value) for index, value in enumerate(node) if (*at, index) not in paths)
        return [_without(value, paths=paths, at=(*at, index)) for index, value in entries]
    return node


def _explain(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return _explain_unknown(error["loc"])
        case "literal_error":
            known = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
            return f"must be one of {', '.join(known)}.{suggest(str(error['input']), known)}"
        case "value_error":
            return str(context["error"])
        case "greater_than_equal":
            return f"must be at least {context['ge']:g}"
        case "less_than_equal":
            return f"must be at most {context['le']:g}"
        case kind:
            return _MESSAGES.get(kind, error["msg"])


def _explain_unknown(path: Path) -> str:
    known = _keys_at(path[:-1])
    near = suggest(str(path[-1]), known)
    return f"is not a known key.{near or ' Known here are ' + ', '.join(known) + '.'}"


def _keys_at(path: Path) -> Sequence[str]:
    annotation: Any = FileShape
    for part in path:
        annotation = _bare(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation = annotation.model_fields[str(part)].annotation
        else:
            annotation = typing.get_args(annotation)[-1]
    return tuple(_bare(annotation).model_fields)


def _bare(annotation: Any) -> Any:
    """Without Annotated and None around it."""
    if typing.get_origin(annotation) in {typing.Annotated, types.UnionType, typing.Union}:
        return _bare(typing.get_args(annotation)[0])
    return annotation
