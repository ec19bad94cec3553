"""Circuits, the read path's canary, and how far looking for a lead has come"""

import sqlalchemy as sa
from alembic import op

from app.store.schema import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FLAGS = ("resolved_anew", "fallen_back", "possible_duplicate")
_PENDING = sa.text("state = 'pending'")
_SUSPECT = sa.text("crashes > 0")
_UNRESOLVED = sa.text("kind = 'create' AND outcome IN ('open', 'unknown')")


def upgrade() -> None:
    for flag in _FLAGS:
        op.add_column("outbox", sa.Column(flag, sa.Integer(), server_default="0", nullable=False))
    op.add_column("attempts", sa.Column("negative_seen_us", sa.BigInteger(), nullable=True))
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["form", "next_attempt_at", "lead_id"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
    op.create_index(
        "ix_outbox_suspect", "outbox", ["crashes"], sqlite_where=_SUSPECT, postgresql_where=_SUSPECT
    )
    op.create_index(
        "ix_attempts_unresolved",
        "attempts",
        ["lead_id"],
        sqlite_where=_UNRESOLVED,
        postgresql_where=_UNRESOLVED,
    )
    op.create_table(
        "circuits",
        sa.Column("base_url", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=6), nullable=False),
        sa.Column("allowance", sa.Integer(), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'trying', 'closed')", name=op.f("ck_circuits_state_known")),
        sa.PrimaryKeyConstraint("base_url", name=op.f("pk_circuits")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "read_paths",
        sa.Column("base_url", sa.String(length=255), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("contact_id", sa.String(length=40), nullable=False),
        sa.Column("vitec_lead_id", sa.String(length=40), nullable=False),
        sa.Column("lead_id", sa.String(length=36), nullable=False),
        sa.Column("reference", sa.String(length=10), nullable=False),
        sa.Column("proven_at", Instant(), nullable=True),
        sa.Column("checked_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("base_url", "login", "customer_id", name=op.f("pk_read_paths")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("read_paths")
    op.drop_table("circuits")
    op.drop_index("ix_attempts_unresolved", table_name="attempts")
    op.drop_index("ix_outbox_suspect", table_name="outbox")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["next_attempt_at", "lead_id"],
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )
    op.drop_column("attempts", "negative_seen_us")
    for flag in _FLAGS:
        op.drop_column("outbox", flag)
