"""Spent proofs of work, and which quarantined leads the operator has been told of"""

import sqlalchemy as sa
from alembic import op

from app.store.schema import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UNNAMED = sa.text("state = 'quarantined' AND named_at IS NULL")


def upgrade() -> None:
    op.add_column("outbox", sa.Column("named_at", Instant(), nullable=True))
    op.create_index(
        "ix_outbox_unnamed", "outbox", ["lead_id"], sqlite_where=_UNNAMED, postgresql_where=_UNNAMED
    )
    op.create_table(
        "spent_proofs",
        sa.Column("nonce", sa.String(length=32), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_spent_proofs")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_spent_proofs_expires_at"), "spent_proofs", ["expires_at"])


def downgrade() -> None:
    op.drop_table("spent_proofs")
    op.drop_index("ix_outbox_unnamed", table_name="outbox")
    op.drop_column("outbox", "named_at")
