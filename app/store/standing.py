"""How the store stands at this moment, for whoever watches it: cheap, however much was ever delivered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, literal_column, select

from app.lead import LeadState
from app.store.circuits import Circuit, load_circuits
from app.store.gates import list_gates
from app.store.reconciling import IS_SOUGHT
from app.store.schema import IS_PENDING, attempts, leads, outbox
from app.store.words import Gate

# As the partial index has it.
_WAITS_FOR_PEOPLE = outbox.c.state.in_(
    literal_column(f"'{state}'") for state in (LeadState.HELD, LeadState.QUARANTINED)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    leads: Mapping[tuple[LeadState, str], int]
    """By state and form; what is delivered or discarded is not counted."""
    oldest: Mapping[LeadState, datetime]
    """When the oldest pending lead was received, and since when the oldest held or quarantined one waits."""
    unresolved: int
    """Creates whose outcome is not known, of leads that may still be sent."""
    gates: Sequence[Gate]
    """Those closed."""
    circuits: Sequence[Circuit]


def load_standing(connection: Connection) -> Standing:
    counts: dict[tuple[LeadState, str], int] = {}
    oldest: dict[LeadState, datetime] = {}
    pending = select(outbox.c.form, func.count(), func.min(outbox.c.lead_id)).where(IS_PENDING)
    firsts = []
    for form, count, first in connection.execute(pending.group_by(outbox.c.form)):
        counts[LeadState.PENDING, form] = count
        firsts.append(first)
    received = connection.execute(
        select(func.min(leads.c.received_at)).where(leads.c.id.in_(firsts))
    ).scalar()
    if received is not None:
        oldest[LeadState.PENDING] = received
    waiting = select(outbox.c.state, outbox.c.form, func.count(), func.min(outbox.c.state_at))
    grouped = waiting.where(_WAITS_FOR_PEOPLE).group_by(outbox.c.state, outbox.c.form)
    for state, form, count, first in connection.execute(grouped):
        counts[LeadState(state), form] = count
        oldest[LeadState(state)] = min(first, oldest.get(LeadState(state), first))
    unresolved = connection.execute(select(func.count()).select_from(attempts).where(IS_SOUGHT))
    return Standing(
        leads=counts,
        oldest=oldest,
        unresolved=unresolved.scalar_one(),
        gates=list_gates(connection),
        circuits=list(load_circuits(connection).values()),
    )
