"""A form's fields as one pydantic type: the single definition behind the page and the API."""

import math
from collections.abc import Callable, Mapping, Sequence
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

from app.forms.model import Field, FieldType, Form
from app.intake.attribution import allowed_parameters
from app.intake.people import parse_email, parse_postcode
from app.intake.text import clean_line, clean_text

Values = dict[str, Any]

# Accepted by every form's API; a form that shows one decides its length and whether it is required.
_BUILT_INS: Mapping[str, tuple[FieldType, int]] = {
    "firstName": (FieldType.TEXT, 100),
    "lastName": (FieldType.TEXT, 100),
    "name": (FieldType.TEXT, 200),
    "email": (FieldType.EMAIL, 254),
    "phone": (FieldType.TEL, 40),
    "message": (FieldType.TEXTAREA, 5000),
    "streetAddress": (FieldType.TEXT, 200),
    "zipCode": (FieldType.POSTCODE, 15),
    "city": (FieldType.TEXT, 100),
    "companyName": (FieldType.TEXT, 200),
    "corporateNumber": (FieldType.TEXT, 20),
}
# Whatever they are, they never refuse a lead: read leniently, and dropped with a note.
_CONTEXT = ("receiver", "pageUrl", "language", "marketing")

_CODES = {"extra_forbidden": "unknown_field", "missing": "required"}


class Problem:
    """A field's error before it has words: its dotted name, code, and limit where there is one."""

    __slots__ = ("code", "field", "limit")

    def __init__(self, field: str, code: str, limit: int | None = None) -> None:
        self.field, self.code, self.limit = field, code, limit


class Definition:
    """Compiled once a form; checks one submission in one pass."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.parameters = allowed_parameters(form.parameters)
        self.parameter_names = frozenset(self.parameters)
        self.fields: dict[str, Field] = {field.name: field for field in form.fields}
        self._adapter: TypeAdapter[Values] = TypeAdapter(_build_type(form, self.fields))

    def check(self, raw: Mapping[str, Any]) -> tuple[Values, list[Problem]]:
        """The cleaned values that were given, blanks left out, and every problem at once."""
        problems: list[Problem] = []
        try:
            values = {
                name: value for name, value in self._adapter.validate_python(raw).items() if value is not None
            }
        except ValidationError as error:
            problems = [_read_problem(one) for one in error.errors(include_url=False, include_input=False)]
            failed = {problem.field for problem in problems}
            values = {
                name: value for name, value in raw.items() if name not in failed and not _is_blank(value)
            }
        problems += self._find_missing(values, {problem.field for problem in problems})
        return values, problems

    def _find_missing(self, values: Values, failed: set[str]) -> list[Problem]:
        missing = [
            Problem(field.name, "required")
            for field in self.form.fields
            if field.required and not _is_given(field, values, failed)
        ]
        reached = values.keys() | failed | {problem.field for problem in missing}
        if not reached & {"email", "phone"}:
            missing.append(Problem("email", "email_or_phone_required"))
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
    return bool((values.keys() | failed) & _ALTERNATIVES.get(field.name, {field.name}))


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not clean_text(value))


def _read_problem(error: ErrorDetails) -> Problem:
    code = error["type"]
    known = _CODES.get(code) or (code if code in _OWN_CODES else "invalid_type")
    field = ".".join(str(part) for part in error["loc"])
    if known == "invalid_type" and field.startswith("notice"):
        known = "invalid_notice"
    if known == "invalid_type" and field.startswith("consents"):
        known = "invalid_consent"
    return Problem(field, known, (error.get("ctx") or {}).get("limit"))


_OWN_CODES = frozenset(
    ("too_long", "invalid_email", "invalid_postcode", "invalid_number", "invalid_option", "invalid_notice")
)


def _build_type(form: Form, fields: Mapping[str, Field]) -> Any:
    items: dict[str, Any] = {
        name: _annotate(kind, limit) for name, (kind, limit) in _BUILT_INS.items() if name not in fields
    }
    for field in fields.values():
        items[field.name] = _annotate_field(field)
    flags = {consent.name: Annotated[bool, Strict()] for consent in form.consents}
    items["consents"] = _typed_dict("Consents", flags) | None
    items["notice"] = _typed_dict("Notice", {"version": _text(200), "shownAt": _text(40)}) | None
    items |= dict.fromkeys(_CONTEXT, Any)
    return _typed_dict("Submission", items)


def _typed_dict(name: str, items: Mapping[str, Any]) -> Any:
    make: Any = TypedDict  # the form decides the names at run time, where a type checker cannot follow
    return with_config(ConfigDict(extra="forbid"))(make(name, dict(items), total=False))


def _annotate_field(field: Field) -> Any:
    if field.type in {FieldType.SELECT, FieldType.RADIO}:
        return _text(200, _one_of({option.value for option in field.options})) | None
    return _annotate(field.type, field.max_length)


def _annotate(kind: FieldType, limit: int) -> Any:
    if kind is FieldType.CHECKBOX:
        return Annotated[bool, Strict()] | None
    if kind is FieldType.NUMBER:
        return Annotated[str | None, BeforeValidator(_read_number)]
    if kind is FieldType.TEXTAREA:
        return _text(limit, clean=clean_text) | None
    parsers = {FieldType.EMAIL: _check_email, FieldType.POSTCODE: _check_postcode}
    return _text(limit, parsers.get(kind)) | None


def _text(
    limit: int, parse: Callable[[str], str] | None = None, *, clean: Callable[[str], str] = clean_line
) -> Any:
    def read(value: str) -> str | None:
        cleaned = clean(value)
        if len(cleaned) > limit:
            raise PydanticCustomError("too_long", "too long", {"limit": limit})
        if not cleaned:
            return None
        return parse(cleaned) if parse else cleaned

    return Annotated[str, Strict(), AfterValidator(read)]


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


def _one_of(options: set[str]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in options:
            raise PydanticCustomError("invalid_option", "none of the options")
        return value

    return check


def _read_number(value: Any) -> str | None:
    """A number as text: 92, 92.5; as Swedes write it too: 1 200,5."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    text = value if isinstance(value, str) else str(value) if type(value) in {int, float} else "?"
    try:
        number = float("".join(text.split()).replace(",", ".").replace("\u2212", "-"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e12 or len(text) > 30:
        raise PydanticCustomError("invalid_number", "no number")
    return f"{number:.6f}".rstrip("0").rstrip(".")
