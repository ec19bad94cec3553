"""Closed gates: which login may not be used for which customer and group of calls, and when to ask again."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from app.forms.model import CallGroup
from app.store.audit import add_audit
from app.store.schema import gates
from app.store.words import Claim, Gate, GateKey


def close_gate(
    connection: Connection,
    key: GateKey,
    claim: Claim,
    *,
    status: int,
    probe_at: datetime,
    credential: str,
    now: datetime,
) -> None:
    """Closes a gate, or notes that its probe found it still closed.

    A refusal of what was under way before the gate closed is neither, and changes nothing.
    """
    found = connection.execute(select(gates.c.probe_at).where(*_is(key))).scalar()
    if found is None:
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
    elif found == claim.leased_until:
        connection.execute(
            update(gates)
            .where(*_is(key))
            .values(status=status, probes=gates.c.probes + 1, probe_at=probe_at, credential=credential)
        )


def begin_probe(
    connection: Connection,
    *,
    login: str,
    customer_id: str,
    groups: Collection[CallGroup],
    now: datetime,
    leased_until: datetime,
) -> None:
    """Whoever comes through a gate whose probe is due is the probe: others wait for what it finds.

    `groups`: the calls that may be made.
    """
    connection.execute(
        update(gates)
        .where(
            gates.c.login == login,
            gates.c.customer_id == customer_id,
            gates.c.call_group.in_([group.value for group in groups]),
            gates.c.probe_at <= now,
        )
        .values(probe_at=leased_until)
    )


def open_gate(connection: Connection, key: GateKey) -> bool:
    """Whether it was closed. A login that is let in is so at its present address: no former one counts."""
    opened = connection.execute(
        delete(gates).where(
            gates.c.login == key.login,
            gates.c.customer_id == key.customer_id,
            gates.c.call_group == key.call_group,
        )
    )
    return opened.rowcount > 0


def forget_gate(connection: Connection, key: GateKey) -> None:
    """Its login has another address by now: what the former one refused counts no more."""
    connection.execute(delete(gates).where(*_is(key)))


def probe_now(
    connection: Connection, *, customers: Collection[str] | None = None, now: datetime, actor: str
) -> int:
    """Every closed gate, or these customers', lets one lead through at once. How many there are."""
    statement = update(gates).values(probe_at=now)
    if customers is not None:
        statement = statement.where(gates.c.customer_id.in_(customers))
    probed = connection.execute(statement.returning(gates.c.customer_id)).scalars().all()
    for customer_id in sorted(set(probed)):
        add_audit(connection, "gates_probed", actor=actor, now=now, customer_id=customer_id)
    return len(probed)


def probe_gate(connection: Connection, key: GateKey, *, credential: str, now: datetime) -> None:
    """The password has changed since this gate closed: it is tried at once, and counts as a first time."""
    connection.execute(update(gates).where(*_is(key)).values(probe_at=now, probes=0, credential=credential))


def is_closed(connection: Connection, key: GateKey, claim: Claim, *, now: datetime) -> bool:
    """Whether this claim may not pass; the one that has taken the gate's probe may."""
    probe_at = connection.execute(select(gates.c.probe_at).where(*_is(key))).scalar()
    return probe_at is not None and probe_at > now and probe_at != claim.leased_until


def is_known(connection: Connection, key: GateKey) -> bool:
    """Whether it closed and has not opened since."""
    return connection.execute(select(gates.c.probe_at).where(*_is(key))).first() is not None


def count_probes(connection: Connection, key: GateKey) -> int:
    """How often a closed gate was probed in vain; the first closing counts as none."""
    probes = connection.execute(select(gates.c.probes).where(*_is(key))).scalar()
    return 0 if probes is None else probes + 1


def list_gates(connection: Connection) -> list[Gate]:
    rows = connection.execute(select(gates).order_by(gates.c.closed_at, *gates.primary_key))
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
