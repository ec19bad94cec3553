"""Signs of life that processes leave for each other: when accepting and delivering were last seen to turn."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from app.store.schema import EPOCH, meta
from app.store.turns import take_turns

_PREFIX = "pulse:"


def note_pulse(connection: Connection, name: str, *, now: datetime) -> None:
    _keep(connection, _PREFIX + name, now)


def find_pulses(connection: Connection) -> dict[str, datetime]:
    rows = connection.execute(select(meta).where(meta.c.name.startswith(_PREFIX)))
    return {row.name.removeprefix(_PREFIX): _read(row.value) for row in rows}


def take_beat(connection: Connection, *, now: datetime, every: timedelta, name: str = "heartbeat") -> bool:
    """Whether nobody has taken this turn's; the caller's it is then. A little early counts as in time."""
    take_turns(connection, [name])
    last = connection.execute(select(meta.c.value).where(meta.c.name == name)).scalar()
    if last is not None and now - _read(last) < every * 0.9:
        return False
    _keep(connection, name, now)
    return True


def _keep(connection: Connection, name: str, moment: datetime) -> None:
    value = str((moment - EPOCH) // timedelta(microseconds=1))
    if connection.execute(update(meta).where(meta.c.name == name).values(value=value)).rowcount == 0:
        connection.execute(insert(meta).values(name=name, value=value))


def _read(value: str) -> datetime:
    return EPOCH + timedelta(microseconds=int(value))
