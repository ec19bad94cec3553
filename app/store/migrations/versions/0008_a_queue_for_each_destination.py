"""The outbox's queues are told apart by login and customer too: a closed gate is stepped over, not walked through"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    _make("form", "login", "customer_id", "next_attempt_at", "lead_id")


def downgrade() -> None:
    _make("form", "next_attempt_at", "lead_id")


def _make(*columns: str) -> None:
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.create_index(
        "ix_outbox_due", "outbox", list(columns), sqlite_where=_PENDING, postgresql_where=_PENDING
    )
