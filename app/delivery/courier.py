"""Brings one claimed lead to Vitec: contact, intent, lead. No transaction is open while Vitec is asked."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from random import Random, SystemRandom
from typing import Any

from app.delivery.pace import Pace
from app.delivery.policy import HOLD_AFTER, next_attempt, next_probe
from app.errors import LeadNotFound
from app.forms.live import LiveForms
from app.forms.model import CallGroup, Form, Login, Mode
from app.lead import Destination, Lead
from app.log import get_logger
from app.store.gates import count_probes
from app.store.leads import load_lead
from app.store.outbox import LeaseLost, freeze_payload, load_payload, start_attempt
from app.store.settling import (
    AttemptEnd,
    CloseGate,
    ContactFound,
    Decision,
    Delivered,
    Hold,
    Settlement,
    TryLater,
    settle,
)
from app.store.store import Store
from app.store.words import Claim, GateKey, Payload
from app.vitec.answers import (
    Answer,
    Created,
    Forbidden,
    Found,
    Misdirected,
    NotSent,
    NotTaken,
    Refused,
    Unauthorized,
    Unknown,
    classify_contact,
    classify_create,
)
from app.vitec.client import VitecClient
from app.vitec.contact import is_matchable, list_typed, map_contact
from app.vitec.guard import read_boot_clock
from app.vitec.payload import encode, map_lead
from app.vitec.readings import parse_lead_ids

_log = get_logger("delivery")

MAY_EXIST = "may exist in Vitec"

Failure = NotSent | NotTaken | Refused | Unauthorized | Forbidden | Misdirected | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator has set."""

    timeout: timedelta
    schedule: Sequence[timedelta]

    @property
    def lease(self) -> timedelta:
        """Longer than a contact call, a reading and a create that all take their full time."""
        return 3 * self.timeout + timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A lead with everything that its way needs."""

    claim: Claim
    lead: Lead
    form: Form
    login: Login
    destination: Destination
    payload: Payload

    def gate(self, group: CallGroup) -> GateKey:
        return GateKey(
            base_url=self.login.base_url,
            login=self.login.name,
            customer_id=self.destination.customer_id,
            call_group=group,
        )


@dataclass(slots=True, kw_only=True)
class Courier:
    store: Store
    forms: LiveForms
    client: VitecClient
    pace: Pace
    terms: Terms
    digest_password: Callable[[str], str]
    now: Callable[[], datetime]
    random: Random = field(default_factory=SystemRandom)

    async def deliver(self, claim: Claim) -> None:
        """One turn with a lead; it ends delivered, held, or due again later."""
        try:
            parcel = await self._prepare(claim)
            if parcel is None:
                return
            if claim.has_open_create:
                await self._settle(claim, Settlement(decision=Hold(reason=MAY_EXIST)))
                return
            contact_id = claim.contact_id or await self._resolve_contact(parcel)
            if contact_id is not None:
                await self._create_lead(parcel, contact_id)
        except LeaseLost:
            _log.warning("lease_lost", lead=claim.lead_id, fence=claim.fence)
        self.store.announce_settled(claim.lead_id)

    async def _prepare(self, claim: Claim) -> Parcel | None:
        """Everything that is needed, or the lead is held with what is missing."""
        form = self.forms.find(claim.form)
        if form is None:
            await self._refuse(claim, f"the forms file has no form {claim.form!r} any more")
            return None
        if form.mode is Mode.TEST:
            await self._refuse(claim, "the form is in test mode: nothing is sent to Vitec")
            return None
        try:
            lead = await self.store.read(partial(load_lead, lead_id=claim.lead_id))
        except (ValueError, LeadNotFound):
            await self._refuse(claim, "what was kept cannot be read by this version")
            return None
        forms = self.forms.current
        destination = forms.destination(form, lead.receiver)
        login = forms.logins.get(destination.vitec)
        if login is None:
            await self._refuse(claim, f"there is no login {destination.vitec!r} for Vitec")
            return None
        payload = await self._freeze(claim, lead, form, destination)
        customer_id = json.loads(payload.contact)["customerId"]
        return Parcel(
            claim=claim,
            lead=lead,
            form=form,
            login=login,
            destination=replace(destination, customer_id=customer_id),
            payload=payload,
        )

    async def _refuse(self, claim: Claim, reason: str) -> None:
        await self._settle(claim, Settlement(decision=Hold(reason=reason)))

    async def _freeze(self, claim: Claim, lead: Lead, form: Form, destination: Destination) -> Payload:
        """What is sent, mapped at the first attempt and the same ever after."""
        if claim.payload_version is not None:
            return await self.store.read(
                partial(load_payload, lead_id=claim.lead_id, version=claim.payload_version)
            )
        contact = map_contact(lead, form, destination)
        payload = Payload(
            version=0,
            contact_type=contact.kind,
            contact=encode(contact.body),
            lead=encode(map_lead(lead, form, destination, contact_id="")).decode(),
        )
        now = self.now()
        return await self.store.write(
            lambda connection: freeze_payload(connection, claim, payload, notes=contact.notes, now=now)
        )

    async def _resolve_contact(self, parcel: Parcel) -> str | None:
        """The contact's id, committed; None when the lead's turn is over."""
        attempt_id = await self._begin(parcel, "contact")
        await self.pace.wait()
        answer = await self.client.update_contact(
            parcel.login, parcel.payload.contact_type, parcel.payload.contact
        )
        outcome = classify_contact(answer, values=list_typed(parcel.lead))
        gate = parcel.gate(CallGroup.CONTACT)
        if isinstance(outcome, Found):
            end = AttemptEnd(attempt_id=attempt_id, outcome="done", status=answer.status, vitec_id=outcome.id)
            await self._settle(
                parcel.claim,
                Settlement(decision=ContactFound(contact_id=outcome.id), attempt=end, opens=gate),
            )
            return outcome.id
        if isinstance(outcome, Unknown) and not is_matchable(json.loads(parcel.payload.contact)):
            decision: Decision | None = Hold(
                reason=f"the contact {MAY_EXIST}: the answer was lost, and Vitec cannot match this person again"
            )
        else:
            decision = None
        await self._fail(parcel, outcome, answer, attempt_id, CallGroup.CONTACT, decision=decision)
        return None

    async def _create_lead(self, parcel: Parcel, contact_id: str) -> None:
        snapshot = await self._take_snapshot(parcel, contact_id)
        deadline = read_boot_clock() + self.terms.timeout.total_seconds()
        await self.pace.wait()
        attempt_id = await self._begin(parcel, "create", snapshot=snapshot)
        body: dict[str, Any] = json.loads(parcel.payload.lead) | {"contactId": contact_id}
        answer = await self.client.create_lead(
            parcel.login, parcel.destination.customer_id, body, deadline=deadline
        )
        outcome = classify_create(answer, values=list_typed(parcel.lead))
        if isinstance(outcome, Created):
            end = AttemptEnd(attempt_id=attempt_id, outcome="done", status=answer.status, vitec_id=outcome.id)
            await self._settle(
                parcel.claim,
                Settlement(
                    decision=Delivered(vitec_lead_id=outcome.id),
                    attempt=end,
                    opens=parcel.gate(CallGroup.CREATE),
                ),
            )
            _log.info("lead_delivered", lead=parcel.claim.lead_id, form=parcel.form.name)
            return
        held = Hold(reason=f"{MAY_EXIST}: the answer to its create was lost")
        await self._fail(
            parcel,
            outcome,
            answer,
            attempt_id,
            CallGroup.CREATE,
            decision=held if isinstance(outcome, Unknown) else None,
        )

    async def _take_snapshot(self, parcel: Parcel, contact_id: str) -> tuple[str, ...] | None:
        """The contact's lead ids as they stand; what cannot be read never keeps a lead from being sent."""
        await self.pace.wait()
        return parse_lead_ids(
            await self.client.list_leads(parcel.login, parcel.destination.customer_id, contact_id)
        )

    async def _begin(self, parcel: Parcel, kind: str, *, snapshot: Sequence[str] | None = None) -> int:
        now = self.now()
        return await self.store.write(
            lambda connection: start_attempt(
                connection,
                parcel.claim,
                kind=kind,
                payload_version=parcel.payload.version,
                now=now,
                deadline_at=now + self.terms.timeout,
                snapshot=snapshot,
            )
        )

    async def _fail(
        self,
        parcel: Parcel,
        outcome: Failure,
        answer: Answer,
        attempt_id: int,
        group: CallGroup,
        *,
        decision: Decision | None,
    ) -> None:
        """Settles an attempt that did not bring its id; what an unknown outcome means, the caller says."""
        end = AttemptEnd(
            attempt_id=attempt_id,
            outcome=_OUTCOMES[type(outcome)],
            status=answer.status,
            detail=_detail(outcome),
        )
        decision = decision or await self._decide(parcel, outcome, group)
        refused_by_gate = isinstance(outcome, Unauthorized | Forbidden | Misdirected)
        answered = answer.status is not None and not refused_by_gate
        await self._settle(
            parcel.claim,
            Settlement(decision=decision, attempt=end, opens=parcel.gate(group) if answered else None),
        )

    async def _decide(self, parcel: Parcel, outcome: Failure, group: CallGroup) -> Decision:
        now = self.now()
        match outcome:
            case Refused():
                return Hold(reason=f"refused by Vitec ({outcome.status}): {outcome.words}")
            case Unauthorized():
                return await self._close(parcel, group, 401)
            case Forbidden():
                return await self._close(parcel, group, 403)
            case Misdirected():
                return await self._close(parcel, group, outcome.status)
        if now - parcel.lead.received_at > HOLD_AFTER:
            return Hold(reason="not delivered in 30 days")
        at = next_attempt(
            parcel.claim.tries,
            schedule=self.terms.schedule,
            now=now,
            random=self.random,
            not_before=outcome.retry_after if isinstance(outcome, NotTaken) else None,
        )
        return TryLater(at=at)

    async def _close(self, parcel: Parcel, group: CallGroup, status: int) -> CloseGate:
        key = parcel.gate(group)
        now = self.now()
        probes = await self.store.read(partial(count_probes, key=key))
        _log.error("gate_closed", login=key.login, customer=key.customer_id, group=group, status=status)
        return CloseGate(
            key=key,
            status=status,
            probe_at=next_probe(status, probes=probes, now=now),
            credential=self.digest_password(parcel.login.password_for(group).read()),
        )

    async def _settle(self, claim: Claim, settlement: Settlement) -> None:
        now = self.now()
        took_effect = await self.store.write(
            lambda connection: settle(connection, claim, settlement, now=now)
        )
        if not took_effect:
            _log.warning("lease_lost", lead=claim.lead_id, fence=claim.fence)
        elif isinstance(settlement.decision, Hold):
            _log.error("lead_held", lead=claim.lead_id, form=claim.form)


_OUTCOMES: dict[type[Failure], str] = {
    NotSent: "not_sent",
    NotTaken: "not_taken",
    Refused: "refused",
    Unauthorized: "gate",
    Forbidden: "gate",
    Misdirected: "gate",
    Unknown: "unknown",
}


def _detail(outcome: Failure) -> str | None:
    match outcome:
        case NotSent() | Unknown():
            return outcome.cause
        case NotTaken():
            return None
    return outcome.words
