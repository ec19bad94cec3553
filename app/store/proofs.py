"""Proofs of work that were used: each lets one lead in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from app.lead import LeadState
from app.store.schema import spent_proofs
from app.store.words import NewLead, Proof, Suspicion

SPENT = "proof_spent"

# After its expiry, so that a lead that was checked just before and waited its turn still meets it.
_REMEMBERED = timedelta(hours=1)


class Proofs:
    """The proofs of a batch: those spent before, and those its own leads spend."""

    def __init__(self, connection: Connection, news: Sequence[NewLead]) -> None:
        self._spent: set[str] = set()
        self._new: list[Proof] = []
        self._forgotten: datetime | None = None
        nonces = {new.proof.nonce for new in news if new.proof is not None}
        if nonces:
            self._forgotten = max(new.received_at for new in news) - _REMEMBERED
            known = select(spent_proofs.c.nonce).where(spent_proofs.c.nonce.in_(nonces))
            self._spent.update(connection.execute(known).scalars())

    def judge(self, new: NewLead) -> NewLead:
        """The lead as it is to be kept: in quarantine when its proof has let another one in."""
        if new.proof is None:
            return new
        if new.proof.nonce in self._spent:
            return _set_aside(new)
        self._spent.add(new.proof.nonce)
        self._new.append(new.proof)
        return new

    def keep(self, connection: Connection) -> None:
        if not self._new:
            return
        connection.execute(delete(spent_proofs).where(spent_proofs.c.expires_at < self._forgotten))
        connection.execute(
            insert(spent_proofs),
            [{"nonce": proof.nonce, "expires_at": proof.expires_at} for proof in self._new],
        )


def _set_aside(new: NewLead) -> NewLead:
    before = new.suspicion or Suspicion(0, ())
    suspicion = Suspicion(before.score, (*before.reasons, SPENT))
    return replace(new, state=LeadState.QUARANTINED, suspicion=suspicion, reason=new.reason or str(suspicion))
