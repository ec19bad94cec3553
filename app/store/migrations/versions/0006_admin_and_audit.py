"""The admin pages: an audit trail that is only appended to, ended sessions, and the inbox's ways through the outbox"""

import sqlalchemy as sa
from alembic import op

from app.store.schema import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_UNDELIVERED = sa.text("state <> 'delivered'")
_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_WORDS = "the audit trail is only appended to"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("lead_id", sa.String(length=36), nullable=True),
        sa.Column("customer_id", sa.String(length=40), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "ended_sessions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ended_sessions")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_outbox_form", "outbox", ["form", "lead_id"])
    op.create_index("ix_outbox_customer", "outbox", ["customer_id", "lead_id"])
    op.create_index(
        "ix_outbox_undelivered",
        "outbox",
        ["state", "lead_id"],
        sqlite_where=_UNDELIVERED,
        postgresql_where=_UNDELIVERED,
    )
    _forbid_changes()


def _forbid_changes() -> None:
    """In the database itself, so that no code of ours can, and a person with its password must mean to."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_WORDS}'; END $$"
        )
        for event, each in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
            op.execute(
                f"CREATE TRIGGER audit_stays_{each.lower()} BEFORE {event} ON audit "
                f"FOR EACH {each} EXECUTE FUNCTION refuse_audit_change()"
            )
        return
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_stays_{event.lower()} BEFORE {event} ON audit "
            f"BEGIN SELECT RAISE(ABORT, '{_WORDS}'); END"
        )


def downgrade() -> None:
    op.drop_index("ix_outbox_undelivered", table_name="outbox")
    op.drop_index("ix_outbox_customer", table_name="outbox")
    op.drop_index("ix_outbox_form", table_name="outbox")
    op.drop_table("ended_sessions")
    op.drop_table("audit")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_audit_change()")
