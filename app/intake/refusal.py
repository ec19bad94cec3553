"""Why a submission was refused: problems with fields, and their words for the visitor."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import FieldError
from app.forms.model import Form
from app.i18n import describe_error, get_translations


@dataclass(frozen=True, slots=True)
class Problem:
    """A field's error before it has words: its dotted name, code, and limit where there is one."""

    field: str
    code: str
    limit: float | None = None
    path: tuple[str, ...] = ()
    """The keys that lead to a field which only its sender knows: they may hold dots."""


def describe_problems(problems: Sequence[Problem], form: Form, language: str) -> list[FieldError]:
    """In the order of the page, then what the page does not show."""
    translations = get_translations(language)
    order = {field.name: place for place, field in enumerate(form.fields)}
    return [
        FieldError(
            field=problem.field,
            code=problem.code,
            detail=describe_error(
                problem.code,
                translations=translations,
                label=_find_label(problem.field, form, language),
                limit=problem.limit,
            ),
            path=problem.path,
        )
        for problem in sorted(problems, key=lambda problem: order.get(problem.field, len(order)))
    ]


def _find_label(name: str, form: Form, language: str) -> str:
    """What a field is called on the page; its own name where the page does not show it."""
    if (shown := form.field(name)) is not None:
        return shown.label[language]
    consent = next((one for one in form.consents if f"consents.{one.name}" == name), None)
    return consent.label[language] if consent else name[:80]
