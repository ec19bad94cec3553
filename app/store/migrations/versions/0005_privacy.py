"""Since when nothing but a lead's receipt is left"""

import sqlalchemy as sa
from alembic import op

from app.store.schema import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEPT = sa.text("purged_at IS NULL AND state IN ('delivered', 'discarded', 'quarantined')")


def upgrade() -> None:
    op.add_column("outbox", sa.Column("purged_at", Instant(), nullable=True))
    op.create_index(
        "ix_outbox_kept",
        "outbox",
        ["form", "state", "state_at"],
        sqlite_where=_KEPT,
        postgresql_where=_KEPT,
    )


def downgrade() -> None:
    op.drop_index("ix_outbox_kept", table_name="outbox")
    op.drop_column("outbox", "purged_at")
