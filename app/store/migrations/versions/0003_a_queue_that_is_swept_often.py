"""Vitec's ids are found by index, and PostgreSQL sweeps the queue often: every turn leaves dead rows there"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_KNOWN = sa.text("vitec_lead_id IS NOT NULL")
_BUSY = ("outbox", "attempts", "gates", "circuits", "meta", "read_paths")
_OPTIONS = {
    # A share of a table in which a million delivered leads lie would be a long time coming.
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.02",
}


def upgrade() -> None:
    op.create_index(
        "ix_outbox_vitec_lead_id",
        "outbox",
        ["vitec_lead_id"],
        sqlite_where=_KNOWN,
        postgresql_where=_KNOWN,
    )
    _alter("SET", ", ".join(f"{name} = {value}" for name, value in _OPTIONS.items()))


def downgrade() -> None:
    op.drop_index("ix_outbox_vitec_lead_id", table_name="outbox")
    _alter("RESET", ", ".join(_OPTIONS))


def _alter(verb: str, options: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _BUSY:
            op.execute(f"ALTER TABLE {table} {verb} ({options})")
