"""The words of the trade: a lead and what it is made of. Frozen values, the standard library only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LeadState(StrEnum):
    """Where an accepted lead is. A lease is no state: see the store's `leased_until`."""

    PENDING = "pending"
    QUARANTINED = "quarantined"
    DELIVERED = "delivered"
    HELD = "held"
    DISCARDED = "discarded"

    @property
    def public(self) -> str:
        """What a visitor may know: a suspect is told the same as everyone else."""
        return _PUBLIC[self]

    @property
    def converts(self) -> bool:
        """Whether advertising may learn from it: a suspect's lead, or a test's, would teach it wrong."""
        return self not in {LeadState.QUARANTINED, LeadState.DISCARDED}


_PUBLIC = {
    LeadState.PENDING: "accepted",
    LeadState.QUARANTINED: "accepted",
    LeadState.DELIVERED: "delivered",
    LeadState.HELD: "held",
    LeadState.DISCARDED: "closed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Who asked. Every value is cleaned; None where nothing was given."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    """E.164."""
    company_name: str | None = None
    corporate_number: str | None = None
    street_address: str | None = None
    zip_code: str | None = None
    city: str | None = None

    @property
    def full_name(self) -> str:
        return " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered in one of the form's own fields."""

    name: str
    label: str
    """As the agent reads it: in the agency's language, the form's first."""
    value: str
    """As the agent reads it: an option's label, "Ja", a number as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A box next to the form, and whether it was ticked."""

    name: str
    label: str
    """The words the visitor saw."""
    given: bool
    maps_to: str | None = None
    """`wishAdvertising`, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The privacy notice that stood next to the form."""

    version: str
    text: str
    language: str
    shown_at: datetime | None = None
    """None when nobody vouches for it having been shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UtmTag:
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Marketing:
    """Where the visitor came from, as Vitec's FormMarketing has it."""

    referrer: str | None = None
    """The page on which the form was shown."""
    utm_tags: tuple[UtmTag, ...] = ()
    """The allow-listed campaign parameters by their own names; `landing_referrer` is one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that happened to a submission on its way in, or to a lead on its way out."""

    code: str
    """Such as `page_url_dropped` or `name_cut`."""
    detail: str = ""
    """Never personal data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquiry:
    """What somebody wants, checked and cleaned: the content of a lead."""

    language: str
    contact: Contact
    message: str = ""
    answers: tuple[Answer, ...] = ()
    unreadable_phone: str | None = None
    """What was typed as a phone number and is none; the agent reads it in the message."""
    consents: tuple[Consent, ...] = ()
    notice: Notice | None = None
    marketing: Marketing = Marketing()
    page_url: str | None = None
    receiver: str | None = None
    """The name of a `[receivers.NAME]`; None is the form's own keys."""
    receiver_reason: str = ""
    """Why this receiver, in a sentence for the operator."""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead(Enquiry):
    """An accepted enquiry: what is kept, and what is delivered."""

    id: str
    """UUIDv7, cannot be guessed."""
    reference: str
    """Ten characters without look-alikes, bare: people read it as K7Q2-9XMF-3H."""
    form: str
    received_at: datetime
    follows: str | None = None
    """The reference of an earlier lead of the same person and form, in the last ten minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One customer's Vitec by one login: where a lead is filed, and waits for its turn."""

    login: str
    customer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a lead goes in Vitec: the form's keys with its receiver's laid over them."""

    customer_id: str
    assigned_to_id: str
    lead_source_id: str
    office_id: str | None = None
    assignment_source_id: str | None = None
    vitec: str = "default"
    """The name of the login."""
    office_email: str | None = None

    @property
    def account(self) -> Account:
        return Account(login=self.vitec, customer_id=self.customer_id)
