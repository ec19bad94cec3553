"""What a forms file says, once it has been read and found right. Frozen values only."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from app.lead import Account, Destination
from app.secret_file import read_secret

Text = Mapping[str, str]
"""A text by language. Every language of the form has one; a bare string in the file stands for them all."""

BUILT_IN_FIELDS = (
    "firstName",
    "lastName",
    "name",
    "email",
    "phone",
    "message",
    "streetAddress",
    "zipCode",
    "city",
    "companyName",
    "corporateNumber",
)
"""Accepted by every form's API, whether or not its page shows them."""

HONEYPOT = "follow_up"
"""A field of the page that nobody sees. Its name means nothing to a browser that fills in addresses."""

PROOF = "altcha"
"""The field of a proof of work, by ALTCHA's protocol."""

RESERVED_NAMES = frozenset(
    {*BUILT_IN_FIELDS, "consents", "notice", "receiver", "pageUrl", "language", "marketing", "token", "lang"}
    | {HONEYPOT, PROOF}
)
"""What a form's own field may not be called."""


class FieldType(StrEnum):
    TEXT = "text"
    TEXTAREA = "textarea"
    EMAIL = "email"
    TEL = "tel"
    NUMBER = "number"
    POSTCODE = "postcode"
    SELECT = "select"
    RADIO = "radio"
    CHECKBOX = "checkbox"
    HIDDEN = "hidden"


class Mode(StrEnum):
    LIVE = "live"
    TEST = "test"


class ContactType(StrEnum):
    PERSON = "person"
    COMPANY = "company"


class OnAmbiguous(StrEnum):
    """What to do where it cannot be found out whether Vitec took a lead."""

    HOLD = "hold"
    RESEND = "resend"


class CallGroup(StrEnum):
    """Vitec's passwords can differ by group of calls (its page TechnicalInformation)."""

    CONTACT = "contact"
    CREATE = "create"
    READ = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    value: str
    label: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form, in the order in which the page shows them."""

    name: str
    type: FieldType
    label: Text
    help: Text | None = None
    required: bool = False
    options: tuple[Option, ...] = ()
    minimum: float | None = None
    """The least that a number may be."""
    max_length: int = 200
    """Characters, as a visitor counts them."""

    @property
    def built_in(self) -> bool:
        return self.name in BUILT_IN_FIELDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Sends a lead to a receiver when all of its conditions hold."""

    receiver: str
    zip: tuple[tuple[int, int], ...] = ()
    """Ranges of five-digit Swedish postcodes, both ends included: `"111-118"` is (11100, 11899)."""
    when: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    name: str
    label: Text
    maps_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    accent: str | None = None
    background: str | None = None
    text: str | None = None
    radius: str | None = None
    font: str | None = None
    spacing: str | None = None
    mode: str = "light"
    logo: str | None = None
    stylesheet: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long after reaching a state a lead is kept. A held or pending lead never goes by itself."""

    delivered: timedelta = timedelta(days=30)
    discarded: timedelta = timedelta(days=7)
    quarantined: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    notice: Text
    """The whole text as it stands next to the form, controller and address filled in."""
    version: str
    """As configured, or else a short digest of the text: a changed text is a new version."""
    controller: str | None = None
    policy_url: str | None = None
    retention: Retention = Retention()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spam:
    quarantine_at: float = 1.0
    challenge_at: float = 0.5
    words: tuple[str, ...] = ()
    trusted_networks: tuple[str, ...] = ()
    require_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A server that posts for many visitors."""

    name: str
    hash: str
    forms: tuple[str, ...] = ()
    rate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """Where a password is to be had. Read anew for each use, so that it may be rotated without a restart."""

    value: str | None = field(default=None, repr=False)
    file: Path | None = None
    env: str | None = None

    def read(self, environ: Mapping[str, str] = os.environ) -> str:
        """The password itself. Raises OSError when its file cannot be read, KeyError when its variable is gone."""
        if self.file is not None:
            return read_secret(self.file)
        if self.env is not None:
            return environ[self.env]
        return self.value or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A Vitec Connect account: HTTP Basic, UTF-8."""

    name: str
    username: str
    password: Password
    base_url: str
    """Without a trailing slash."""
    group_passwords: Mapping[CallGroup, Password] = field(default_factory=dict)

    def password_for(self, group: CallGroup) -> Password:
        return self.group_passwords.get(group, self.password)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A `[receivers.NAME]`: the keys it lays over those of the form. None leaves the form's own."""

    name: str
    source: str = ""
    """The file it was read from."""
    customer_id: str | None = None
    assigned_to_id: str | None = None
    office_id: str | None = None
    lead_source_id: str | None = None
    assignment_source_id: str | None = None
    vitec: str | None = None
    office_email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    name: str
    """As it stands in addresses: lower-case letters, digits, `-` and `_`."""
    source: str
    """The file it was read from."""
    preset: str = "kontakt"
    title: Text
    intro: Text
    submit_label: Text
    thanks: Text
    subject: Text
    """The first line of the message an agent reads: what is wanted."""
    home_fields: tuple[str, ...] = ()
    """The fields that tell which home it is about; they go into the message, never into the contact's address."""
    languages: tuple[str, ...] = ("sv", "en")
    """The first is the agency's own: agents read their messages in it."""
    phone_region: str = "SE"
    """Whose national numbers a phone without a country code is read as. ISO 3166-1."""
    fields: tuple[Field, ...]
    destination: Destination
    """The form's own keys, before any receiver's are laid over them."""
    receiver: str | None = None
    fallback_receiver: str | None = None
    routes: tuple[Route, ...] = ()
    category_ids: tuple[str, ...] = ()
    contact_type: ContactType = ContactType.PERSON
    allowed_origins: tuple[str, ...] = ()
    """Lower-case `scheme://host[:port]`, without a default port or a path."""
    redirect_url: str | None = None
    mode: Mode = Mode.LIVE
    on_ambiguous: OnAmbiguous = OnAmbiguous.HOLD
    receipt: bool = False
    """Whether the visitor is sent a mail that says that the enquiry has come in."""
    reference_in_message: bool = True
    extra_tags: bool = True
    """Whether click ids and `landing_referrer` go to Vitec beside the utm tags."""
    parameters: tuple[str, ...] = ()
    """Campaign parameters captured beside the usual ones. Lower case."""
    theme: Theme = Theme()
    privacy: Privacy
    consents: tuple[Consent, ...] = ()
    spam: Spam = Spam()

    @property
    def named_receivers(self) -> tuple[str, ...]:
        """Those that its own keys speak of, beside which a page may ask for others."""
        told = (self.receiver, *(route.receiver for route in self.routes), self.fallback_receiver)
        return tuple(dict.fromkeys(name for name in told if name))

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """Everything the forms file or directory says."""

    forms: Mapping[str, Form]
    receivers: Mapping[str, Receiver] = field(default_factory=dict)
    logins: Mapping[str, Login] = field(default_factory=dict)
    """By name; `default` is the environment's."""
    api_keys: Mapping[str, ApiKey] = field(default_factory=dict)

    def customers(self, form: Form) -> frozenset[str]:
        """Whose leads the form brings, by its own keys and the receivers it names."""
        return frozenset(self.destination(form, name).customer_id for name in (None, *form.named_receivers))

    def accounts(self) -> frozenset[Account]:
        """Where leads may go: by any form, to any receiver."""
        own = {form.destination.account for form in self.forms.values()}
        over = {(one.vitec, one.customer_id) for one in self.receivers.values()} | {(None, None)}
        return frozenset(
            Account(login=vitec or account.login, customer_id=customer_id or account.customer_id)
            for account in own
            for vitec, customer_id in over
        )

    def destination(self, form: Form, receiver: str | None) -> Destination:
        """The form's keys with the receiver's laid over them; the form's own for None or an unknown name."""
        over = self.receivers.get(receiver) if receiver else None
        if over is None:
            return form.destination
        own = form.destination
        return Destination(
            customer_id=over.customer_id or own.customer_id,
            assigned_to_id=over.assigned_to_id or own.assigned_to_id,
            lead_source_id=over.lead_source_id or own.lead_source_id,
            office_id=over.office_id or own.office_id,
            assignment_source_id=over.assignment_source_id or own.assignment_source_id,
            vitec=over.vitec or own.vitec,
            office_email=over.office_email or own.office_email,
        )
