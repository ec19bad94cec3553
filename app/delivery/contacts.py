"""The contact of a lead: made or found in Vitec, and never made twice where that can be helped."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.delivery.ledger import Ledger
from app.delivery.lookout import Barred, Blind, Gone, Lookout
from app.delivery.parcel import Parcel
from app.failpoints import reach
from app.forms.model import CallGroup
from app.store.outbox import may_have_contact
from app.store.settling import AttemptEnd, ContactFound, Decision, Hold, Settlement
from app.vitec.answers import Found, Unknown, classify_contact
from app.vitec.client import VitecClient
from app.vitec.contact import is_matchable, list_typed
from app.vitec.readings import parse_contact_ids

UNMATCHABLE = "the contact may exist in Vitec, which cannot match this person again"


@dataclass(slots=True, kw_only=True)
class ContactDesk:
    client: VitecClient
    ledger: Ledger
    lookout: Lookout

    async def resolve(self, parcel: Parcel) -> str | None:
        """The contact's id, committed; None when the lead's turn is over."""
        if _can_repeat(parcel) or not await self._may_have_contact(parcel):
            return await self.update(parcel)
        found = await self.search(parcel)
        decision: Decision
        match found:
            case ():
                return await self.update(parcel)
            case (contact_id,):
                return contact_id
            case Blind():
                decision = self.ledger.later(parcel)
            case Barred(why):
                decision = Hold(reason=f"{UNMATCHABLE}: {why}")
            case _:
                decision = Hold(reason=f"{UNMATCHABLE}: {tell_many(found)}")
        await self.ledger.settle(parcel.claim, Settlement(decision=decision))
        return None

    async def find(self, parcel: Parcel) -> tuple[str, ...] | Blind | Barred | None:
        """Those under whom a lead may be that was sent before; None when the lead's turn is over.

        Its own contact. Where that is not known, and Vitec would make the person again: whoever a search finds.
        """
        claim = parcel.claim
        if claim.contact_id is not None:
            return (claim.contact_id,)
        if (claim.has_open_create or claim.may_be_forgotten) and not _can_repeat(parcel):
            return await self.search(parcel)
        contact_id = await self.resolve(parcel)
        return None if contact_id is None else (contact_id,)

    async def update(self, parcel: Parcel) -> str | None:
        """Has Vitec match the person, or make a contact of them. None when the lead's turn is over."""
        await self.ledger.pace.wait()
        attempt_id = await self.ledger.begin(parcel, "contact")
        payload = parcel.payload
        answer = await self.client.update_contact(parcel.login, payload.contact_type, payload.contact)
        await self.ledger.health.record(parcel.login.base_url, answer, lead_id=parcel.claim.lead_id)
        outcome = classify_contact(answer, values=list_typed(parcel.lead))
        if isinstance(outcome, Found):
            end = AttemptEnd(attempt_id=attempt_id, outcome="done", status=answer.status, vitec_id=outcome.id)
            return await self.keep(parcel, outcome.id, end)
        # Repeating an unknown outcome is safe where Vitec matches; elsewhere the next turn searches first.
        decision = self.ledger.later(parcel) if isinstance(outcome, Unknown) else None
        await self.ledger.fail(
            parcel, outcome, answer, attempt_id=attempt_id, group=CallGroup.CONTACT, decision=decision
        )
        return None

    async def search(self, parcel: Parcel) -> tuple[str, ...] | Blind | Barred:
        """Who has the address that Vitec was told, or would be. The only one found is the lead's contact."""
        body: dict[str, Any] = json.loads(parcel.payload.contact)
        login, customer_id = parcel.login, parcel.customer_id
        email = body.get("email", {}).get("emailAddress")
        phone = body.get("cellPhone") or body.get("telePhone") or body.get("switchPhone") or ""
        cannot = Barred("the person cannot be searched for")
        if not (email or phone) or await self.lookout.is_barred(parcel):
            return cannot
        if email:
            call = self.client.search_by_email(login, customer_id, email)
        else:
            call = self.client.search_by_phone(login, customer_id, phone)
        answer = await self.lookout.ask(parcel, call)
        told = parse_contact_ids(answer, parcel.payload.contact_type)
        found = await self.lookout.weigh(parcel, answer, told)
        if isinstance(found, Gone | Barred):
            return cannot
        if isinstance(found, tuple) and len(found) == 1:
            await self.keep(parcel, found[0])
        return found

    async def keep(self, parcel: Parcel, contact_id: str, end: AttemptEnd | None = None) -> str:
        opens = parcel.gate(CallGroup.CONTACT) if end else None
        decision = ContactFound(contact_id=contact_id)
        await self.ledger.settle(parcel.claim, Settlement(decision=decision, attempt=end, opens=opens))
        reach("after_contact")
        return contact_id

    async def _may_have_contact(self, parcel: Parcel) -> bool:
        return await self.ledger.store.read(
            partial(may_have_contact, lead_id=parcel.claim.lead_id, customer_id=parcel.customer_id)
        )


def tell_many(contact_ids: tuple[str, ...]) -> str:
    return f"{len(contact_ids)} contacts share the address"


def _can_repeat(parcel: Parcel) -> bool:
    return is_matchable(json.loads(parcel.payload.contact))
