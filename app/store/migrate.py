"""Brings the schema up to date with Alembic, and refuses one that a newer version has changed."""

from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from app.errors import StoreError

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
    """To the newest revision, each step a transaction. Raises StoreError for a schema from the future."""
    revisions = list_revisions()
    current = current_revision(connection)
    connection.rollback()
    if current is not None and current not in revisions:
        raise StoreError(f"the schema is at revision {current}, made by a newer Leadgate; run that version")
    if current != revisions[-1]:
        _migrate(connection)


def _migrate(connection: Connection) -> None:
    # Imported when there is something to do: a third of the time it takes to start goes into Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()
