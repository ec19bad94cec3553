"""A form's fields as one pydantic type: the single definition behind the page and the API."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Strict,
    TypeAdapter,
    ValidationError,
    with_config,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from typing_extensions import TypedDict

from app.forms.campaign import allowed_parameters
from app.forms.model import BUILT_IN_FIELDS, RESERVED_NAMES, Field, FieldType, Form
from app.forms.presets import load
from app.intake.notice import read_moment
from app.intake.people import parse_email, parse_postcode
from app.intake.refusal import Problem
from app.intake.text import clean_line, clean_text

Values = dict[str, Any]

# Whatever they are, they never refuse a lead: read leniently, and dropped with a note.
_CONTEXT = ("receiver", "pageUrl", "language", "marketing")
_MOST_UNKNOWN = 50  # a body of 64 KiB has room for thousands, and no developer reads as many
_CODES = {"extra_forbidden": "unknown_field"}
_GROUP_CODES = {"notice": "invalid_notice", "consents": "invalid_consent"}
_OWN_CODES = frozenset(
    {
        "too_long",
        "too_small",
        "invalid_email",
        "invalid_postcode",
        "invalid_number",
        "invalid_option",
        "invalid_notice",
    }
)
_FREE_TEXT = frozenset({FieldType.TEXT, FieldType.TEXTAREA, FieldType.NUMBER})
_REWORDED = frozenset({FieldType.HIDDEN, FieldType.CHECKBOX})
# May be its owner's personnummer, and is what the field asks for.
_UNMASKED = frozenset({"corporateNumber"})
_TYPED = ("firstName", "lastName", "name", "message", "streetAddress", "city", "companyName")
_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")


class Definition:
    """Compiled once a form; checks one submission in one pass."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.fields: dict[str, Field] = {field.name: field for field in form.fields}
        self._required = tuple(field for field in form.fields if field.required)
        self.known = RESERVED_NAMES | self.fields.keys()
        taken = {name.lower() for name in self.known}
        # A field goes before a parameter of its name.
        self.parameters = tuple(name for name in allowed_parameters(form.parameters) if name not in taken)
        self.parameter_names = frozenset(self.parameters)
        own = {field.name for field in form.fields if field.type in _FREE_TEXT}
        self.free_texts = frozenset(own | {name for name in _TYPED if name not in self.fields}) - _UNMASKED
        """The fields in which a visitor writes what she likes, anybody's personnummer too."""
        self.hidden = frozenset(field.name for field in form.fields if field.type is FieldType.HIDDEN)
        """Those that her page fills in."""
        self.reworded = tuple(field for field in form.fields if field.type in _REWORDED or field.options)
        """The fields whose values an agent reads in other words than they were sent in."""
        self._adapter: TypeAdapter[Values] = TypeAdapter(_build_type(form, self.fields))

    def check(self, raw: Mapping[str, Any]) -> tuple[Values, list[Problem]]:
        """The cleaned values that are right, blanks left out, and every problem at once."""
        unknown = [name for name in raw if name not in self.known]
        known = {name: value for name, value in raw.items() if name in self.known} if unknown else raw
        problems = [_name_problem([name], "unknown_field") for name in unknown[:_MOST_UNKNOWN]]
        failed: set[str] = set()
        try:
            values = self._adapter.validate_python(known)
        except ValidationError as error:
            wrong = [_read_problem(one) for one in error.errors(include_url=False, include_input=False)]
            failed = {problem.field.partition(".")[0] for problem in wrong}
            right = {name: value for name, value in known.items() if name not in failed}
            values = self._adapter.validate_python(right)
            problems = wrong + problems
        return values, problems + self._find_missing(values, failed)

    def _find_missing(self, values: Values, failed: set[str]) -> list[Problem]:
        missing = [
            Problem(field.name, "required")
            for field in self._required
            if not _is_given(field, values, failed)
        ]
        if "email" in values or "phone" in values:
            return missing
        reached = failed | {problem.field for problem in missing}
        if not reached & {"email", "phone"}:
            shown = "phone" if "phone" in self.fields and "email" not in self.fields else "email"
            missing.append(Problem(shown, "email_or_phone_required"))
        return missing


# A full name stands for its parts, and a part for a name.
_ALTERNATIVES = {
    "firstName": {"firstName", "name"},
    "lastName": {"lastName", "name"},
    "name": {"name", "firstName", "lastName"},
}


def _is_given(field: Field, values: Values, failed: set[str]) -> bool:
    if field.type is FieldType.CHECKBOX:
        return values.get(field.name) is True or field.name in failed
    if field.name in values:
        return True
    return bool((values.keys() | failed) & _ALTERNATIVES.get(field.name, {field.name}))


def _read_problem(error: ErrorDetails) -> Problem:
    path = [str(part) for part in error["loc"]]
    code = error["type"]
    if code not in _OWN_CODES:
        code = _CODES.get(code) or _GROUP_CODES.get(path[0], "invalid_type")
    return _name_problem(path, code, (error.get("ctx") or {}).get("limit"))


def _name_problem(path: Sequence[str], code: str, limit: float | None = None) -> Problem:
    keys = tuple(map(_write_key, path))
    return Problem(".".join(keys), code, limit, path=keys)


def _write_key(name: str) -> str:
    """As it was sent, but for a lone surrogate: it would break the answer that it is named in."""
    return name.encode(errors="replace").decode()


@cache
def _built_ins() -> Mapping[str, tuple[FieldType, int]]:
    """Accepted by every form's API; a form that shows one decides its length and whether it is required."""
    table = load("builtin")
    return {name: (FieldType(table[name]["type"]), table[name]["max_length"]) for name in BUILT_IN_FIELDS}


def _build_type(form: Form, fields: Mapping[str, Field]) -> Any:
    items = {name: _annotate(kind, limit) for name, (kind, limit) in _built_ins().items()}
    items |= {field.name: _annotate_field(field) for field in fields.values()}
    flags = {consent.name: Annotated[bool, Strict()] | None for consent in form.consents}
    items["consents"] = _table("Consents", flags) | None
    items["notice"] = _table("Notice", {"version": _text(200), "shownAt": _text(40, _check_moment)}) | None
    items |= dict.fromkeys(_CONTEXT, Annotated[Any, AfterValidator(_drop_blank)])
    return _table("Submission", items)


def _table(name: str, items: Mapping[str, Any]) -> Any:
    make: Any = TypedDict  # the form decides the names at run time, where a type checker cannot follow
    shape = with_config(ConfigDict(extra="forbid"))(make(name, dict(items), total=False))
    return Annotated[shape, AfterValidator(_leave_out_blanks)]


def _leave_out_blanks(values: Values) -> Values:
    return {name: value for name, value in values.items() if value is not None}


def _drop_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not clean_line(value) else value


def _annotate_field(field: Field) -> Any:
    if field.type in {FieldType.SELECT, FieldType.RADIO}:
        return _text(None, _one_of(field))
    if field.type is FieldType.NUMBER and field.minimum is not None:
        return _annotate_number(field.max_length, _at_least(field.minimum))
    # What a visitor cannot see she cannot shorten either: it is cut afterwards.
    return _annotate(field.type, None if field.type is FieldType.HIDDEN else field.max_length)


def _annotate(kind: FieldType, limit: int | None) -> Any:
    if kind is FieldType.CHECKBOX:
        return Annotated[bool, Strict()] | None
    if kind is FieldType.NUMBER:
        return _annotate_number(limit, _check_number)
    if kind is FieldType.TEXTAREA:
        return _text(limit, clean=clean_text)
    parsers = {FieldType.EMAIL: _check_email, FieldType.POSTCODE: _check_postcode}
    return _text(limit, parsers.get(kind))


def _annotate_number(limit: int | None, check: Callable[[str], str]) -> Any:
    return Annotated[_text(limit, check), BeforeValidator(_write_number)]


def _text(
    limit: int | None,
    parse: Callable[[str], str] | None = None,
    *,
    clean: Callable[[str], str] = clean_line,
) -> Any:
    def read(value: str) -> str | None:
        cleaned = clean(value)
        if limit is not None and len(cleaned) > limit:
            raise PydanticCustomError("too_long", "too long", {"limit": limit})
        if not cleaned:
            return None
        return parse(cleaned) if parse else cleaned

    return Annotated[str, Strict(), AfterValidator(read)] | None


def _check_email(value: str) -> str:
    try:
        return parse_email(value)
    except ValueError:
        raise PydanticCustomError("invalid_email", "no e-mail address") from None


def _check_postcode(value: str) -> str:
    try:
        return parse_postcode(value)
    except ValueError:
        raise PydanticCustomError("invalid_postcode", "no postcode") from None


def _check_moment(value: str) -> str:
    if read_moment(value) is None:
        raise PydanticCustomError("invalid_notice", "no time")
    return value


def _one_of(field: Field) -> Callable[[str], str]:
    options = {clean_line(option.value): option.value for option in field.options}

    def check(value: str) -> str:
        if value not in options:
            raise PydanticCustomError("invalid_option", "none of the options")
        return options[value]

    return check


def _write_number(value: Any) -> Any:
    """JSON's numbers as text without an exponent: 92, 92.5."""
    if isinstance(value, float):
        value = int(value) if value.is_integer() else Decimal(str(value))
    return format(Decimal(value), "f") if type(value) in {int, Decimal} else value


def _check_number(value: str) -> str:
    """A number as Swedes write it too, 1 200,5, with no blanks and a point. Its digits stay as they are."""
    number = "".join(value.split()).replace(",", ".").replace("\u2212", "-")
    if not _NUMBER.fullmatch(number):
        raise PydanticCustomError("invalid_number", "no number")
    return number


def _at_least(minimum: float) -> Callable[[str], str]:
    def check(value: str) -> str:
        number = _check_number(value)
        if Decimal(number) < Decimal(str(minimum)):
            raise PydanticCustomError("too_small", "too small", {"limit": minimum})
        return number

    return check
