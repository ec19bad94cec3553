"""Every failure on purpose.

LeadgateError
├── ConfigurationError      the start is refused; carries every mistake found
├── StoreError
│   ├── StoreUnavailable    a lead could not be kept: 503, the sender tries again
│   ├── KeyMissing          what was kept is sealed with a key that is not at hand
│   └── StoreOccupied       another process holds the SQLite file
├── SubmissionRefused       what was sent is no lead; carries every field's error
├── IdempotencyConflict     the key was used before, for other content
└── OperatorError           a command that cannot be carried out, in a sentence
    └── LeadNotFound

An answer from Vitec is never an exception: see app.vitec.answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote


class LeadgateError(Exception):
    """The root of everything raised on purpose."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with the configuration."""

    source: str
    """The file, or the environment variable, as the operator knows it."""
    key: str
    """The dotted key inside the file, such as `forms.kontakt.receiver`; empty when it is all of the source."""
    message: str
    """What is wrong, and what would be right."""

    def __str__(self) -> str:
        place = f"{self.source}: {self.key}" if self.key else self.source
        return f"{place}: {self.message}"


class ConfigurationError(LeadgateError):
    """The configuration cannot be used. All its mistakes at once."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class StoreError(LeadgateError):
    """Something about the database."""


class StoreUnavailable(StoreError):
    """The store cannot be written now. Nothing was acknowledged."""


class StoreOccupied(StoreError):
    """Another process holds this SQLite file."""


class KeyMissing(StoreError):
    """What was kept is sealed with a key that is not at hand, or was damaged. Nothing is lost while it waits."""

    def __init__(self, name: str) -> None:
        """The key's name: eight digits, no secret."""
        self.name = name
        super().__init__(
            f"this is encrypted with key {name}, which is not in LEADGATE_ENCRYPTION_KEYS (or it was damaged)"
        )


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field's error, in the visitor's language."""

    field: str
    """The field's dotted name, such as `email` or `consents.newsletter`."""
    code: str
    """Stable and machine-readable, such as `invalid_email`."""
    detail: str
    """A sentence for the visitor."""
    path: tuple[str, ...] = ()
    """The keys that lead to it, where a dot in one of them would be taken for the next."""

    @property
    def pointer(self) -> str:
        """RFC 6901, as a URI fragment: `#/consents/newsletter`."""
        keys = self.path or self.field.split(".")
        return "#/" + "/".join(quote(key.replace("~", "~0").replace("/", "~1")) for key in keys)


class SubmissionRefused(LeadgateError):
    """What was sent cannot become a lead. Carries all errors; its text holds nothing a visitor typed."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        told = (
            error.code if error.code == "unknown_field" else f"{error.field}: {error.code}"
            for error in errors
        )
        super().__init__(", ".join(told))


class IdempotencyConflict(LeadgateError):
    """The idempotency key was used for other content."""


class OperatorError(LeadgateError):
    """A command that cannot be carried out, told to whoever gave it. By its code a page tells it in its language."""

    def __init__(self, message: str, *, code: str = "", **about: str) -> None:
        """`about`: what the page's sentence names, beside the lead."""
        self.code = code
        self.about = about
        super().__init__(message)


class LeadNotFound(OperatorError):
    """No lead by that id or reference."""
