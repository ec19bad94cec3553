"""Closed gates: which login may not be used for which customer and group of calls, and when to ask again."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from app.forms.model import CallGroup
from app.store.schema import gates
from app.store.words import Gate, GateKey


def close_gate(
    connection: Connection, key: GateKey, *, status: int, probe_at: datetime, credential: str, now: datetime
) -> None:
    """Closes a gate, or notes that a probe found it still closed."""
    probed = connection.execute(
        update(gates)
        .where(*_is(key))
        .values(status=status, probes=gates.c.probes + 1, probe_at=probe_at, credential=credential)
    )
    if probed.rowcount == 0:
        connection.execute(
            insert(gates).values(
                base_url=key.base_url,
                login=key.login,
                customer_id=key.customer_id,
                call_group=key.call_group,
                closed_at=now,
                status=status,
                probe_at=probe_at,
                credential=credential,
            )
        )


def open_gate(connection: Connection, key: GateKey) -> bool:
    """Whether it was closed."""
    return connection.execute(delete(gates).where(*_is(key))).rowcount == 1


def probe_now(connection: Connection, *, now: datetime) -> int:
    """Every closed gate lets one lead through at once. How many there are."""
    return connection.execute(update(gates).values(probe_at=now)).rowcount


def count_probes(connection: Connection, key: GateKey) -> int:
    """How often a closed gate was probed in vain; the first closing counts as none."""
    probes = connection.execute(select(gates.c.probes).where(*_is(key))).scalar()
    return 0 if probes is None else probes + 1


def list_gates(connection: Connection) -> list[Gate]:
    rows = connection.execute(select(gates).order_by(gates.c.closed_at))
    return [
        Gate(
            key=GateKey(
                base_url=row.base_url,
                login=row.login,
                customer_id=row.customer_id,
                call_group=CallGroup(row.call_group),
            ),
            closed_at=row.closed_at,
            status=row.status,
            probes=row.probes,
            probe_at=row.probe_at,
            credential=row.credential,
        )
        for row in rows
    ]


def _is(key: GateKey) -> tuple[ColumnElement[bool], ...]:
    return (
        gates.c.base_url == key.base_url,
        gates.c.login == key.login,
        gates.c.customer_id == key.customer_id,
        gates.c.call_group == key.call_group,
    )
