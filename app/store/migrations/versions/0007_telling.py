"""What people are told: notices with their own outbox, alarms, and links that have been used"""

import sqlalchemy as sa
from alembic import op

from app.store.schema import Instant, Serial

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_DUE = sa.text("state = 'due'")
_UNSETTLED = sa.text("unsettled = 1")


def upgrade() -> None:
    op.create_table(
        "notices",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=7), nullable=False),
        sa.Column("lead_id", sa.String(length=36), nullable=True),
        sa.Column("since", Instant(), nullable=True),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("state", sa.String(length=7), server_default="due", nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("unsettled", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("channel IN ('mail', 'webhook')", name=op.f("ck_notices_channel_known")),
        sa.CheckConstraint("state IN ('due', 'sent', 'dropped')", name=op.f("ck_notices_state_known")),
        sa.CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_notices_sent_sometime")),
        sa.CheckConstraint(
            "unsettled = 0 OR lead_id IS NOT NULL", name=op.f("ck_notices_only_leads_are_settled")
        ),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["leads.id"], name=op.f("fk_notices_lead_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("key", name=op.f("uq_notices_key")),
    )
    op.create_index(op.f("ix_notices_lead_id"), "notices", ["lead_id"])
    op.create_index("ix_notices_kind_made_at", "notices", ["kind", "made_at"])
    op.create_index("ix_notices_due", "notices", ["due_at"], sqlite_where=_DUE, postgresql_where=_DUE)
    op.create_index(
        "ix_notices_unsettled",
        "notices",
        ["lead_id"],
        sqlite_where=_UNSETTLED,
        postgresql_where=_UNSETTLED,
    )
    op.create_table(
        "alarms",
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("raised_at", Instant(), nullable=False),
        sa.Column("told_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_alarms")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spent_links",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("lead_id", sa.String(length=36), nullable=False),
        sa.Column("spent_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["leads.id"], name=op.f("fk_spent_links_lead_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spent_links")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_spent_links_lead_id"), "spent_links", ["lead_id"])


def downgrade() -> None:
    op.drop_table("spent_links")
    op.drop_table("alarms")
    op.drop_table("notices")
