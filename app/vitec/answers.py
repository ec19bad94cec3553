"""What Vitec's answers mean: for a create, for a contact, for a reading. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from app.forms.model import CallGroup
from app.vitec import limits
from app.vitec.bodies import read_json, read_refusal, scrub
from app.vitec.xml import read_texts

RETRY_AFTER_CAP = timedelta(hours=6)

About = Literal["contact", "receiver"]

_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.:-]{{0,{limits.ID - 1}}}")
_NO_IDS = frozenset({"null", "none", "undefined", "nan", "true", "false"})
_REFUSED = frozenset({400, 413, 415, 422})
_MISDIRECTED = frozenset({301, 308, 404, 405, 410})

_ABOUT_FIELD: tuple[tuple[str, About], ...] = (
    ("contactid", "contact"),
    ("assignedtoid", "receiver"),
    ("officeid", "receiver"),
)
# Not "kontakta": "contact Vitec" is what every error page says.
_ABOUT_WORDS: tuple[tuple[re.Pattern[str], About], ...] = (
    (re.compile(r"\b(kontakt|kontakten|kontaktens|the contact)\b", re.IGNORECASE), "contact"),
    (
        re.compile(
            r"\b(mottagare|mottagaren|användare|användaren|användargrupp|användargruppen"
            r"|kontor|kontoret|receiver|user|user group|office)\b",
            re.IGNORECASE,
        ),
        "receiver",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one request. Never an exception."""

    sent: bool
    """Whether any byte of the request may have left: the trace hook's word, not an exception's type."""
    status: int | None = None
    """None when no complete status line and headers came."""
    content_type: str = ""
    body: bytes = field(default=b"", repr=False)
    """All of it unless `error` says otherwise. May repeat what a visitor typed."""
    retry_after: timedelta | None = None
    error: str = ""
    """Why the answer is not whole: a short class name, or a sentence about a login; never a value."""

    @property
    def succeeded(self) -> bool:
        """A whole 2xx answer."""
        return self.status is not None and 200 <= self.status < 300 and not self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """Vitec has the lead."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Vitec has the contact, new or old: it does not say which."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A whole answer to a reading; what it says is for the readers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """No byte left this machine."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """429: not processed; the destination wants it slower."""

    retry_after: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The content is refused; the same again would be too."""

    status: int
    words: str
    """Vitec's own, scrubbed and capped."""
    about: About | None = None
    """A guess from the names and words of the refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorized:
    """401: the password, or the group of calls is not granted."""

    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forbidden:
    """403: no access to this customer, for one because the office has left Vitec."""

    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misdirected:
    """404, 405, 410, 301, 308: a fault of the destination, not of the lead."""

    status: int
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """It may or may not have happened."""

    status: int | None
    cause: str
    retry_after: timedelta | None = None


Failure = NotSent | NotTaken | Refused | Unauthorized | Forbidden | Misdirected | Unknown
_FAILURES: dict[type[Failure], str] = {
    NotSent: "not_sent",
    NotTaken: "not_taken",
    Refused: "refused",
    Unauthorized: "unauthorized",
    Forbidden: "forbidden",
    Misdirected: "misdirected",
    Unknown: "unknown",
}
CreateOutcome = Created | Failure
ContactOutcome = Found | Failure
ReadOutcome = Readable | Failure


def classify_create(answer: Answer, *, values: Iterable[str] = ()) -> CreateOutcome:
    """The meaning of an answer to POST CRM/Lead. `values`: what the visitor typed, masked in all words."""
    lead_id = _read_id(answer, "leadId") if answer.succeeded else None
    return Created(id=lead_id) if lead_id else _classify_failure(answer, values)


def classify_contact(answer: Answer, *, values: Iterable[str] = ()) -> ContactOutcome:
    """The meaning of an answer to UpdatePerson or UpdateCompany."""
    contact_id = _read_id(answer, "contactId") if answer.succeeded else None
    return Found(id=contact_id) if contact_id else _classify_failure(answer, values)


def classify_read(answer: Answer, *, values: Iterable[str] = ()) -> ReadOutcome:
    """The meaning of an answer to a reading call. Unknown is no news: it changes nothing to read again."""
    return Readable() if answer.succeeded else _classify_failure(answer, values)


def name_outcome(answer: Answer, group: CallGroup) -> str:
    """A word for what an answer means to a call of this group, of which there are eight."""
    classify = {CallGroup.CREATE: classify_create, CallGroup.CONTACT: classify_contact}.get(
        group, classify_read
    )
    outcome = classify(answer)
    return "done" if isinstance(outcome, Created | Found | Readable) else _FAILURES[type(outcome)]


def parse_retry_after(value: str | None, *, date: str | None) -> timedelta | None:
    """Seconds or an HTTP-date (RFC 9110, 10.2.3), from the reply's own `Date`; garbage is None. At most 6 h."""
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,20}", text):
        return min(timedelta(seconds=min(int(text), 10**6)), RETRY_AFTER_CAP)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(date or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta()), RETRY_AFTER_CAP)


def _classify_failure(answer: Answer, values: Iterable[str]) -> Failure:
    status = answer.status
    if not answer.sent:
        return NotSent(cause=answer.error)
    if status == 429:
        return NotTaken(retry_after=answer.retry_after)
    if status is None or status < 300:
        return Unknown(status=status, cause=answer.error or "NoReadableId", retry_after=answer.retry_after)
    refusal = read_refusal(answer.body)
    words = scrub(refusal.text, values)
    if status in _REFUSED:
        return Refused(status=status, words=words, about=_guess_about(refusal.fields, refusal.text))
    if status == 401:
        return Unauthorized(words=words)
    if status == 403:
        return Forbidden(words=words)
    if status in _MISDIRECTED:
        return Misdirected(status=status, words=words)
    return Unknown(status=status, cause=answer.error or words, retry_after=answer.retry_after)


def _read_id(answer: Answer, name: str) -> str | None:
    """The id in a bare string or an object, in JSON or XML; None when there is none to be sure of."""
    if answer.body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        texts = read_texts(answer.body) or ()
        found: object = texts[0][1] if len(texts) == 1 and texts[0][0] == "string" else None
    else:
        found = read_json(answer.body)
        if isinstance(found, dict):
            lowered = {key.lower(): value for key, value in found.items()}
            found = lowered.get(name.lower()) or lowered.get("id")
    text = found.strip() if isinstance(found, str) else ""
    return text if _ID.fullmatch(text) and text.lower() not in _NO_IDS else None


def _guess_about(fields: Iterable[str], text: str) -> About | None:
    """Whom a refusal speaks of; None when it speaks of both, of neither, or of the lead source."""
    names = " ".join(fields).lower()
    named: set[About] = {about for part, about in _ABOUT_FIELD if part in names or part in text.lower()}
    if not named and "sourceid" in names + text.lower():
        return None
    guesses = named or {about for pattern, about in _ABOUT_WORDS if pattern.search(text)}
    return next(iter(guesses)) if len(guesses) == 1 else None
