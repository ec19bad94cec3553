"""Brings one claimed lead to Vitec: contact, intent, lead. No transaction is open while Vitec is asked."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from app.delivery.contacts import ContactDesk
from app.delivery.ledger import Ledger
from app.delivery.lookout import Lookout
from app.delivery.parcel import Parcel, Terms
from app.delivery.proving import Prover
from app.delivery.reconcile import Reconciler
from app.errors import KeyMissing, LeadNotFound, StoreUnavailable
from app.failpoints import reach
from app.forms.live import LiveForms
from app.forms.model import CallGroup, Form, Mode
from app.lead import Destination, Lead
from app.log import get_logger
from app.store.leads import load_lead
from app.store.outbox import CreateUnresolved, LeaseLost, freeze_payload, load_payload
from app.store.reconciling import load_open_create
from app.store.settling import (
    AttemptEnd,
    Decision,
    Delivered,
    FallBack,
    Hold,
    Refile,
    ResolveAnew,
    Settlement,
    TryLater,
)
from app.store.words import Claim, Payload
from app.vitec.answers import Answer, Created, Failure, Refused, Unknown, classify_create
from app.vitec.client import VitecClient
from app.vitec.contact import list_typed, map_contact
from app.vitec.guard import read_boot_clock
from app.vitec.payload import encode, map_lead

_log = get_logger("delivery")

# An intent that was open stays so, and is looked for.
_STORE_RECOVERS = timedelta(seconds=5)
# Somebody must find the key, and another worker may have it.
_KEY_IS_FOUND = timedelta(minutes=5)

POISONED_AFTER = 4
"""Claims that ended in a crash: one in company, three alone."""


@dataclass(slots=True, kw_only=True)
class Courier:
    forms: LiveForms
    client: VitecClient
    ledger: Ledger

    @property
    def terms(self) -> Terms:
        return self.ledger.terms

    @property
    def _lookout(self) -> Lookout:
        return Lookout(client=self.client, ledger=self.ledger)

    @property
    def _contacts(self) -> ContactDesk:
        return ContactDesk(client=self.client, ledger=self.ledger, lookout=self._lookout)

    @property
    def _prover(self) -> Prover:
        return Prover(lookout=self._lookout, ledger=self.ledger)

    @property
    def _reconciler(self) -> Reconciler:
        return Reconciler(
            contacts=self._contacts, lookout=self._lookout, prover=self._prover, ledger=self.ledger
        )

    async def deliver(self, claim: Claim) -> None:
        """One turn with a lead; it ends delivered, held, or due again later."""
        reach("after_claim")
        try:
            if claim.crashes >= POISONED_AFTER:
                await self._hold(
                    claim, "working on it has ended the process three times, with nothing else under way"
                )
            elif parcel := await self._prepare(claim):
                await self._take_next_step(parcel)
        except (LeaseLost, CreateUnresolved) as error:
            _log.warning("lease_lost", lead=claim.lead_id, fence=claim.fence, cause=type(error).__name__)
        except StoreUnavailable as error:
            _log.warning("turn_given_up", lead=claim.lead_id, cause=str(error))
            later = TryLater(at=self.ledger.now() + _STORE_RECOVERS, spend_try=False)
            await self.ledger.settle(claim, Settlement(decision=later))
        except KeyMissing as error:
            _log.error("lead_cannot_be_decrypted", lead=claim.lead_id, form=claim.form, key=error.name)
            later = TryLater(at=self.ledger.now() + _KEY_IS_FOUND, spend_try=False)
            await self.ledger.settle(claim, Settlement(decision=later))
        self.ledger.store.announce_settled(claim.lead_id)

    async def _take_next_step(self, parcel: Parcel) -> None:
        claim = parcel.claim
        if claim.has_open_create:
            create = await self.ledger.store.read(partial(load_open_create, lead_id=claim.lead_id))
            if create is not None:
                await self._reconciler.settle_unknown(parcel, create)
            else:  # its answer has come since, to whoever had claimed the lead before
                decision = TryLater(at=self.ledger.now(), spend_try=False)
                await self.ledger.settle(claim, Settlement(decision=decision))
            return
        if claim.reconcile_first:
            contact_id = await self._reconciler.rule_out(parcel)
        else:
            contact_id = claim.contact_id or await self._contacts.resolve(parcel)
        if contact_id is not None:
            await self._create_lead(parcel, contact_id)

    async def _prepare(self, claim: Claim) -> Parcel | None:
        """Everything that is needed. None when the turn is over: something is missing, or it was filed elsewhere."""
        form = self.forms.find(claim.form)
        if form is None:
            await self._hold(claim, f"the forms file has no form {claim.form!r} any more")
            return None
        if form.mode is Mode.TEST:
            await self._hold(claim, "the form is in test mode: nothing is sent to Vitec")
            return None
        try:
            lead = await self.ledger.store.read(partial(load_lead, lead_id=claim.lead_id))
            frozen = await self._find_frozen(claim)
        except (ValueError, LeadNotFound):
            await self._hold(claim, "what was kept cannot be read by this version")
            return None
        receiver = form.fallback_receiver if claim.fallen_back else lead.receiver
        destination = self.forms.current.destination(form, receiver)
        if frozen:
            destination = self._keep_to(frozen, claim, destination)
        login = self.forms.current.logins.get(destination.vitec)
        if login is None:
            await self._hold(claim, f"there is no login {destination.vitec!r} for Vitec")
            return None
        if destination.account != claim.account:
            # What was asked before it was claimed were the circuit and the gates of the other one.
            await self.ledger.settle(claim, Settlement(decision=Refile(account=destination.account)))
            return None
        payload, contact_id = (
            (frozen, claim.contact_id) if frozen else await self._freeze(claim, lead, form, destination)
        )
        return Parcel(
            claim=replace(claim, contact_id=contact_id),
            lead=lead,
            form=form,
            login=login,
            destination=destination,
            payload=payload,
        )

    async def _hold(self, claim: Claim, reason: str) -> None:
        await self.ledger.settle(claim, Settlement(decision=Hold(reason=reason)))

    async def _find_frozen(self, claim: Claim) -> Payload | None:
        """What was sent before, if anything was. Raises ValueError for what cannot be read by this version."""
        if claim.payload_version is None:
            return None
        load = partial(load_payload, lead_id=claim.lead_id, version=claim.payload_version)
        payload = await self.ledger.store.read(load)
        contact, body = json.loads(payload.contact), json.loads(payload.lead)
        if not (isinstance(contact, dict) and "customerId" in contact and isinstance(body, dict)):
            raise ValueError("no payload of this version's")
        return payload

    def _keep_to(self, payload: Payload, claim: Claim, destination: Destination) -> Destination:
        """Whose customer and login a frozen payload is for, whatever its form says by now.

        A login that is gone has only been renamed where the form still goes to the same customer.
        """
        customer_id = json.loads(payload.contact)["customerId"]
        renamed = claim.login not in self.forms.current.logins and customer_id == destination.customer_id
        login = destination.vitec if renamed else claim.login
        return replace(destination, customer_id=customer_id, vitec=login)

    async def _freeze(
        self, claim: Claim, lead: Lead, form: Form, destination: Destination
    ) -> tuple[Payload, str | None]:
        """What is sent, mapped at the first attempt and the same ever after; and to which contact, if it is known."""
        contact = map_contact(lead, form, destination)
        body = map_lead(lead, form, destination, contact_id="", possible_duplicate=claim.possible_duplicate)
        payload = Payload(
            version=0, contact_type=contact.kind, contact=encode(contact.body), lead=encode(body).decode()
        )
        return await self.ledger.store.write(
            partial(
                freeze_payload,
                claim=claim,
                payload=payload,
                account=destination.account,
                notes=contact.notes,
                now=self.ledger.now(),
            )
        )

    async def _create_lead(self, parcel: Parcel, contact_id: str) -> None:
        snapshot = await self._lookout.take_snapshot(parcel, contact_id)
        await self.ledger.pace.wait()
        deadline = read_boot_clock() + self.terms.timeout.total_seconds()
        attempt_id = await self.ledger.begin(parcel, "create", snapshot=snapshot)
        reach("after_intent")
        body: dict[str, Any] = json.loads(parcel.payload.lead) | {"contactId": contact_id}
        answer = await self.client.create_lead(parcel.login, parcel.customer_id, body, deadline=deadline)
        reach("after_answer")
        await self._count(parcel, answer)
        outcome = classify_create(answer, values=list_typed(parcel.lead))
        if isinstance(outcome, Created):
            end = AttemptEnd(attempt_id=attempt_id, outcome="done", status=answer.status, vitec_id=outcome.id)
            delivered = Delivered(vitec_lead_id=outcome.id)
            opens = parcel.gate(CallGroup.CREATE)
            await self.ledger.settle(parcel.claim, Settlement(decision=delivered, attempt=end, opens=opens))
            self.ledger.store.announce_settled(parcel.claim.lead_id)
            await self._prover.prove_by(parcel, contact_id=contact_id, vitec_lead_id=outcome.id)
            return
        decision = self._decide_create(parcel, outcome)
        await self.ledger.fail(
            parcel, outcome, answer, attempt_id=attempt_id, group=CallGroup.CREATE, decision=decision
        )

    def _decide_create(self, parcel: Parcel, outcome: Failure) -> Decision | None:
        """What is the create's own: an unknown one is looked for, a refusal may be mended once."""
        if isinstance(outcome, Unknown):
            return TryLater(at=self.ledger.now(), spend_try=False)
        if isinstance(outcome, Refused):
            claim, form = parcel.claim, parcel.form
            if outcome.about == "contact" and not claim.resolved_anew:
                return ResolveAnew()
            if outcome.about == "receiver" and form.fallback_receiver and not claim.fallen_back:
                return FallBack(receiver=form.fallback_receiver)
        return None

    async def _count(self, parcel: Parcel, answer: Answer) -> None:
        await self.ledger.health.record(parcel.login.base_url, answer, lead_id=parcel.claim.lead_id)
