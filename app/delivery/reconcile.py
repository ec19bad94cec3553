"""Looks in Vitec for a lead that may have arrived there, and decides only on evidence."""

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from app.delivery.contacts import ContactDesk, tell_many
from app.delivery.ledger import Ledger
from app.delivery.lookout import Barred, Blind, Gone, Look, Lookout, Seen
from app.delivery.parcel import MAY_EXIST, Parcel
from app.delivery.policy import next_look
from app.delivery.proving import Prover
from app.failpoints import reach
from app.forms.model import OnAmbiguous
from app.log import get_logger
from app.store.reconciling import MAX_UNKNOWN_CREATES, OpenCreate
from app.store.settling import (
    Adopted,
    Decision,
    Hold,
    LookAgain,
    NotCreated,
    ResolveAnew,
    Settlement,
    TryLater,
)

_log = get_logger("delivery")

_APART = timedelta(seconds=2)
"""Two looks in vain count only a second or more apart."""
_UNPROVEN = "reading leads back is not proven for this customer"
_UNREADABLE = "a new lead of the contact's cannot be read"
_GONE = "the contact is gone, or what it had of leads"


@dataclass(slots=True, kw_only=True)
class Reconciler:
    contacts: ContactDesk
    lookout: Lookout
    prover: Prover
    ledger: Ledger

    async def settle_unknown(self, parcel: Parcel, create: OpenCreate) -> None:
        """One look for a lead whose create is not known to have failed."""
        # Asked after the settle time only if that was over before the question was.
        remaining = self._measure_rest(create)
        contacts = await self.contacts.find(parcel)
        if contacts is None:
            return
        look = await self._look(parcel, contacts, known=create.snapshot or frozenset())
        reach("after_look")
        match look:
            case Seen(ids) if ids:
                await self._adopt(parcel, ids, attempt_id=create.attempt_id)
            case Blind():
                await self._settle(parcel, self.ledger.later(parcel))
            case Barred(why):
                await self._decide_unproven(parcel, create, why)
            case _ if remaining > timedelta():
                at = next_look(self.ledger.now(), deadline_at=create.deadline_at, remaining=remaining)
                await self._settle(parcel, TryLater(at=at, spend_try=False))
            case Gone() if not parcel.claim.resolved_anew:
                await self._settle(parcel, ResolveAnew())
            case Gone():
                await self._decide_unproven(parcel, create, _GONE)
            case Seen(unreadable=True):
                await self._decide_unproven(parcel, create, _UNREADABLE)
            case Seen():
                await self._weigh_absence(parcel, create)
            case _:
                assert_never(look)

    def _measure_rest(self, create: OpenCreate) -> timedelta:
        """Of the settle time, in observed time."""
        return create.deadline_at - create.started_at + self.ledger.terms.settle - create.observed

    async def _weigh_absence(self, parcel: Parcel, create: OpenCreate) -> None:
        if create.denied_at is None or create.observed <= create.denied_at:
            at = self.ledger.now() + _APART
            await self._settle(parcel, LookAgain(attempt_id=create.attempt_id, at=at))
        elif create.snapshot is None:
            why = "the contact's leads could not be read before it was sent"
            await self._decide_unproven(parcel, create, why)
        elif (proven := await self.prover.prove(parcel)) is None:
            await self._settle(parcel, self.ledger.later(parcel))
        elif not proven:
            await self._decide_unproven(parcel, create, _UNPROVEN)
        elif create.number >= MAX_UNKNOWN_CREATES:
            reason = f"not in Vitec after {create.number} creates of unknown outcome"
            await self._settle(parcel, Hold(reason=reason, not_created=create.attempt_id))
        else:
            await self._settle(
                parcel, NotCreated(attempt_id=create.attempt_id, why="looked for in vain, twice")
            )

    async def _decide_unproven(self, parcel: Parcel, create: OpenCreate | None, why: str) -> None:
        """Where looking is impossible the form says what is worse: a lead twice, or a human's minute."""
        decision: Decision
        may_resend = create is None or create.number < MAX_UNKNOWN_CREATES
        if may_resend and parcel.form.on_ambiguous is OnAmbiguous.RESEND:
            decision = NotCreated(
                attempt_id=create.attempt_id if create else None,
                why=f"sent again by the form's choice: {why}",
                possible_duplicate=True,
            )
        else:
            decision = Hold(reason=f"{MAY_EXIST}: {why}")
        await self._settle(parcel, decision)

    async def rule_out(self, parcel: Parcel) -> str | None:
        """The contact of a lead that is not in Vitec, though an operator sends it again, the store may have
        forgotten a create, or one was looked for at another contact. None when the lead's turn is over.
        """
        contacts = await self.contacts.find(parcel)
        if contacts is None:
            return None
        look = await self._look(parcel, contacts, known=frozenset())
        if not await self._is_absent(parcel, look):
            return None
        if isinstance(contacts, tuple) and contacts:
            return contacts[0]
        return await self.contacts.update(parcel)

    async def _is_absent(self, parcel: Parcel, look: Look) -> bool:
        """Otherwise the look decides the lead's turn."""
        claim = parcel.claim
        match look:
            case Seen(ids) if ids:
                await self._adopt(parcel, ids)
            case Blind():
                await self._settle(parcel, self.ledger.later(parcel))
            case _ if not claim.may_be_forgotten:
                return True  # every attempt on record was refused or never sent
            case Barred(why):
                await self._decide_unproven(parcel, None, why)
            case Gone() if not claim.resolved_anew:
                await self._settle(parcel, ResolveAnew())
            case Gone():
                await self._decide_unproven(parcel, None, _GONE)
            # One that cannot be read is no suspect here: nobody knows it for new, and old leads of another
            # kind cannot be read either.
            case Seen() if not claim.was_denied:
                await self._settle(parcel, LookAgain(at=self.ledger.now() + _APART))
            case Seen():
                return await self._is_proven(parcel)
            case _:
                assert_never(look)
        return False

    async def _is_proven(self, parcel: Parcel) -> bool:
        proven = await self.prover.prove(parcel)
        if proven is None:
            await self._settle(parcel, self.ledger.later(parcel))
        elif not proven:
            await self._decide_unproven(parcel, None, _UNPROVEN)
        return bool(proven)

    async def _look(
        self, parcel: Parcel, contacts: tuple[str, ...] | Blind | Barred, *, known: frozenset[str]
    ) -> Look:
        """At each contact that may have it; where several may, not to find it tells nothing."""
        if not isinstance(contacts, tuple):
            return contacts
        for contact_id in contacts:
            look = await self.lookout.look(parcel, contact_id=contact_id, known=known)
            is_found = isinstance(look, Seen) and look.ids
            if is_found and len(contacts) > 1:
                await self.contacts.keep(parcel, contact_id)
            if is_found or len(contacts) == 1 or isinstance(look, Blind | Barred):
                return look
        if contacts:
            return Barred(tell_many(contacts))
        return Gone() if parcel.claim.resolved_anew else Seen()

    async def _adopt(self, parcel: Parcel, ids: tuple[str, ...], *, attempt_id: int | None = None) -> None:
        if len(ids) > 1:
            _log.error("lead_found_more_than_once", lead=parcel.claim.lead_id, times=len(ids))
        await self._settle(parcel, Adopted(attempt_id=attempt_id, vitec_lead_ids=ids))

    async def _settle(self, parcel: Parcel, decision: Decision) -> None:
        await self.ledger.settle(parcel.claim, Settlement(decision=decision))
