"""What the reading calls say: a contact's leads, an incoming lead and its marker, contacts, receivers.

Names are read in any case: Vitec's pages do not settle it. None always means "this answer is no evidence".
"""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from app.forms.model import ContactType
from app.identity import read_reference
from app.lead import UtmTag
from app.vitec.answers import Answer
from app.vitec.bodies import read_json, read_member
from app.vitec.payload import MARKER

_CLOSING = re.compile(r"\bRef: *([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{2})\b")
_SEARCHED = {"contactids", "persons", "companies", "estates"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One lead as Vitec has it."""

    utm_tags: tuple[UtmTag, ...] = ()
    message: str = field(default="", repr=False)
    """May have been edited by its receiver."""
    sent_at: str = ""
    """As Vitec writes it, bare Swedish time: good for telling the older of two, and for nothing else."""
    is_anonymized: bool = False
    """Whether Vitec has taken out what it said: a marker that is missing tells nothing then."""


def parse_lead_ids(answer: Answer) -> tuple[str, ...] | None:
    """The ids of a contact's leads, in Vitec's order; one object or a list of them. Times are left alone."""
    rows = _read_rows(answer)
    if rows is None:
        return None
    found: list[str] = []
    for row in rows:
        leads = read_member(row, "leads")
        if not isinstance(leads, list):
            return None
        ids = [read_member(lead, "id") for lead in leads]
        if not all(isinstance(one, str) and one for one in ids):
            return None
        found += ids
    return tuple(found)


def parse_incoming(answer: Answer) -> Incoming | None:
    """The tags and the message of an incoming lead; None when it is no such thing."""
    value = read_json(answer.body) if answer.succeeded else None
    if not isinstance(value, dict):
        return None
    is_anonymized = read_member(value, "isAnonymized") is True
    if not is_anonymized and not any(name.lower() in {"utmtags", "message", "contactid"} for name in value):
        return None
    tags, message = read_member(value, "utmTags"), read_member(value, "message")
    return Incoming(
        utm_tags=tuple(
            UtmTag(name=str(read_member(tag, "name") or ""), value=str(read_member(tag, "value") or ""))
            for tag in _list(tags)
        ),
        message=message if isinstance(message, str) else "",
        sent_at=str(read_member(value, "sentAt") or ""),
        is_anonymized=is_anonymized,
    )


def carries_marker(incoming: Incoming, *, lead_id: str, reference: str) -> bool:
    """Whether this is that lead: by its tag, or where no marker tag is left by the message's closing line.

    The last closing line counts: a visitor may quote the reference of an earlier lead in a new one.
    """
    markers = [tag.value.strip() for tag in incoming.utm_tags if tag.name.strip().lower() == MARKER]
    if markers:
        return lead_id in markers
    closings = _CLOSING.findall(incoming.message)
    return bool(closings) and read_reference(closings[-1]) == reference


def parse_contact_ids(answer: Answer, kind: ContactType) -> tuple[str, ...] | None:
    """The contacts a search found: by e-mail those of the kind, by phone all of them."""
    rows = _read_rows(answer)
    if rows is None:
        return None
    group = "companies" if kind is ContactType.COMPANY else "persons"
    found: list[object] = []
    for row in rows:
        if not isinstance(row, dict) or not _SEARCHED & {name.lower() for name in row}:
            return None
        found += _list(read_member(row, "contactIds"))
        found += [read_member(contact, "contactId") for contact in _list(read_member(row, group))]
    return tuple(dict.fromkeys(one for one in found if isinstance(one, str) and one))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Somebody who can be given a lead, or could before they were archived."""

    id: str
    kind: Literal["user", "group", "office"]
    name: str = ""
    archived: bool = False
    customer_id: str | None = None
    """An office's; which of its two ids is meant by a receiver is not settled."""
    primary_receiver_id: str | None = None
    """An office's: who gets its leads and tips unless somebody else is named."""


_KINDS: tuple[tuple[str, Literal["user", "group", "office"]], ...] = (
    ("userId", "user"),
    ("userGroupId", "group"),
    ("officeId", "office"),
)


def parse_listing(answer: Answer) -> tuple[Listed, ...] | None:
    """The users, user groups or offices of a listing, and nothing else of what it says about them."""
    rows = _read_rows(answer)
    return None if rows is None else tuple(listed for row in rows if (listed := _read_listed(row)))


def _read_listed(row: Any) -> Listed | None:
    for member, kind in _KINDS:
        if (found := _text(row, member)) is not None:
            return Listed(
                id=found,
                kind=kind,
                name=_text(row, "userName" if kind == "user" else "name") or "",
                archived=read_member(row, "archived") is True,
                customer_id=_text(row, "customerId") if kind == "office" else None,
                primary_receiver_id=_text(row, "primaryLeadReceiverId"),
            )
    return None


def _text(row: Any, name: str) -> str | None:
    value = read_member(row, name)
    return value.strip() or None if isinstance(value, str) else None


def _read_rows(answer: Answer) -> list[Any] | None:
    value = read_json(answer.body) if answer.succeeded else None
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
