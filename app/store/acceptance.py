"""Keeps a batch of new leads in one transaction: replays, conflicts and the ten-minute rule included."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, or_, select
from sqlalchemy.exc import IntegrityError

from app.errors import IdempotencyConflict, StoreUnavailable
from app.identity import IdentitySource, earliest_id, made_at, reference_of
from app.lead import LeadState
from app.log import get_logger
from app.store.bulk import insert_rows, is_among
from app.store.failures import describe, is_broken
from app.store.proofs import Proofs
from app.store.schema import events, idempotency_keys, leads, outbox
from app.store.turns import announce, take_turns
from app.store.words import Acceptance, NewLead, Suspicion

SAME_LEAD_WITHIN = timedelta(minutes=10)

_DRAWS = 5

Outcome = Acceptance | IdempotencyConflict | StoreUnavailable

_log = get_logger("store")


def accept_all(connection: Connection, news: Sequence[NewLead], identities: IdentitySource) -> list[Outcome]:
    """Keeps them all, or finds for each what it repeats. One row's conflict never fails its batch.

    The order of the answers is that of the leads. Nothing is durable before the caller's commit.
    Raises DBAPIError when the database itself fails.
    """
    take_turns(connection, _name_turns(news))
    try:
        with connection.begin_nested():
            return _accept(connection, news, identities)
    except Exception as error:
        if is_broken(error):
            raise
        # A reference drawn twice, a key that another machine took meanwhile, a row that cannot be written.
        return [_accept_alone(connection, new, identities) for new in news]


def is_key_taken(connection: Connection, form: str, key: str) -> bool:
    """Whether a submission with this key is an earlier one's again."""
    taken = select(idempotency_keys.c.lead_id).where(
        idempotency_keys.c.form == form, idempotency_keys.c.key == key
    )
    return connection.execute(taken).scalar() is not None


def _name_turns(news: Iterable[NewLead]) -> Iterator[str]:
    """Two servers must not both find that a person, or a key, has no lead yet."""
    for new in news:
        if new.idempotency_key is not None:
            yield f"key {new.form} {new.idempotency_key}"
        for person in filter(None, (new.email_key, new.phone_key)):
            yield f"person {new.form} {person}"
        if new.proof is not None:
            yield f"proof {new.proof.nonce}"


def _accept_alone(
    connection: Connection, new: NewLead, identities: IdentitySource, *, draws: int = _DRAWS
) -> Outcome:
    try:
        with connection.begin_nested():
            return _accept(connection, [new], identities)[0]
    except Exception as error:
        if is_broken(error):
            raise
        if isinstance(error, IntegrityError) and draws > 1:
            identities.step_aside()
            return _accept_alone(connection, new, identities, draws=draws - 1)
        _log.error("lead_refused_by_database", form=new.form, cause=describe(error))
        return StoreUnavailable("the database refused the lead")


def _accept(connection: Connection, news: Sequence[NewLead], identities: IdentitySource) -> list[Outcome]:
    keys = _Keys(connection, news)
    people = _RecentPeople(connection, news)
    proofs = Proofs(connection, news)
    outcomes: list[Outcome] = []
    fresh: list[tuple[NewLead, Acceptance, str | None]] = []
    for new in news:
        found = keys.find(new) or people.find_same(new)
        if found is None:
            lead_id = identities.new_id(new.received_at)
            judged = proofs.judge(new)
            found = Acceptance(
                lead_id=lead_id,
                reference=reference_of(lead_id),
                received_at=new.received_at,
                state=judged.state,
            )
            fresh.append((judged, found, people.find_first(new)))
            people.remember(new, found)
        keys.remember(new, found)
        outcomes.append(found)
    keys.keep(connection)
    proofs.keep(connection)
    _insert(connection, fresh)
    return outcomes


class _Keys:
    """The idempotency keys of a batch: those already taken, and those its own leads take."""

    def __init__(self, connection: Connection, news: Iterable[NewLead]) -> None:
        self._taken: dict[tuple[str, str], tuple[str, Acceptance]] = {}
        self._new: list[dict[str, str]] = []
        keyed = [new for new in news if new.idempotency_key is not None]
        if not keyed:
            return
        statement = (
            select(idempotency_keys, leads.c.received_at, outbox.c.state)
            .outerjoin(leads, leads.c.id == idempotency_keys.c.lead_id)
            .outerjoin(outbox, outbox.c.lead_id == idempotency_keys.c.lead_id)
            .where(  # pairs of form and key would be exact, but SQLite walks the whole table for them
                idempotency_keys.c.form.in_({new.form for new in keyed}),
                is_among(connection, idempotency_keys.c.key, {new.idempotency_key or "" for new in keyed}),
            )
        )
        for row in connection.execute(statement):
            self._taken[row.form, row.key] = row.fingerprint, _recall(row)

    def find(self, new: NewLead) -> Acceptance | IdempotencyConflict | None:
        taken = self._taken.get((new.form, new.idempotency_key)) if new.idempotency_key is not None else None
        if taken is None:
            return None
        fingerprint, acceptance = taken
        same = fingerprint == new.body_fingerprint
        return replace(acceptance, replayed=True) if same else IdempotencyConflict("used for other content")

    def remember(self, new: NewLead, outcome: Acceptance | IdempotencyConflict) -> None:
        if new.idempotency_key is None or isinstance(outcome, IdempotencyConflict):
            return
        key = (new.form, new.idempotency_key)
        if key not in self._taken:
            self._taken[key] = new.body_fingerprint, outcome
            self._new.append(
                {
                    "form": new.form,
                    "key": new.idempotency_key,
                    "fingerprint": new.body_fingerprint,
                    "lead_id": outcome.lead_id,
                }
            )

    def keep(self, connection: Connection) -> None:
        insert_rows(connection, idempotency_keys, self._new)


def _recall(row: Any) -> Acceptance:
    """The lead that a key stands for. Its id tells enough once the lead was purged or erased."""
    return Acceptance(
        lead_id=row.lead_id,
        reference=reference_of(row.lead_id),
        received_at=row.received_at or made_at(row.lead_id),
        state=LeadState(row.state or LeadState.DISCARDED),
        replayed=True,
    )


class _RecentPeople:
    """The last ten minutes' leads of the people in a batch: the same again, or another of theirs."""

    def __init__(self, connection: Connection, news: Sequence[NewLead]) -> None:
        self._leads: dict[tuple[str, str], list[tuple[str, Acceptance]]] = {}
        emails = {new.email_key for new in news if new.email_key}
        phones = {new.phone_key for new in news if new.phone_key}
        if not emails and not phones:
            return
        since = min(new.received_at for new in news) - SAME_LEAD_WITHIN
        recent = (
            select(
                leads.c.id.label("lead_id"),
                leads.c.form,
                leads.c.received_at,
                leads.c.fingerprint,
                leads.c.email_key,
                leads.c.phone_key,
                outbox.c.state,
            )
            .join(outbox, outbox.c.lead_id == leads.c.id)
            .where(
                or_(
                    is_among(connection, leads.c.email_key, emails),
                    is_among(connection, leads.c.phone_key, phones),
                ),
                leads.c.id >= earliest_id(since),
            )
        )
        for row in connection.execute(recent):
            self._add(row, row.fingerprint, _recall(row))

    def _add(self, person: Any, fingerprint: str, acceptance: Acceptance) -> None:
        for key in filter(None, (person.email_key, person.phone_key)):
            self._leads.setdefault((person.form, key), []).append((fingerprint, acceptance))

    def _of(self, new: NewLead) -> list[tuple[str, Acceptance]]:
        """The oldest first. A person is known by their e-mail or by their phone."""
        since = new.received_at - SAME_LEAD_WITHIN
        found = {
            acceptance.lead_id: (fingerprint, acceptance)
            for key in filter(None, (new.email_key, new.phone_key))
            for fingerprint, acceptance in self._leads.get((new.form, key), ())
            if acceptance.received_at > since
        }
        return [found[lead_id] for lead_id in sorted(found)]

    def find_same(self, new: NewLead) -> Acceptance | None:
        if not new.once_in_ten_minutes:
            return None
        same = (kept for fingerprint, kept in self._of(new) if fingerprint == new.fingerprint)
        kept = next(same, None)
        return None if kept is None else replace(kept, replayed=True)

    def find_first(self, new: NewLead) -> str | None:
        earlier = self._of(new)
        return earlier[0][1].reference if earlier else None

    def remember(self, new: NewLead, acceptance: Acceptance) -> None:
        self._add(new, new.fingerprint, acceptance)


def _insert(connection: Connection, fresh: Sequence[tuple[NewLead, Acceptance, str | None]]) -> None:
    if not fresh:
        return
    insert_rows(
        connection,
        leads,
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
    insert_rows(
        connection,
        outbox,
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
    suspects = [(new, kept, new.suspicion) for new, kept, _ in fresh if new.suspicion is not None]
    insert_rows(connection, events, [_tell_suspicion(*suspect) for suspect in suspects])
    announce(connection)


def _tell_suspicion(new: NewLead, kept: Acceptance, suspicion: Suspicion) -> dict[str, Any]:
    """The first event of a lead that was let in as well as of one that was not: nothing is silent."""
    quarantined = new.state is LeadState.QUARANTINED
    return {
        "lead_id": kept.lead_id,
        "at": new.received_at,
        "kind": "quarantined" if quarantined else "suspected",
        "detail": {"score": suspicion.score, "reasons": list(suspicion.reasons)},
    }
