"""Brings the schema up to date with Alembic, and refuses one that a newer version has changed."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from app.errors import StoreError

_FOLDER = Path(__file__).with_name("migrations")


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def current_revision(connection: Connection) -> str | None:
    """The revision the schema stands at; None for an empty database."""
    found: str | None = MigrationContext.configure(connection).get_current_revision()
    return found


def upgrade(connection: Connection) -> None:
    """To the newest revision, each step a transaction. Raises StoreError for a schema from the future."""
    current = current_revision(connection)
    connection.rollback()
    if current is not None and current not in _known_revisions():
        raise StoreError(f"the schema is at revision {current}, made by a newer Leadgate; run that version")
    if current != newest_revision():
        command.upgrade(_config(connection), "head")
        connection.commit()


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
