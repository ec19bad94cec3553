"""The tables. What must never happen is forbidden here, not in comments."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    literal_column,
)
from sqlalchemy.types import TypeDecorator

from app.lead import LeadState
from app.store.sealed import Sealed, SealedDetail, SealedRemark

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as microseconds since 1970: the same arithmetic and order on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        del dialect
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else EPOCH + timedelta(microseconds=value)


# SQLite numbers rows by itself only when the key is exactly INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, *values: str) -> str:
    known = ", ".join(repr(str(value)) for value in values)
    return f"{column} IN ({known})"


leads = Table(
    "leads",
    metadata,
    Column("id", String(36), primary_key=True),
    # Derived from the id's time: its index is appended to, not scattered over.
    Column("reference", String(10), nullable=False, unique=True),
    Column("form", String(64), nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("body", Sealed, nullable=False),  # the content, JSON, versioned inside; empty once it is gone
    Column("fingerprint", String(32), nullable=False),  # keyed digest of form and content
    # Keyed digests, so that a person can be found again without the address being readable here.
    Column("email_key", String(32), index=True),
    Column("phone_key", String(32), index=True),
    Column("follows", String(10)),  # the reference of the same person's lead of the last ten minutes
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    # No foreign key: a key outlives purge and erasure of its lead.
    Column("form", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),  # a page's own, or a keyed digest of what was sent
    Column("fingerprint", String(32), nullable=False),
    Column("lead_id", String(36), nullable=False),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    Column("lead_id", ForeignKey("leads.id", ondelete="CASCADE"), primary_key=True),
    Column("form", String(64), nullable=False),
    Column("state", String(11), nullable=False),
    Column("state_at", Instant, nullable=False),
    Column("reason", SealedRemark),  # why held, quarantined or discarded, for the operator
    Column("customer_id", String(40), nullable=False),
    Column("login", String(64), nullable=False),
    Column("email_key", String(32)),
    Column("phone_key", String(32)),
    Column("next_attempt_at", Instant),
    Column("leased_until", Instant),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),  # place in the retry schedule
    Column("crashes", Integer, nullable=False, server_default="0"),  # claims that never ended
    Column("reconcile_first", Integer, nullable=False, server_default="0"),
    Column("payload_version", Integer),  # of the frozen payload in force; null until the first attempt
    Column("contact_id", String(40)),
    Column("vitec_lead_id", String(40)),
    Column("delivered_at", Instant),
    # What is done once for a lead: its contact resolved anew, the fallback receiver tried, a copy risked.
    Column("resolved_anew", Integer, nullable=False, server_default="0"),
    Column("fallen_back", Integer, nullable=False, server_default="0"),
    Column("possible_duplicate", Integer, nullable=False, server_default="0"),
    Column("named_at", Instant),  # when a digest told the operator that it is in quarantine
    Column("purged_at", Instant),  # since when nothing of the person is left: what stands here is the receipt
    CheckConstraint(_one_of("state", *LeadState), name="state_known"),
    CheckConstraint(
        "(state = 'delivered') = (vitec_lead_id IS NOT NULL AND delivered_at IS NOT NULL)",
        name="delivered_means_known_to_vitec",
    ),
    CheckConstraint("state <> 'pending' OR next_attempt_at IS NOT NULL", name="pending_is_due_sometime"),
    CheckConstraint("state = 'pending' OR leased_until IS NULL", name="only_pending_is_leased"),
    CheckConstraint(
        "state NOT IN ('held', 'quarantined', 'discarded') OR reason IS NOT NULL", name="stopped_for_a_reason"
    ),
    sqlite_with_rowid=False,
)


# Written out, not bound: only then does either planner see that the partial index serves.
def is_pending(rows: FromClause) -> ColumnElement[bool]:
    """For the outbox, or for an alias of it."""
    pending: ColumnElement[bool] = rows.c.state == literal_column(f"'{LeadState.PENDING}'")
    return pending


IS_PENDING = is_pending(outbox)
Index(
    "ix_outbox_due",
    # Each has its own queue: ten thousand leads of one form, or behind one closed gate, starve no other.
    outbox.c.form,
    outbox.c.login,
    outbox.c.customer_id,
    outbox.c.next_attempt_at,
    outbox.c.lead_id,
    sqlite_where=IS_PENDING,
    postgresql_where=IS_PENDING,
)
# Which of a contact's leads in Vitec are another's: asked at every look for one whose answer was lost.
_KNOWN_TO_VITEC = outbox.c.vitec_lead_id.is_not(None)
Index(
    "ix_outbox_vitec_lead_id",
    outbox.c.vitec_lead_id,
    sqlite_where=_KNOWN_TO_VITEC,
    postgresql_where=_KNOWN_TO_VITEC,
)
_LEASED = outbox.c.leased_until.is_not(None)
Index("ix_outbox_leased", outbox.c.leased_until, sqlite_where=_LEASED, postgresql_where=_LEASED)
_SUSPECT = outbox.c.crashes > literal_column("0")
Index("ix_outbox_suspect", outbox.c.crashes, sqlite_where=_SUSPECT, postgresql_where=_SUSPECT)
_OPEN = outbox.c.state.in_((LeadState.HELD, LeadState.QUARANTINED))
Index("ix_outbox_waiting_for_people", outbox.c.state_at, sqlite_where=_OPEN, postgresql_where=_OPEN)
# The inbox's ways, each in the order in which it shows leads.
Index("ix_outbox_form", outbox.c.form, outbox.c.lead_id)
Index("ix_outbox_customer", outbox.c.customer_id, outbox.c.lead_id)
IS_UNDELIVERED = outbox.c.state != literal_column(f"'{LeadState.DELIVERED}'")
Index(
    "ix_outbox_undelivered",
    outbox.c.state,
    outbox.c.lead_id,
    sqlite_where=IS_UNDELIVERED,
    postgresql_where=IS_UNDELIVERED,
)
IS_UNNAMED = and_(
    outbox.c.state == literal_column(f"'{LeadState.QUARANTINED}'"),
    outbox.c.named_at.is_(None),
)
Index("ix_outbox_unnamed", outbox.c.lead_id, sqlite_where=IS_UNNAMED, postgresql_where=IS_UNNAMED)

# What is old enough to go is found without walking over all the receipts. Written out, as for IS_PENDING.
IS_KEPT = and_(
    outbox.c.purged_at.is_(None),
    outbox.c.state.in_(literal_column(one) for one in ("'delivered'", "'discarded'", "'quarantined'")),
)
Index(
    "ix_outbox_kept",
    outbox.c.form,
    outbox.c.state,
    outbox.c.state_at,
    sqlite_where=IS_KEPT,
    postgresql_where=IS_KEPT,
)

payloads = Table(
    "payloads",
    metadata,
    Column("lead_id", ForeignKey("leads.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("frozen_at", Instant, nullable=False),
    Column("contact_type", String(7), nullable=False),
    Column("contact", Sealed, nullable=False),  # the very bytes sent to Vitec, resent unchanged
    Column("lead", Sealed, nullable=False),  # JSON without the contact's id, which comes with the answer
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("lead_id", ForeignKey("leads.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(9), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("payload_version", Integer),
    Column("started_at", Instant, nullable=False),
    Column("deadline_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", String(12), nullable=False),
    Column("status", Integer),
    Column("detail", SealedRemark),  # Vitec's own words, capped and scrubbed
    Column("vitec_id", String(40)),
    Column("snapshot", JSON),  # the contact's lead ids just before a create; null when they could not be read
    Column("settle_seen_us", BigInteger, nullable=False, server_default="0"),  # observed running time
    Column("negative_seen_us", BigInteger),  # the observed time at the first look in vain that counts
    CheckConstraint(_one_of("kind", "contact", "create", "reconcile"), name="kind_known"),
    CheckConstraint(
        _one_of(
            "outcome", "open", "done", "not_sent", "not_taken", "refused", "gate", "unknown", "not_created"
        ),
        name="outcome_known",
    ),
    CheckConstraint("(outcome = 'open') = (finished_at IS NULL)", name="open_until_finished"),
)
# The heart: the database itself refuses a second create while an earlier one is not known to have failed.
_UNRESOLVED = and_(attempts.c.kind == "create", attempts.c.outcome.in_(("open", "unknown", "done")))
Index(
    "uq_attempts_one_unresolved_create",
    attempts.c.lead_id,
    unique=True,
    sqlite_where=_UNRESOLVED,
    postgresql_where=_UNRESOLVED,
)

IS_UNRESOLVED = and_(
    attempts.c.kind == literal_column("'create'"),
    attempts.c.outcome.in_(literal_column(one) for one in ("'open'", "'unknown'")),
)
Index(
    "ix_attempts_unresolved", attempts.c.lead_id, sqlite_where=IS_UNRESOLVED, postgresql_where=IS_UNRESOLVED
)

events = Table(
    "events",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("lead_id", ForeignKey("leads.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Instant, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("detail", SealedDetail, nullable=False),
    Column("actor", String(64)),  # who, when a person did it
)

gates = Table(
    "gates",
    metadata,
    Column("base_url", String(255), primary_key=True),
    Column("login", String(64), primary_key=True),
    Column("customer_id", String(40), primary_key=True),
    Column("call_group", String(8), primary_key=True),
    Column("closed_at", Instant, nullable=False),
    Column("status", Integer, nullable=False),
    Column("probes", Integer, nullable=False, server_default="0"),
    Column("probe_at", Instant, nullable=False),
    Column("credential", String(32), nullable=False),  # keyed digest: another is worth a probe at once
    CheckConstraint(_one_of("call_group", "contact", "create", "read"), name="call_group_known"),
    sqlite_with_rowid=False,
)

spent_proofs = Table(
    "spent_proofs",
    metadata,
    # A proof of work is good for one lead. What has expired is refused by its date, and forgotten here.
    Column("nonce", String(32), primary_key=True),
    Column("expires_at", Instant, nullable=False, index=True),
    sqlite_with_rowid=False,
)

meta = Table(
    "meta",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

circuits = Table(
    "circuits",
    metadata,
    Column("base_url", String(255), primary_key=True),
    Column("state", String(6), nullable=False),
    Column("allowance", Integer, nullable=False),
    Column("openings", Integer, nullable=False),
    Column("until", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    CheckConstraint(_one_of("state", "open", "trying", "closed"), name="state_known"),
    sqlite_with_rowid=False,
)

read_paths = Table(
    "read_paths",
    metadata,
    Column("base_url", String(255), primary_key=True),
    Column("login", String(64), primary_key=True),
    Column("customer_id", String(40), primary_key=True),
    # The lead to look for: one that we delivered. No foreign key: Vitec's copy outlives ours.
    Column("contact_id", String(40), nullable=False),
    Column("vitec_lead_id", String(40), nullable=False),
    Column("lead_id", String(36), nullable=False),
    Column("reference", String(10), nullable=False),
    Column("proven_at", Instant),
    Column("checked_at", Instant),
    sqlite_with_rowid=False,
)

# Triggers forbid that a row is changed or deleted: see the migration. No foreign key: it outlives its leads.
audit = Table(
    "audit",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", String(40), nullable=False),
    Column("lead_id", String(36)),
    Column("customer_id", String(40)),
    Column("detail", Text),
)

ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("expires_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)

notices = Table(
    "notices",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("key", String(200), nullable=False, unique=True),  # each thing is told once
    Column("kind", String(40), nullable=False),
    Column("channel", String(7), nullable=False),
    Column("lead_id", ForeignKey("leads.id", ondelete="CASCADE"), index=True),  # null for the operator's
    Column("since", Instant),  # when what is told began
    Column("made_at", Instant, nullable=False),
    Column("state", String(7), nullable=False, server_default="due"),
    Column("due_at", Instant, nullable=False),
    Column("leased_until", Instant),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("sent_at", Instant),
    Column("failure", Text),  # of the last try, without an address
    Column("detail", JSON, nullable=False),  # never personal data
    Column(
        "unsettled", Integer, nullable=False, server_default="0"
    ),  # an office's, until its lead is settled
    CheckConstraint(_one_of("channel", "mail", "webhook"), name="channel_known"),
    CheckConstraint(_one_of("state", "due", "sent", "dropped"), name="state_known"),
    CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent_sometime"),
    CheckConstraint("unsettled = 0 OR lead_id IS NOT NULL", name="only_leads_are_settled"),
    Index("ix_notices_kind_made_at", "kind", "made_at"),
)
IS_DUE = notices.c.state == literal_column("'due'")
Index("ix_notices_due", notices.c.due_at, sqlite_where=IS_DUE, postgresql_where=IS_DUE)
IS_UNSETTLED = notices.c.unsettled == literal_column("1")
Index("ix_notices_unsettled", notices.c.lead_id, sqlite_where=IS_UNSETTLED, postgresql_where=IS_UNSETTLED)

alarms = Table(
    "alarms",
    metadata,
    Column("kind", String(40), primary_key=True),
    Column("subject", String(300), primary_key=True),
    Column("raised_at", Instant, nullable=False),
    Column("told_at", Instant),
    Column("ended_at", Instant),
    Column("detail", JSON, nullable=False),
    sqlite_with_rowid=False,
)

spent_links = Table(
    "spent_links",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("lead_id", ForeignKey("leads.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("spent_at", Instant, nullable=False),
    sqlite_with_rowid=False,
)
