"""Keeps an enquiry: its fingerprints, its first state, its place in the outbox."""

from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any

from app.errors import LeadgateError
from app.forms.model import Form, Forms, Mode
from app.intake.digests import Digests
from app.lead import Contact, Enquiry, LeadState
from app.store.acceptance import is_key_taken
from app.store.leads import write_body
from app.store.store import Store
from app.store.words import Acceptance, NewLead, Proof, Suspicion

TEST_MODE = "test mode: kept, never sent to Vitec"

MAX_KEY = 255


class InvalidIdempotencyKey(LeadgateError):
    """The header holds no key: empty, longer than 255 characters, or unprintable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What makes a repeated submission the same lead."""

    value: str
    once_in_ten_minutes: bool = False
    """Whether the same content under another key is the same lead all the same, as on a page loaded twice."""
    made_here: bool = False
    """By chance and time: nothing of the sender's is in it."""


def read_idempotency_key(header: str | None) -> Key | None:
    """The key of an `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header), quoted or bare."""
    if header is None:
        return None
    value = header.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if not 0 < len(value) <= MAX_KEY or not value.isascii() or not value.isprintable():
        raise InvalidIdempotencyKey(f"Idempotency-Key must be 1 to {MAX_KEY} printable ASCII characters")
    return Key(value=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of looking at a submission for spam."""

    suspicion: Suspicion | None = None
    quarantined: bool = False
    proof: Proof | None = None
    """What it is let in by, in spite of the suspicion."""


INNOCENT = Verdict()


_CONTACT_FIELDS = tuple(field.name for field in fields(Contact))
_EMAIL = _CONTACT_FIELDS.index("email")
_read_contact = attrgetter(*_CONTACT_FIELDS)


class Acceptor:
    """Turns enquiries into leads that are on disk."""

    def __init__(self, store: Store, digests: Digests) -> None:
        self._store = store
        self._digests = digests

    def fingerprint(self, form: Form, enquiry: Enquiry) -> str:
        """What "the same again" means: the person, the words and the boxes, not where they came from."""
        person = list(_read_contact(enquiry.contact))
        person[_EMAIL] = (person[_EMAIL] or "").casefold()
        content = [
            person,
            enquiry.message,
            [[answer.name, answer.value] for answer in enquiry.answers],
            [consent.name for consent in enquiry.consents if consent.given],
            enquiry.unreadable_phone,
            enquiry.receiver,
        ]
        return self._digests.of_body(form.name, content)

    async def is_known(self, form: Form, key: Key) -> bool:
        """Whether a submission with this key is an earlier one's again."""
        return await self._store.read(partial(is_key_taken, form=form.name, key=self._hide(key)))

    def _hide(self, key: Key) -> str:
        """A sender may make one of an e-mail address, and it outlives its lead."""
        return key.value if key.made_here else self._digests.of_idempotency_key(key.value)

    async def accept(
        self,
        enquiry: Enquiry,
        form: Form,
        forms: Forms,
        *,
        now: datetime,
        key: Key | None = None,
        body: Any = None,
        verdict: Verdict = INNOCENT,
    ) -> Acceptance:
        """Returns when the lead is on disk. `body` is what the key stands for; by default the content.

        Raises IdempotencyConflict, or StoreUnavailable when it could not be kept.
        """
        fingerprint = self.fingerprint(form, enquiry)
        destination = forms.destination(form, enquiry.receiver)
        contact = enquiry.contact
        reason = TEST_MODE if form.mode is Mode.TEST else None
        if verdict.quarantined:
            reason = reason or str(verdict.suspicion)
        return await self._store.accept(
            NewLead(
                form=form.name,
                received_at=now,
                body=write_body(enquiry),
                fingerprint=fingerprint,
                email_key=self._digests.of_email(contact.email) if contact.email else None,
                phone_key=self._digests.of_phone(contact.phone) if contact.phone else None,
                idempotency_key=self._hide(key) if key else None,
                # Nobody asks what is behind a key that was not given.
                body_fingerprint=fingerprint
                if body is None or key is None
                else self._digests.of_body(form.name, body),
                once_in_ten_minutes=key is None or key.once_in_ten_minutes,
                state=LeadState.QUARANTINED if reason else LeadState.PENDING,
                reason=reason,
                suspicion=verdict.suspicion,
                proof=verdict.proof,
                customer_id=destination.customer_id,
                login=destination.vitec,
            )
        )
