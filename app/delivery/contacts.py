"""The contact of a lead: made or found in Vitec, and never made twice where that can be helped."""

import json
from dataclasses import dataclass

from app.delivery.ledger import Ledger
from app.delivery.parcel import Parcel
from app.forms.model import CallGroup
from app.store.settling import AttemptEnd, ContactFound, Decision, Hold, Settlement
from app.vitec.answers import (
    Answer,
    Forbidden,
    Found,
    Misdirected,
    Unauthorized,
    Unknown,
    classify_contact,
    classify_read,
)
from app.vitec.client import VitecClient
from app.vitec.contact import is_matchable, list_typed
from app.vitec.readings import parse_contact_ids

UNMATCHABLE = "the contact may exist in Vitec, which cannot match this person again"


@dataclass(slots=True, kw_only=True)
class ContactDesk:
    client: VitecClient
    ledger: Ledger

    async def resolve(self, parcel: Parcel) -> str | None:
        """The contact's id, committed; None when the lead's turn is over."""
        if parcel.claim.contact_unknown and not _can_repeat(parcel):
            return await self._search(parcel)
        return await self._update(parcel)

    async def _update(self, parcel: Parcel) -> str | None:
        await self.ledger.pace.wait()
        attempt_id = await self.ledger.begin(parcel, "contact")
        payload = parcel.payload
        answer = await self.client.update_contact(parcel.login, payload.contact_type, payload.contact)
        await self._count(parcel, answer)
        outcome = classify_contact(answer, values=list_typed(parcel.lead))
        if isinstance(outcome, Found):
            end = AttemptEnd(attempt_id=attempt_id, outcome="done", status=answer.status, vitec_id=outcome.id)
            return await self._keep(parcel, outcome.id, end)
        # Repeating an unknown outcome is safe where Vitec matches; elsewhere the next turn searches first.
        decision = self.ledger.later(parcel) if isinstance(outcome, Unknown) else None
        await self.ledger.fail(
            parcel, outcome, answer, attempt_id=attempt_id, group=CallGroup.CONTACT, decision=decision
        )
        return None

    async def _search(self, parcel: Parcel) -> str | None:
        """For a person whom an earlier call may have made, and whom Vitec would make again."""
        contact = parcel.lead.contact
        await self.ledger.pace.wait()
        if contact.email:
            answer = await self.client.search_by_email(parcel.login, parcel.customer_id, contact.email)
        elif contact.phone:
            answer = await self.client.search_by_phone(parcel.login, parcel.customer_id, contact.phone)
        else:
            await self._end(parcel, Hold(reason=UNMATCHABLE))
            return None
        await self._count(parcel, answer)
        ids = parse_contact_ids(answer, parcel.payload.contact_type)
        if isinstance(classify_read(answer), Unauthorized | Forbidden | Misdirected):
            await self._end(parcel, Hold(reason=f"{UNMATCHABLE}, and may not be searched for"))
            return None
        if ids is None:
            await self._end(parcel, self.ledger.later(parcel))
            return None
        if len(ids) > 1:
            await self._end(parcel, Hold(reason=f"{UNMATCHABLE}: {len(ids)} contacts share the address"))
            return None
        return await self._keep(parcel, ids[0], None) if ids else await self._update(parcel)

    async def _keep(self, parcel: Parcel, contact_id: str, end: AttemptEnd | None) -> str:
        opens = parcel.gate(CallGroup.CONTACT) if end else None
        decision = ContactFound(contact_id=contact_id)
        await self.ledger.settle(parcel.claim, Settlement(decision=decision, attempt=end, opens=opens))
        return contact_id

    async def _end(self, parcel: Parcel, decision: Decision) -> None:
        await self.ledger.settle(parcel.claim, Settlement(decision=decision))

    async def _count(self, parcel: Parcel, answer: Answer) -> None:
        await self.ledger.health.record(parcel.login.base_url, answer, lead_id=parcel.claim.lead_id)


def _can_repeat(parcel: Parcel) -> bool:
    return is_matchable(json.loads(parcel.payload.contact))
