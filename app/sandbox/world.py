"""What the stand-in has been sent: contacts, leads and calls. The truth that tests look up."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from app.sandbox.matching import is_same_company, is_same_person, shares_number

_CALLS_KEPT = 20_000
_NAMES = frozenset({"firstName", "lastName", "companyName"})
_NOT_STORED = frozenset({"customerId", "contactId", "task"})


class ContactKind(StrEnum):
    PERSON = "Person"
    COMPANY = "Company"


@dataclass(slots=True, kw_only=True)
class Contact:
    id: str
    customer_id: str
    kind: ContactKind
    values: dict[str, Any] = field(default_factory=dict)
    """As sent, by their names in JSON."""
    tasks: list[Mapping[str, Any]] = field(default_factory=list)
    """Every call with a task makes another one."""
    created_at: datetime
    changed_at: datetime

    @property
    def name(self) -> str:
        names = (self.values.get(name, "") for name in ("firstName", "lastName", "companyName"))
        return " ".join(filter(None, names))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLead:
    id: str
    customer_id: str
    contact_id: str
    assigned_to_id: str
    lead_source_id: str
    office_id: str | None = None
    assignment_source_id: str | None = None
    message: str = ""
    referrer: str | None = None
    utm_tags: tuple[tuple[str, str], ...] = ()
    created_at: datetime
    """Ahead of now while a late commit is on its way; until then the lead is not there."""
    is_anonymized: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    at: datetime
    operation: str
    method: str
    path: str
    status: int | None
    """None when the call got no answer."""
    faults: tuple[str, ...] = ()


class World:
    """One stand-in's memory. Every id is new at each start; nothing is kept on disk."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.calls: deque[CallRecord] = deque(maxlen=_CALLS_KEPT)
        self._contacts: dict[str, Contact] = {}
        self._leads: dict[str, StoredLead] = {}

    def reset(self) -> None:
        self._contacts.clear()
        self._leads.clear()
        self.calls.clear()

    @property
    def contacts(self) -> list[Contact]:
        """Oldest first."""
        return list(self._contacts.values())

    @property
    def leads(self) -> list[StoredLead]:
        """Oldest first, without those that are still on their way."""
        now = self.clock()
        return sorted(
            (lead for lead in list(self._leads.values()) if lead.created_at <= now),
            key=lambda lead: lead.created_at,
        )

    def find_contact(self, customer_id: str, contact_id: str) -> Contact | None:
        contact = self._contacts.get(contact_id)
        return contact if contact and contact.customer_id == customer_id else None

    def find_lead(self, customer_id: str, lead_id: str) -> StoredLead | None:
        found = (lead for lead in self.leads if lead.id == lead_id and lead.customer_id == customer_id)
        return next(found, None)

    def match_contact(self, customer_id: str, kind: ContactKind, values: Mapping[str, Any]) -> Contact | None:
        """By number, else by name and a way to reach them; the oldest of several. Not by contactId."""
        number, is_same = _RULES[kind]
        standing = [one for one in self.contacts if (one.customer_id, one.kind) == (customer_id, kind)]
        numbered = (one for one in standing if shares_number(one.values, values, number))
        named = (one for one in standing if is_same(one.values, values))
        return next(numbered, None) or next(named, None)

    def add_contact(self, customer_id: str, kind: ContactKind) -> Contact:
        now = self.clock()
        contact = Contact(
            id=f"ADR{uuid4().hex.upper()}", customer_id=customer_id, kind=kind, created_at=now, changed_at=now
        )
        self._contacts[contact.id] = contact
        return contact

    def write_contact(self, contact: Contact, values: Mapping[str, Any]) -> None:
        """Overwrites with what was sent, empty texts included; only blank names leave the stored ones alone."""
        for name, value in values.items():
            if name in _NOT_STORED or (name in _NAMES and not value.strip()):
                continue
            stored = contact.values.get(name)
            contact.values[name] = {**(stored or {}), **value} if isinstance(value, dict) else value
        if "task" in values:
            contact.tasks.append(values["task"])
        contact.changed_at = self.clock()

    def add_lead(
        self,
        customer_id: str,
        values: Mapping[str, Any],
        *,
        utm_tags: Sequence[tuple[str, str]],
        delay: timedelta = timedelta(),
    ) -> StoredLead:
        """Always another one: there is no duplicate control. It is there once `delay` is over."""
        lead = StoredLead(
            id=f"LED{uuid4().hex.upper()}",
            customer_id=customer_id,
            contact_id=values["contactId"],
            assigned_to_id=values["assignedToId"],
            lead_source_id=values["leadSourceId"],
            office_id=values.get("officeId"),
            assignment_source_id=values.get("assignmentSourceId"),
            message=values.get("message", ""),
            referrer=values.get("marketing", {}).get("referrer"),
            utm_tags=tuple(utm_tags),
            created_at=self.clock() + delay,
        )
        self._leads[lead.id] = lead
        return lead


_RULES = {
    ContactKind.PERSON: ("socialSecurityNumber", is_same_person),
    ContactKind.COMPANY: ("corporateNumber", is_same_company),
}
