"""Reads in Vitec what is there of a lead, and minds the gate of the reading calls."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from app.delivery.ledger import Ledger
from app.delivery.parcel import Parcel
from app.forms.model import CallGroup
from app.store.gates import close_gate, is_closed, is_known, open_gate
from app.store.reconciling import find_owned
from app.vitec.answers import Answer, Forbidden, Misdirected, Unauthorized, classify_read
from app.vitec.client import VitecClient
from app.vitec.readings import Incoming, carries_marker, parse_incoming, parse_lead_ids


@dataclass(frozen=True, slots=True)
class Seen:
    """The lead's ids in Vitec, oldest first; empty when it is not there."""

    ids: tuple[str, ...] = ()
    unreadable: bool = False
    """Whether the contact has yet another, of which nobody can tell whether it is this one."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What was asked about is not there, or no longer: agents merge contacts and remove them."""


@dataclass(frozen=True, slots=True)
class Blind:
    """No evidence this time: ask again."""


@dataclass(frozen=True, slots=True)
class Barred:
    """Looking is refused or impossible."""

    why: str = "reading it back is refused"


Look = Seen | Gone | Blind | Barred
Told = TypeVar("Told")


@dataclass(slots=True, kw_only=True)
class Lookout:
    client: VitecClient
    ledger: Ledger

    async def look(self, parcel: Parcel, *, contact_id: str, known: frozenset[str]) -> Look:
        """The contact's leads but for those known before or owned by others, each read for the marker."""
        if await self.is_barred(parcel):
            return Barred()
        ids = await self.list_leads(parcel, contact_id)
        if not isinstance(ids, tuple):
            return ids
        fresh = [one for one in ids if one not in known]
        owned = await self.ledger.store.read(
            partial(find_owned, vitec_lead_ids=fresh, lead_id=parcel.claim.lead_id)
        )
        look = await self._read_each(parcel, [one for one in fresh if one not in owned])
        if not isinstance(look, Seen):
            return look
        await self.open_gate(parcel)
        if not look.ids and known and known.isdisjoint(ids):
            return Gone()  # what such a list lacks proves nothing, whoever took out all that it had
        return look

    async def _read_each(self, parcel: Parcel, candidates: Sequence[str]) -> Seen | Blind | Barred:
        found: list[tuple[str, str]] = []
        unreadable = False
        for candidate in candidates:  # as many as the person has leads
            await self.ledger.go_on(parcel)
            incoming = await self.read_incoming(parcel, candidate)
            if isinstance(incoming, Gone):
                unreadable = True
            elif not isinstance(incoming, Incoming):
                return incoming
            elif carries_marker(incoming, lead_id=parcel.lead.id, reference=parcel.lead.reference):
                found.append((incoming.sent_at, candidate))
            elif incoming.is_anonymized:
                unreadable = True
        return Seen(tuple(candidate for _, candidate in sorted(found)), unreadable)

    async def take_snapshot(self, parcel: Parcel, contact_id: str) -> tuple[str, ...] | None:
        """The contact's lead ids as they stand; what cannot be read never keeps a lead from being sent."""
        if parcel.claim.may_not_read:
            return None
        for _ in range(2):  # a moment's silence would leave an unknown outcome to a human
            answer = await self._list(parcel, contact_id)
            if answer.status is not None:
                break
        ids = await self.weigh(parcel, answer, parse_lead_ids(answer))
        return ids if isinstance(ids, tuple) else None

    async def list_leads(self, parcel: Parcel, contact_id: str) -> tuple[str, ...] | Gone | Blind | Barred:
        answer = await self._list(parcel, contact_id)
        return await self.weigh(parcel, answer, parse_lead_ids(answer))

    async def read_incoming(self, parcel: Parcel, vitec_lead_id: str) -> Incoming | Gone | Blind | Barred:
        answer = await self.ask(
            parcel, self.client.read_incoming(parcel.login, parcel.customer_id, vitec_lead_id)
        )
        return await self.weigh(parcel, answer, parse_incoming(answer))

    async def _list(self, parcel: Parcel, contact_id: str) -> Answer:
        return await self.ask(parcel, self.client.list_leads(parcel.login, parcel.customer_id, contact_id))

    async def ask(self, parcel: Parcel, call: Awaitable[Answer]) -> Answer:
        await self.ledger.pace.wait()
        answer = await call
        await self.ledger.health.record(parcel.login.base_url, answer, lead_id=parcel.claim.lead_id)
        return answer

    async def weigh(self, parcel: Parcel, answer: Answer, told: Told | None) -> Told | Gone | Blind | Barred:
        """What an answer tells, or why it tells nothing; one that refuses us closes the gate."""
        if told is not None:
            return told
        if answer.status == 404:
            return Gone()  # of what was asked about, not of the calls as such
        return Barred() if await self._note_refusal(parcel, answer) else Blind()

    async def _note_refusal(self, parcel: Parcel, answer: Answer) -> bool:
        """Whether reading is refused: then nobody asks again before the gate's probe."""
        if not isinstance(classify_read(answer), Unauthorized | Forbidden | Misdirected):
            return False
        closing = await self.ledger.close_gate(parcel, CallGroup.READ, answer.status or 0)
        await self.ledger.store.write(
            partial(
                close_gate,
                key=closing.key,
                claim=parcel.claim,
                status=closing.status,
                probe_at=closing.probe_at,
                credential=closing.credential,
                now=self.ledger.now(),
            )
        )
        return True

    async def is_barred(self, parcel: Parcel) -> bool:
        gate = parcel.gate(CallGroup.READ)
        now = self.ledger.now()
        return await self.ledger.store.read(partial(is_closed, key=gate, claim=parcel.claim, now=now))

    async def is_on_probation(self, parcel: Parcel) -> bool:
        """Whether reading was refused, and has not been seen to be allowed since."""
        return await self.ledger.store.read(partial(is_known, key=parcel.gate(CallGroup.READ)))

    async def open_gate(self, parcel: Parcel) -> None:
        """Once nothing that a look needs is refused: one of its calls may be, and the other allowed."""
        if await self.is_on_probation(parcel):
            await self.ledger.store.write(partial(open_gate, key=parcel.gate(CallGroup.READ)))
