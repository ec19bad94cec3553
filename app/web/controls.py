"""A form's fields as its page shows them: rows, autocompletion, and which texts describe which control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.errors import FieldError
from app.forms.model import Consent, Field, FieldType, Form
from app.i18n import get_translations

TICKED = "true"
"""What a ticked box is posted as."""

EITHER = "either"
"""The id of the text that e-mail or phone is enough."""

_TICKS = frozenset({TICKED, "1", "on", "yes", "ja"})
_ANSWERS = frozenset({"email", "phone"})
_PERSON = frozenset({"firstName", "lastName", "name", *_ANSWERS})
_PAIRS = frozenset({("firstName", "lastName"), ("email", "phone"), ("zipCode", "city")})

# WCAG 2.2, 1.3.5.
_AUTOCOMPLETE = {
    "firstName": "given-name",
    "lastName": "family-name",
    "name": "name",
    "email": "email",
    "phone": "tel",
    "streetAddress": "street-address",
    "zipCode": "postal-code",
    "city": "address-level2",
    "companyName": "organization",
}
# A number is text with a fitting keyboard: type=number turns with the wheel and hides what it cannot read.
_INPUT_TYPES = {FieldType.EMAIL: "email", FieldType.TEL: "tel"}
_INPUT_MODES = {FieldType.NUMBER: "decimal", FieldType.POSTCODE: "numeric"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One field, or one consent, with everything its markup says."""

    name: str
    kind: str
    """The field's type; a consent is a checkbox."""
    label: str
    help: str | None = None
    value: str = ""
    options: tuple[tuple[str, str], ...] = ()
    """Value and label."""
    required: bool = False
    optional: bool = True
    """Whether it is marked as optional; of e-mail and phone neither is, though one of them will do."""
    max_length: int | None = None
    error: str | None = None
    hint: str | None = None
    described_by: str | None = None
    """The id of a text outside the control that describes it as well."""

    @property
    def id(self) -> str:
        """A prefix keeps a field named `summary` from meeting the page's own."""
        return f"f-{self.name}"

    @property
    def ticked(self) -> bool:
        return self.value.strip().lower() in _TICKS

    @property
    def autocomplete(self) -> str | None:
        return _AUTOCOMPLETE.get(self.name)

    @property
    def input_type(self) -> str:
        return next((html for kind, html in _INPUT_TYPES.items() if kind == self.kind), "text")

    @property
    def input_mode(self) -> str | None:
        return next((mode for kind, mode in _INPUT_MODES.items() if kind == self.kind), None)

    @property
    def description(self) -> str:
        """The value of aria-describedby: the error first, for it is what matters."""
        own = {"error": self.error, "hint": self.hint, "help": self.help}
        ids = [f"{self.id}-{part}" for part, text in own.items() if text]
        return " ".join([*ids, *([self.described_by] if self.described_by else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Controls that stand side by side where there is room."""

    controls: tuple[Control, ...]
    heading: str | None = None
    """Of the part of the form that begins here."""
    short: bool = False
    """Whether its controls are short enough to share a row even on a phone."""
    either: bool = False
    """Whether it is said above this row that e-mail or phone is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the visitor, or the page's address, has filled in, and what is said about it; all by field name."""

    values: Mapping[str, str]
    errors: Sequence[FieldError] = ()
    hints: Mapping[str, str]

    def error(self, name: str) -> str | None:
        return " ".join(error.detail for error in self.errors if error.field == name) or None


def arrange(form: Form, entry: Entry, *, language: str) -> list[Row]:
    """The visible fields in the form's order, those that belong together in one row."""
    shown = [field for field in form.fields if field.type is not FieldType.HIDDEN]
    headings = _find_parts(shown, form, language=language)
    rows: list[Row] = []
    while shown:
        names = tuple(field.name for field in shown[:2])
        both_numbers = [field.type for field in shown[:2]] == [FieldType.NUMBER] * 2
        size = 2 if names in _PAIRS or names[::-1] in _PAIRS or both_numbers else 1
        row, shown = shown[:size], shown[size:]
        short = size == 2 and (both_numbers or row[0].type is FieldType.POSTCODE)
        controls = tuple(_control(field, entry, form=form, language=language) for field in row)
        said = any(earlier.either for earlier in rows)
        either = not said and any(control.described_by for control in controls)
        rows.append(Row(controls=controls, heading=headings.get(row[0].name), short=short, either=either))
    return rows


def _find_parts(shown: Sequence[Field], form: Form, *, language: str) -> dict[str, str]:
    """Headings by the field they stand before: the home, then the person. None where these are mixed."""
    home = [place for place, field in enumerate(shown) if field.name in form.home_fields]
    person = [place for place, field in enumerate(shown) if field.name in _PERSON]
    if not home or not person or home[0] or max(home) > person[0]:
        return {}
    gettext = get_translations(language).gettext
    return {shown[0].name: gettext("The home"), shown[person[0]].name: gettext("Your details")}


def arrange_consents(consents: Sequence[Consent], entry: Entry, *, language: str) -> list[Control]:
    controls = []
    for consent in consents:
        name = f"consents.{consent.name}"
        value, error = entry.values.get(name, ""), entry.error(name)
        controls.append(
            Control(
                name=name, kind=FieldType.CHECKBOX, label=consent.label[language], value=value, error=error
            )
        )
    return controls


def _either_will_do(form: Form) -> bool:
    answers = [field for field in form.fields if field.name in _ANSWERS]
    return len(answers) == len(_ANSWERS) and not any(field.required for field in answers)


def _is_required(field: Field, *, form: Form) -> bool:
    """The only way to answer is required even where the form does not say so."""
    answers = [other.name for other in form.fields if other.name in _ANSWERS]
    return field.required or answers == [field.name]


def _control(field: Field, entry: Entry, *, form: Form, language: str) -> Control:
    required = _is_required(field, form=form)
    one_of_two = field.name in _ANSWERS and _either_will_do(form)
    return Control(
        name=field.name,
        kind=field.type,
        label=field.label[language],
        help=field.help[language] if field.help else None,
        value=entry.values.get(field.name, ""),
        options=tuple((option.value, option.label[language]) for option in field.options),
        required=required,
        optional=not (required or one_of_two),
        max_length=field.max_length,
        error=entry.error(field.name),
        hint=entry.hints.get(field.name),
        described_by=EITHER if one_of_two else None,
    )
