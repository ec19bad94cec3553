"""Brings the schema up to date with Alembic, and refuses one that a newer version has made unfit for this one."""

from pathlib import Path

from sqlalchemy import Connection, column, insert, inspect, select, table, update

from app.errors import StoreError
from app.log import get_logger
from app.store.schema import meta

_log = get_logger("store")

FIT_FROM = "0002"
"""The oldest revision whose code may run on the newest schema. A migration that takes something away raises it."""
_FIT_FROM = "fit_from"

_FOLDER = Path(__file__).with_name("migrations")


def list_revisions() -> list[str]:
    """The oldest first: a migration's file name begins with its number."""
    return sorted(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.py"))


def newest_revision() -> str:
    return list_revisions()[-1]


def current_revision(connection: Connection) -> str | None:
    """The revision the schema stands at; None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(
        select(column("version_num")).select_from(table("alembic_version"))
    ).scalar()
    return found


def upgrade(connection: Connection) -> None:
    """To the newest revision, each step a transaction.

    A newer schema stays as it is, and serves if it says that code of this age may run on it: so a release can be
    rolled back, and a process of the old one restart in the middle of an upgrade. Raises StoreError otherwise.
    """
    revisions = list_revisions()
    current = current_revision(connection)
    connection.rollback()
    if current is not None and current not in revisions:
        _require_fit(connection, current, newest=revisions[-1])
        return
    if current != revisions[-1]:
        _migrate(connection)
    _note_fitness(connection)


def _require_fit(connection: Connection, current: str, *, newest: str) -> None:
    oldest: str | None = connection.execute(select(meta.c.value).where(meta.c.name == _FIT_FROM)).scalar()
    connection.rollback()
    if oldest is None or newest < oldest:
        raise StoreError(f"the schema is at revision {current}, made by a newer Leadgate; run that version")
    _log.warning("schema_is_newer", revision=current, known=newest)


def _note_fitness(connection: Connection) -> None:
    """For code older than this, which may meet this schema."""
    row = meta.c.name == _FIT_FROM
    known = connection.execute(select(meta.c.value).where(row)).scalar()
    if known is None:
        connection.execute(insert(meta).values(name=_FIT_FROM, value=FIT_FROM))
    elif known != FIT_FROM:
        connection.execute(update(meta).where(row).values(value=FIT_FROM))
    connection.commit()


def _migrate(connection: Connection) -> None:
    # Imported when there is something to do: a third of the time it takes to start goes into Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()
