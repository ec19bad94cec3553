"""Every call's record: the intent before it, and after it what came of it, for the lead and its destination."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from random import Random, SystemRandom

from app import tally
from app.delivery.health import Health
from app.delivery.pace import Pace
from app.delivery.parcel import MAY_EXIST, Parcel, Terms
from app.delivery.policy import HOLD_AFTER, next_attempt, next_probe
from app.errors import StoreUnavailable
from app.forms.model import CallGroup, Login
from app.identity import made_at
from app.log import get_logger
from app.store.gates import count_probes
from app.store.outbox import renew_lease, start_attempt
from app.store.settling import (
    Adopted,
    AttemptEnd,
    CloseGate,
    Decision,
    Delivered,
    Hold,
    Settlement,
    TryLater,
    settle,
)
from app.store.store import Store
from app.store.words import Claim
from app.vitec.answers import (
    Answer,
    Failure,
    Forbidden,
    Misdirected,
    NotSent,
    NotTaken,
    Refused,
    Unauthorized,
    Unknown,
)

_log = get_logger("delivery")

_PAUSES = (0.1, 0.4, 1, 2, 4, 8)
"""Seconds between tries to record what came of a call."""

_OUTCOMES: dict[type[Failure], str] = {
    NotSent: "not_sent",
    NotTaken: "not_taken",
    Refused: "refused",
    Unauthorized: "gate",
    Forbidden: "gate",
    Misdirected: "gate",
    Unknown: "unknown",
}


@dataclass(slots=True, kw_only=True)
class Ledger:
    store: Store
    terms: Terms
    health: Health
    pace: Pace
    digest_password: Callable[[str], str]
    now: Callable[[], datetime]
    random: Random = field(default_factory=SystemRandom)

    async def begin(self, parcel: Parcel, kind: str, *, snapshot: Sequence[str] | None = None) -> int:
        """Writes the intent; it is on disk when this returns. Raises LeaseLost or CreateUnresolved."""
        now = self.now()
        attempt_id = await self.store.write(
            lambda connection: start_attempt(
                connection,
                parcel.claim,
                kind=kind,
                payload_version=parcel.payload.version,
                now=now,
                deadline_at=now + self.terms.timeout,
                leased_until=now + self.terms.lease,
                snapshot=snapshot,
            )
        )
        self.store.note_attempt(attempt_id)
        return attempt_id

    async def go_on(self, parcel: Parcel) -> None:
        """Before the next of more calls than a lease allows for. Raises LeaseLost."""
        until = self.now() + self.terms.lease
        await self.store.write(partial(renew_lease, claim=parcel.claim, leased_until=until))

    async def settle(self, claim: Claim, settlement: Settlement) -> None:
        took_effect = await self._record(claim, settlement)
        decision = settlement.decision
        if not took_effect:
            _log.warning("lease_lost", lead=claim.lead_id, fence=claim.fence)
        elif isinstance(decision, Hold):
            # Up to the colon the words are ours; after it they may be Vitec's.
            why = decision.reason.partition(":")[0]
            _log.error("lead_held", lead=claim.lead_id, form=claim.form, why=why)
            tally.HELD.add(claim.form)
        elif isinstance(decision, Delivered | Adopted):
            _log.info("lead_delivered", lead=claim.lead_id, form=claim.form)
            tally.DELIVERED.add(claim.form, "created" if settlement.attempt else "found")
            age = self.now() - made_at(claim.lead_id)
            tally.TIME_TO_VITEC.add(max(0.0, age.total_seconds()))

    async def _record(self, claim: Claim, settlement: Settlement) -> bool:
        """What Vitec said is known here alone: a store that comes back within seconds still learns it.

        Recording it twice is recording it once, so a commit may have happened that was told to have failed.
        """
        job = partial(settle, claim=claim, settlement=settlement, now=self.now())
        for pause in _PAUSES:
            try:
                return await self.store.write(job)
            except StoreUnavailable:
                await asyncio.sleep(pause)
        return await self.store.write(job)

    async def fail(
        self,
        parcel: Parcel,
        outcome: Failure,
        answer: Answer,
        *,
        attempt_id: int,
        group: CallGroup,
        decision: Decision | None = None,
    ) -> None:
        """Settles an attempt that brought no id. Without a decision the outcome's own applies."""
        end = AttemptEnd(
            attempt_id=attempt_id,
            outcome=_OUTCOMES[type(outcome)],
            status=answer.status,
            detail=describe(outcome),
        )
        decision = decision or await self.decide(parcel, outcome, group)
        # A 429 or a 5xx may be said by whoever stands before Vitec, to a login that it would refuse.
        let_in = isinstance(outcome, Refused) or answer.succeeded
        opens = parcel.gate(group) if let_in else None
        await self.settle(parcel.claim, Settlement(decision=decision, attempt=end, opens=opens))

    async def decide(self, parcel: Parcel, outcome: Failure, group: CallGroup) -> Decision:
        """What a failure means where it does not leave a create unknown."""
        match outcome:
            case Refused():
                return Hold(reason=f"refused by Vitec ({outcome.status}): {outcome.words}")
            case Unauthorized():
                return await self.close_gate(parcel, group, 401)
            case Forbidden():
                return await self.close_gate(parcel, group, 403)
            case Misdirected():
                return await self.close_gate(parcel, group, outcome.status)
        return self.later(parcel, not_before=outcome)

    def later(self, parcel: Parcel, *, not_before: Failure | None = None) -> Decision:
        """By schedule; a destination that is ill as a whole costs a lead no try."""
        claim, now, base_url = parcel.claim, self.now(), parcel.login.base_url
        if now - claim.pending_since > HOLD_AFTER:
            if claim.has_open_create or claim.may_be_forgotten:
                return Hold(reason=f"{MAY_EXIST}: it could not be looked for in 30 days")
            return Hold(reason="not delivered in 30 days")
        at = next_attempt(
            claim.tries,
            schedule=self.terms.schedule,
            now=now,
            random=self.random,
            not_before=not_before.retry_after if isinstance(not_before, NotTaken | Unknown) else None,
        )
        own = self.health.has_failed_on_trial(base_url, claim.lead_id)
        return TryLater(at=at, spend_try=own or not self.health.is_ill(base_url))

    async def close_gate(self, parcel: Parcel, group: CallGroup, status: int) -> CloseGate:
        key = parcel.gate(group)
        probes = await self.store.read(partial(count_probes, key=key))
        _log.error("gate_closed", login=key.login, customer=key.customer_id, group=group, status=status)
        return CloseGate(
            key=key,
            status=status,
            probe_at=next_probe(status, probes=probes, now=self.now()),
            credential=digest_credential(parcel.login, group, self.digest_password),
        )


def describe(outcome: Failure) -> str | None:
    """Vitec's words, or why there are none."""
    match outcome:
        case NotSent() | Unknown():
            return outcome.cause
        case NotTaken():
            return None
    return outcome.words


def digest_credential(login: Login, group: CallGroup, digest: Callable[[str], str]) -> str:
    """What tells, later, whether the credentials have changed. Empty when the password cannot be read now."""
    try:
        password = login.password_for(group).read()
    except (OSError, KeyError, UnicodeDecodeError):
        return ""
    return digest(f"{login.username}\0{password}")
