"""The circuit of each destination, one row shared by every worker: open, being tried, or closed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, case, delete, insert, literal, or_, select, update

from app.store.audit import add_audit
from app.store.schema import Instant, circuits


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    base_url: str
    state: str
    """`open`: nobody calls until `until`. `trying`: at most `allowance` leads are under way. `closed`."""
    allowance: int
    openings: int
    """How often it opened without being well for long in between."""
    until: datetime
    """When an open one is tried; when a closed one's past is forgotten."""
    changed_at: datetime


def load_circuits(connection: Connection) -> dict[str, Circuit]:
    return {
        row.base_url: Circuit(
            base_url=row.base_url,
            state=row.state,
            allowance=row.allowance,
            openings=row.openings,
            until=row.until,
            changed_at=row.changed_at,
        )
        for row in connection.execute(select(circuits))
    }


def open_circuit(
    connection: Connection, base_url: str, *, until: datetime, now: datetime, ill: bool = True
) -> None:
    """Opens it, or opens it once more: never for a shorter time than is left of the last.

    Not `ill`: it has only asked for less, which makes no later pause longer.
    """
    values = {"state": "open", "allowance": 0, "changed_at": now}
    longer = and_(circuits.c.state == "open", circuits.c.until > until)
    again = connection.execute(
        update(circuits)
        .where(circuits.c.base_url == base_url)
        .values(
            **values,
            until=case((longer, circuits.c.until), else_=literal(until, Instant)),
            openings=circuits.c.openings + int(ill),
        )
    )
    if again.rowcount == 0:
        connection.execute(
            insert(circuits).values(base_url=base_url, until=until, openings=int(ill), **values)
        )


def slow_down(connection: Connection, base_url: str, *, now: datetime) -> None:
    """One lead at a time, and more again as they succeed: what 429 without a time asks for."""
    values = {"state": "trying", "allowance": 1, "until": now, "changed_at": now}
    known = connection.execute(
        update(circuits).where(circuits.c.base_url == base_url, circuits.c.state != "open").values(**values)
    )
    if known.rowcount == 0 and base_url not in load_circuits(connection):
        connection.execute(insert(circuits).values(base_url=base_url, openings=0, **values))


def take_probe(connection: Connection, base_url: str, *, now: datetime, until: datetime) -> bool:
    """Whether this worker is the one that asks; the others wait until then for what it finds."""
    taken = connection.execute(
        update(circuits)
        .where(circuits.c.base_url == base_url, circuits.c.state == "open", circuits.c.until <= now)
        .values(until=until)
    )
    return taken.rowcount == 1


def begin_trying(connection: Connection, base_url: str, *, now: datetime) -> None:
    connection.execute(
        update(circuits)
        .where(circuits.c.base_url == base_url, circuits.c.state == "open")
        .values(state="trying", allowance=1, changed_at=now)
    )


def raise_allowance(
    connection: Connection, base_url: str, *, full: int, forget_after: timedelta, now: datetime
) -> None:
    """A call succeeded while it was being tried: twice as many may, and at `full` it is closed."""
    found = load_circuits(connection).get(base_url)
    if found is None or found.state != "trying":
        return
    allowance = found.allowance * 2
    closed = {"state": "closed", "until": now + forget_after} if allowance >= full else {}
    connection.execute(
        update(circuits)
        .where(circuits.c.base_url == base_url)
        .values(allowance=allowance, changed_at=now, **closed)
    )


def probe_circuit(connection: Connection, base_url: str, *, now: datetime, actor: str) -> bool:
    """An open one is tried at the next turn instead of at its time. Whether it was open."""
    probed = connection.execute(
        update(circuits).where(circuits.c.base_url == base_url, circuits.c.state == "open").values(until=now)
    )
    if probed.rowcount:
        add_audit(connection, "circuit_probed", actor=actor, now=now, detail=base_url)
    return probed.rowcount == 1


def forget_circuits(connection: Connection, *, used: Collection[str], now: datetime) -> None:
    """Those that have been well for long, and those of addresses where nobody calls who could find them well."""
    well = and_(circuits.c.state == "closed", circuits.c.until <= now)
    deserted = and_(circuits.c.state == "trying", circuits.c.base_url.not_in(used))
    connection.execute(delete(circuits).where(or_(well, deserted)))
