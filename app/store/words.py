"""What the other rooms say to the store, and what it answers."""

from dataclasses import dataclass
from datetime import datetime

from app.forms.model import CallGroup, ContactType
from app.lead import Account, LeadState


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What made a submission look like spam."""

    score: float
    reasons: tuple[str, ...]
    """Codes such as `honeypot`, never what was typed."""

    def __str__(self) -> str:
        return f"spam score {self.score:g}: {', '.join(self.reasons)}"


@dataclass(frozen=True, slots=True)
class Proof:
    """Work that was done for one lead, known by its challenge's nonce."""

    nonce: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLead:
    """A checked submission, ready to be kept."""

    form: str
    received_at: datetime
    body: str
    fingerprint: str
    """Keyed digest of form, person and content: what "the same again" means."""
    email_key: str | None
    phone_key: str | None
    idempotency_key: str | None = None
    body_fingerprint: str = ""
    """Keyed digest of the whole body: what the idempotency key stands for."""
    once_in_ten_minutes: bool = True
    """Whether the same again within ten minutes is the same lead, though the key may differ."""
    state: LeadState = LeadState.PENDING
    reason: str | None = None
    suspicion: Suspicion | None = None
    proof: Proof | None = None
    """Without which it would be in quarantine, as it will be where another lead was let in by it."""
    customer_id: str
    login: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What has been kept, and is on disk."""

    lead_id: str
    reference: str
    received_at: datetime
    state: LeadState
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What a person makes of a held lead's words."""

    held_since: datetime
    """As it was when they were looked at: held anew since, it may be another's work."""
    body: str
    email_key: str | None
    phone_key: str | None
    fields: tuple[str, ...]
    """The names of those that differ; none leaves the lead as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadStatus:
    """Where a lead is. No personal data."""

    lead_id: str
    reference: str
    form: str
    received_at: datetime
    state: LeadState
    reason: str | None
    delivered_at: datetime | None
    vitec_lead_id: str | None = None
    purged_at: datetime | None = None
    """Since when nothing but this is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One worker's turn with a lead, until `leased_until`."""

    lead_id: str
    form: str
    login: str
    """Under which it is filed: that of its frozen payload, or the one foreseen."""
    customer_id: str
    """To whom it is filed, likewise."""
    fence: int
    """Rises with each claim; a decision by an older fence changes nothing."""
    leased_until: datetime
    pending_since: datetime
    """When it came in, or when a person last sent it again or let it go."""
    tries: int
    crashes: int = 0
    """Earlier claims in a row that never came to an end."""
    payload_version: int | None
    contact_id: str | None
    has_open_create: bool
    """A create was begun and its outcome is not known: it must not be sent again unseen."""
    may_not_read: bool = False
    """The gate for reading is closed."""
    reconcile_first: bool = False
    """It is looked for in Vitec before anything is sent."""
    may_be_forgotten: bool = False
    """A create may not be on record, the store being restored, or may have been looked for in the wrong place."""
    was_denied: bool = False
    """It has been looked for once in vain; that counts from the second time on."""
    resolved_anew: bool = False
    fallen_back: bool = False
    possible_duplicate: bool = False

    @property
    def account(self) -> Account:
        return Account(login=self.login, customer_id=self.customer_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateKey:
    """What closes when Vitec refuses a login: one customer's one group of calls."""

    base_url: str
    login: str
    customer_id: str
    call_group: CallGroup

    @property
    def account(self) -> Account:
        return Account(login=self.login, customer_id=self.customer_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    key: GateKey
    closed_at: datetime
    status: int
    probes: int
    probe_at: datetime
    credential: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What is sent to Vitec, frozen: every attempt sends the same bytes."""

    version: int
    contact_type: ContactType
    contact: bytes
    lead: str
    """The lead's body as JSON, without its contact's id."""
