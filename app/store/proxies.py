"""That a server met a proxy which nobody named: for `leadgate check`, which is another process."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from app.store.schema import EPOCH, meta

_MET = "unnamed_proxy_met_at"


def remember_proxy(connection: Connection, *, now: datetime) -> None:
    connection.execute(delete(meta).where(meta.c.name == _MET))
    connection.execute(insert(meta).values(name=_MET, value=str(int(now.timestamp()))))


def find_proxy(connection: Connection) -> datetime | None:
    """When one was last met."""
    seconds = connection.execute(select(meta.c.value).where(meta.c.name == _MET)).scalar()
    return None if seconds is None else EPOCH + timedelta(seconds=int(seconds))
