"""The first tables"""

import sqlalchemy as sa
from alembic import op

from app.store.schema import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gates",
        sa.Column("base_url", sa.String(length=255), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("call_group", sa.String(length=8), nullable=False),
        sa.Column("closed_at", Instant(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("probes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("probe_at", Instant(), nullable=False),
        sa.Column("credential", sa.String(length=32), nullable=False),
        sa.CheckConstraint(
            "call_group IN ('contact', 'create', 'read')", name=op.f("ck_gates_call_group_known")
        ),
        sa.PrimaryKeyConstraint("base_url", "login", "customer_id", "call_group", name=op.f("pk_gates")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("form", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("lead_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("form", "key", name=op.f("pk_idempotency_keys")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leads",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("reference", sa.String(length=10), nullable=False),
        sa.Column("form", sa.String(length=64), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("email_key", sa.String(length=32), nullable=True),
        sa.Column("phone_key", sa.String(length=32), nullable=True),
        sa.Column("follows", sa.String(length=10), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leads")),
        sa.UniqueConstraint("reference", name=op.f("uq_leads_reference")),
    )
    op.create_index(op.f("ix_leads_email_key"), "leads", ["email_key"], unique=False)
    op.create_index(op.f("ix_leads_phone_key"), "leads", ["phone_key"], unique=False)
    op.create_table(
        "attempts",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("lead_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("payload_version", sa.Integer(), nullable=True),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("deadline_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("vitec_id", sa.String(length=40), nullable=True),
        sa.Column("snapshot", sa.JSON(), nullable=True),
        sa.Column("settle_seen_us", sa.BigInteger(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "(outcome = 'open') = (finished_at IS NULL)", name=op.f("ck_attempts_open_until_finished")
        ),
        sa.CheckConstraint("kind IN ('contact', 'create', 'reconcile')", name=op.f("ck_attempts_kind_known")),
        sa.CheckConstraint(
            "outcome IN ('open', 'done', 'not_sent', 'not_taken', 'refused', 'gate', 'unknown', 'not_created')",
            name=op.f("ck_attempts_outcome_known"),
        ),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["leads.id"], name=op.f("fk_attempts_lead_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index(op.f("ix_attempts_lead_id"), "attempts", ["lead_id"], unique=False)
    op.create_index(
        "uq_attempts_one_unresolved_create",
        "attempts",
        ["lead_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'create' AND outcome IN ('open', 'unknown', 'done')"),
        postgresql_where=sa.text("kind = 'create' AND outcome IN ('open', 'unknown', 'done')"),
    )
    op.create_table(
        "events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("lead_id", sa.String(length=36), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["leads.id"], name=op.f("fk_events_lead_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_lead_id"), "events", ["lead_id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("lead_id", sa.String(length=36), nullable=False),
        sa.Column("form", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=11), nullable=False),
        sa.Column("state_at", Instant(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("customer_id", sa.String(length=40), nullable=False),
        sa.Column("login", sa.String(length=64), nullable=False),
        sa.Column("email_key", sa.String(length=32), nullable=True),
        sa.Column("phone_key", sa.String(length=32), nullable=True),
        sa.Column("next_attempt_at", Instant(), nullable=True),
        sa.Column("leased_until", Instant(), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reconcile_first", sa.Integer(), server_default="0", nullable=False),
        sa.Column("payload_version", sa.Integer(), nullable=True),
        sa.Column("contact_id", sa.String(length=40), nullable=True),
        sa.Column("vitec_lead_id", sa.String(length=40), nullable=True),
        sa.Column("delivered_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "(state = 'delivered') = (vitec_lead_id IS NOT NULL AND delivered_at IS NOT NULL)",
            name=op.f("ck_outbox_delivered_means_known_to_vitec"),
        ),
        sa.CheckConstraint(
            "state <> 'pending' OR next_attempt_at IS NOT NULL",
            name=op.f("ck_outbox_pending_is_due_sometime"),
        ),
        sa.CheckConstraint(
            "state = 'pending' OR leased_until IS NULL", name=op.f("ck_outbox_only_pending_is_leased")
        ),
        sa.CheckConstraint(
            "state NOT IN ('held', 'quarantined', 'discarded') OR reason IS NOT NULL",
            name=op.f("ck_outbox_stopped_for_a_reason"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'quarantined', 'delivered', 'held', 'discarded')",
            name=op.f("ck_outbox_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["leads.id"], name=op.f("fk_outbox_lead_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("lead_id", name=op.f("pk_outbox")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["next_attempt_at", "lead_id"],
        unique=False,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_outbox_leased",
        "outbox",
        ["leased_until"],
        unique=False,
        sqlite_where=sa.text("leased_until IS NOT NULL"),
        postgresql_where=sa.text("leased_until IS NOT NULL"),
    )
    op.create_index(
        "ix_outbox_waiting_for_people",
        "outbox",
        ["state_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('held', 'quarantined')"),
        postgresql_where=sa.text("state IN ('held', 'quarantined')"),
    )
    op.create_table(
        "payloads",
        sa.Column("lead_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("frozen_at", Instant(), nullable=False),
        sa.Column("contact_type", sa.String(length=7), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("lead", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["leads.id"], name=op.f("fk_payloads_lead_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("lead_id", "version", name=op.f("pk_payloads")),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "meta",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("meta", "payloads", "outbox", "events", "attempts", "leads", "idempotency_keys", "gates"):
        op.drop_table(table)
