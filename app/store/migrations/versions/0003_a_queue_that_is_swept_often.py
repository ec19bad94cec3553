"""PostgreSQL sweeps the queue's tables often: every turn leaves dead rows, and claims walk over them"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BUSY = ("outbox", "attempts", "gates", "circuits", "meta", "read_paths")
_OPTIONS = {
    # A share of a table in which a million delivered leads lie would be a long time coming.
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.02",
}


def upgrade() -> None:
    _alter("SET", ", ".join(f"{name} = {value}" for name, value in _OPTIONS.items()))


def downgrade() -> None:
    _alter("RESET", ", ".join(_OPTIONS))


def _alter(verb: str, options: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _BUSY:
            op.execute(f"ALTER TABLE {table} {verb} ({options})")
