"""Keeps a batch of new leads in one transaction: replays, conflicts and the ten-minute rule included."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, or_, select, tuple_
from sqlalchemy.exc import IntegrityError

from app.errors import IdempotencyConflict
from app.identity import IdentitySource, earliest_id, made_at, reference_of
from app.lead import LeadState
from app.store.schema import idempotency_keys, leads, outbox
from app.store.words import Acceptance, NewLead

SAME_LEAD_WITHIN = timedelta(minutes=10)

Outcome = Acceptance | IdempotencyConflict | IntegrityError


def accept_all(connection: Connection, news: Sequence[NewLead], identities: IdentitySource) -> list[Outcome]:
    """Keeps them all, or finds for each what it repeats. One row's conflict never fails its batch.

    The order of the answers is that of the leads. Nothing is durable before the caller's commit.
    """
    try:
        with connection.begin_nested():
            return _accept(connection, news, identities)
    except IntegrityError:  # a reference drawn twice, or a key another machine took meanwhile
        return [_accept_alone(connection, new, identities) for new in news]


def _accept_alone(connection: Connection, new: NewLead, identities: IdentitySource) -> Outcome:
    for _ in range(5):
        try:
            with connection.begin_nested():
                return _accept(connection, [new], identities)[0]
        except IntegrityError as error:
            refusal = error
    return refusal


def _accept(connection: Connection, news: Sequence[NewLead], identities: IdentitySource) -> list[Outcome]:
    keys = _Keys(connection, news)
    people = _RecentPeople(connection, news)
    outcomes: list[Outcome] = []
    fresh: list[tuple[NewLead, Acceptance, str | None]] = []
    for new in news:
        found = keys.find(new) or people.find_same(new)
        if found is None:
            lead_id = identities.new_id(new.received_at)
            found = Acceptance(
                lead_id=lead_id,
                reference=reference_of(lead_id),
                received_at=new.received_at,
                state=new.state,
            )
            fresh.append((new, found, people.find_earlier(new)))
            people.remember(new, found)
        keys.remember(new, found)
        outcomes.append(found)
    keys.keep(connection)
    _insert(connection, fresh)
    return outcomes


class _Keys:
    """The idempotency keys of a batch: those already taken, and those its own leads take."""

    def __init__(self, connection: Connection, news: Iterable[NewLead]) -> None:
        self._taken: dict[tuple[str, str], tuple[str, Acceptance]] = {}
        self._new: dict[tuple[str, str], dict[str, str]] = {}
        wanted = {(new.form, new.idempotency_key) for new in news if new.idempotency_key is not None}
        if not wanted:
            return
        statement = (
            select(idempotency_keys, leads.c.received_at, outbox.c.state, leads.c.reference)
            .outerjoin(leads, leads.c.id == idempotency_keys.c.lead_id)
            .outerjoin(outbox, outbox.c.lead_id == idempotency_keys.c.lead_id)
            .where(tuple_(idempotency_keys.c.form, idempotency_keys.c.key).in_(wanted))
        )
        for row in connection.execute(statement):
            self._taken[row.form, row.key] = (
                row.fingerprint,
                Acceptance(
                    lead_id=row.lead_id,
                    reference=row.reference or reference_of(row.lead_id),
                    received_at=row.received_at or made_at(row.lead_id),
                    state=LeadState(row.state)
                    if row.state
                    else LeadState.DISCARDED,  # purged or erased since
                    replayed=True,
                ),
            )

    def find(self, new: NewLead) -> Outcome | None:
        taken = self._taken.get((new.form, new.idempotency_key)) if new.idempotency_key is not None else None
        if taken is None:
            return None
        fingerprint, acceptance = taken
        return (
            acceptance
            if fingerprint == new.body_fingerprint
            else IdempotencyConflict("used for other content")
        )

    def remember(self, new: NewLead, outcome: Outcome) -> None:
        if new.idempotency_key is None or not isinstance(outcome, Acceptance):
            return
        key = (new.form, new.idempotency_key)
        if key not in self._taken:
            self._taken[key] = new.body_fingerprint, replace(outcome, replayed=True)
            self._new[key] = {
                "form": new.form,
                "key": new.idempotency_key,
                "fingerprint": new.body_fingerprint,
                "lead_id": outcome.lead_id,
            }

    def keep(self, connection: Connection) -> None:
        if self._new:
            connection.execute(insert(idempotency_keys), list(self._new.values()))


class _RecentPeople:
    """The last ten minutes' leads of the people in a batch: the same again, or another of theirs."""

    def __init__(self, connection: Connection, news: Sequence[NewLead]) -> None:
        self._leads: dict[tuple[str, str], list[tuple[str, datetime, Acceptance]]] = {}
        emails = {new.email_key for new in news if new.email_key}
        phones = {new.phone_key for new in news if new.phone_key}
        if not emails and not phones:
            return
        since = min(new.received_at for new in news) - SAME_LEAD_WITHIN
        statement = (
            select(leads, outbox.c.state)
            .join(outbox, outbox.c.lead_id == leads.c.id)
            .where(
                or_(leads.c.email_key.in_(emails), leads.c.phone_key.in_(phones)),
                leads.c.id >= earliest_id(since),
            )
            .order_by(leads.c.id)
        )
        for row in connection.execute(statement):
            acceptance = Acceptance(
                lead_id=row.id,
                reference=row.reference,
                received_at=row.received_at,
                state=LeadState(row.state),
                replayed=True,
            )
            self._add(row.form, (row.email_key, row.phone_key), row.fingerprint, acceptance)

    def _add(
        self, form: str, keys: tuple[str | None, str | None], fingerprint: str, acceptance: Acceptance
    ) -> None:
        for key in filter(None, keys):
            self._leads.setdefault((form, key), []).append((fingerprint, acceptance.received_at, acceptance))

    def _of(self, new: NewLead) -> list[tuple[str, datetime, Acceptance]]:
        key = new.email_key or new.phone_key
        since = new.received_at - SAME_LEAD_WITHIN
        return [one for one in self._leads.get((new.form, key or ""), ()) if one[1] > since]

    def find_same(self, new: NewLead) -> Acceptance | None:
        if not new.once_in_ten_minutes:
            return None
        return next((found for print_, _, found in self._of(new) if print_ == new.fingerprint), None)

    def find_earlier(self, new: NewLead) -> str | None:
        earlier = self._of(new)
        return earlier[0][2].reference if earlier else None

    def remember(self, new: NewLead, acceptance: Acceptance) -> None:
        replay = replace(acceptance, replayed=True)
        self._add(new.form, (new.email_key, new.phone_key), new.fingerprint, replay)


def _insert(connection: Connection, fresh: Sequence[tuple[NewLead, Acceptance, str | None]]) -> None:
    if not fresh:
        return
    connection.execute(
        insert(leads),
        [
            {
                "id": kept.lead_id,
                "reference": kept.reference,
                "form": new.form,
                "received_at": new.received_at,
                "body": new.body,
                "fingerprint": new.fingerprint,
                "email_key": new.email_key,
                "phone_key": new.phone_key,
                "follows": follows,
            }
            for new, kept, follows in fresh
        ],
    )
    connection.execute(
        insert(outbox),
        [
            {
                "lead_id": kept.lead_id,
                "form": new.form,
                "state": new.state,
                "state_at": new.received_at,
                "reason": new.reason,
                "customer_id": new.customer_id,
                "login": new.login,
                "email_key": new.email_key,
                "phone_key": new.phone_key,
                "next_attempt_at": new.received_at,
            }
            for new, kept, _ in fresh
        ],
    )
