"""The store beside a model of it that fits on a page: whatever is done to both, they agree."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, func, select

from app.errors import IdempotencyConflict, OperatorError
from app.forms.model import CallGroup
from app.identity import IdentitySource
from app.lead import LeadState
from app.store.acceptance import SAME_LEAD_WITHIN, accept_all
from app.store.invariants import Bounds, audit
from app.store.operator import discard_lead, release_lead, retry_lead
from app.store.outbox import CreateUnresolved, LeaseLost, decide, freeze_payload, start_attempt
from app.store.schema import attempts, leads, outbox
from app.store.settling import AttemptEnd, CloseGate, Decision, Delivered, Hold, Settlement, TryLater, settle
from app.store.words import Acceptance, Claim, GateKey, NewLead
from tests.stores import ACCOUNT, LEASE, NOW, PAYLOAD, claim, new_lead

# Thousands of examples of what other tests cover, each traced, would take twice as long.
pytestmark = pytest.mark.no_cover

pytest_plugins = ["tests.store_fixtures"]

PENDING, HELD, DELIVERED = LeadState.PENDING, LeadState.HELD, LeadState.DELIVERED
QUARANTINED, DISCARDED = LeadState.QUARANTINED, LeadState.DISCARDED


@dataclass(slots=True)
class Kept:
    """What the model knows of a lead."""

    new: NewLead
    reference: str
    state: LeadState
    due_at: datetime
    leased_until: datetime | None = None
    fence: int = 0
    crashes: int = 0
    tries: int = 0
    contact_id: str | None = None
    vitec_ids: list[str] = field(default_factory=list)
    creates: dict[int, str] = field(default_factory=dict)

    def is_leased(self, now: datetime) -> bool:
        return self.leased_until is not None and self.leased_until > now

    def is_looked_for(self) -> bool:
        return any(outcome in {"open", "unknown"} for outcome in self.creates.values())

    def has_unresolved_create(self) -> bool:
        return any(outcome in {"open", "unknown", "done"} for outcome in self.creates.values())


@dataclass(slots=True)
class Turn:
    claim: Claim
    attempt_id: int | None = None


class StoreAndModel(RuleBasedStateMachine):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.connection = connection
        self.transaction = connection.begin()
        self.identities = IdentitySource()
        self.now = NOW
        self.kept: dict[str, Kept] = {}
        self.keys: dict[tuple[str, str], tuple[str, str]] = {}
        self.turns: list[Turn] = []
        self.probes: dict[str, datetime] = {}
        self.vitec = 0

    def teardown(self) -> None:
        bounds = Bounds(lease=2 * LEASE, wait=timedelta(hours=16))
        found = audit(self.connection, now=self.now, bounds=bounds)
        self.transaction.rollback()
        # Wherever it ended, production's own auditor has nothing to say.
        assert not any(found.violations.values()), found.violations

    # The street

    @rule(
        person=st.sampled_from(["e1", "e2", None]),
        content=st.sampled_from(["c1", "c2"]),
        key=st.sampled_from(["k1", "k2", None]),
        once=st.booleans(),
        customer=st.sampled_from(["M1", "M2"]),
        suspect=st.booleans(),
    )
    def submit(
        self, *, person: str | None, content: str, key: str | None, once: bool, customer: str, suspect: bool
    ) -> None:
        new = new_lead(
            received_at=self.now,
            email_key=person,
            fingerprint=content,
            body_fingerprint=content,
            idempotency_key=key,
            once_in_ten_minutes=once,
            customer_id=customer,
            state=QUARANTINED if suspect else PENDING,
            reason="honeypot" if suspect else None,
        )
        (outcome,) = accept_all(self.connection, [new], self.identities)
        expected = self._expect(new)
        if expected == "conflict":
            assert isinstance(outcome, IdempotencyConflict)
            return
        assert isinstance(outcome, Acceptance)
        if expected is not None:
            assert (outcome.lead_id, outcome.replayed) == (expected, True)
            assert outcome.state == self.kept[expected].state
        else:
            assert not outcome.replayed
            assert outcome.lead_id not in self.kept
            self.kept[outcome.lead_id] = Kept(new, outcome.reference, new.state, self.now)
        if key is not None:
            self.keys.setdefault((new.form, key), (new.body_fingerprint, outcome.lead_id))

    def _expect(self, new: NewLead) -> str | None:
        taken = self.keys.get((new.form, new.idempotency_key or ""))
        if taken is not None:
            return taken[1] if taken[0] == new.body_fingerprint else "conflict"
        recent = [
            lead_id
            for lead_id, kept in sorted(self.kept.items())
            if kept.new.email_key == new.email_key is not None
            and kept.new.received_at > self.now - SAME_LEAD_WITHIN
            and kept.new.fingerprint == new.fingerprint
        ]
        return recent[0] if recent and new.once_in_ten_minutes else None

    # The worker

    @rule()
    def take(self) -> None:
        claimed = claim(self.connection, now=self.now)
        due = sorted(
            (kept.due_at, lead_id)
            for lead_id, kept in self.kept.items()
            if self._may_be_claimed(lead_id, kept)
        )
        if not due:
            assert claimed is None
            return
        assert claimed is not None
        kept = self.kept[claimed.lead_id]
        assert claimed.lead_id == due[0][1]
        kept.crashes += kept.leased_until is not None
        kept.fence += 1
        kept.leased_until = self.now + LEASE
        assert (claimed.fence, claimed.tries) == (kept.fence, kept.tries)
        assert claimed.has_open_create == kept.is_looked_for()
        if kept.new.customer_id in self.probes and not kept.is_looked_for():
            self.probes[kept.new.customer_id] = kept.leased_until
        self.turns.append(Turn(claimed))

    def _may_be_claimed(self, lead_id: str, kept: Kept) -> bool:
        same_person = any(
            other.is_leased(self.now)
            and other.new.email_key == kept.new.email_key is not None
            and other.new.customer_id == kept.new.customer_id
            for other_id, other in self.kept.items()
            if other_id != lead_id
        )
        return (
            kept.state is PENDING
            and kept.due_at <= self.now
            and not kept.is_leased(self.now)
            and not same_person
            # To look for it where it is known to be, the gate for creates is not passed.
            and (
                (kept.is_looked_for() and kept.contact_id is not None)
                or self.probes.get(kept.new.customer_id, self.now) <= self.now
            )
        )

    def _is_newest(self, turn: Turn) -> bool:
        kept = self.kept[turn.claim.lead_id]
        # A turn that has ended ends no second time.
        return kept.state is PENDING and kept.fence == turn.claim.fence and kept.leased_until is not None

    @precondition(lambda self: any(turn.attempt_id is None for turn in self.turns))
    @rule(data=st.data(), contact_id=st.sampled_from(["K1", None]))
    def begin_create(self, data: st.DataObject, contact_id: str | None) -> None:
        """Its contact may be found to be gone later."""
        turn = data.draw(st.sampled_from([turn for turn in self.turns if turn.attempt_id is None]))
        kept = self.kept[turn.claim.lead_id]
        expected = (
            LeaseLost
            if not self._is_newest(turn)
            else CreateUnresolved
            if kept.has_unresolved_create()
            else None
        )
        if expected is not None:
            with pytest.raises(expected):
                self._start(turn.claim, contact_id)
            return
        turn.attempt_id = self._start(turn.claim, contact_id)
        kept.contact_id = contact_id
        kept.creates[turn.attempt_id] = "open"

    def _start(self, claimed: Claim, contact_id: str | None) -> int:
        customer_id = self.kept[claimed.lead_id].new.customer_id
        with self.connection.begin_nested():
            payload, _ = freeze_payload(
                self.connection,
                claimed,
                PAYLOAD,
                account=replace(ACCOUNT, customer_id=customer_id),
                notes=(),
                now=self.now,
            )
            decide(self.connection, claimed, contact_id=contact_id)
            return start_attempt(
                self.connection,
                claimed,
                kind="create",
                payload_version=payload.version,
                now=self.now,
                deadline_at=self.now,
            )

    @precondition(lambda self: any(turn.attempt_id is not None for turn in self.turns))
    @rule(data=st.data())
    def hear_that_it_was_taken(self, data: st.DataObject) -> None:
        """A fact, however late and whoever has the lease."""
        turn = data.draw(st.sampled_from([turn for turn in self.turns if turn.attempt_id is not None]))
        self.turns.remove(turn)
        kept = self.kept[turn.claim.lead_id]
        self.vitec += 1
        vitec_id = f"L{self.vitec}"
        assert self._settle(turn, Delivered(vitec_lead_id=vitec_id), "done", vitec_id)
        kept.vitec_ids.append(vitec_id)
        assert turn.attempt_id is not None
        others = [one for number, one in kept.creates.items() if number != turn.attempt_id]
        if not any(outcome in {"open", "unknown", "done"} for outcome in others):
            kept.creates[turn.attempt_id] = "done"
        if kept.state is not DELIVERED:
            kept.state, kept.leased_until, kept.crashes = DELIVERED, None, 0

    @precondition(lambda self: self.turns)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(["not_sent", "refused", "unknown", "not_created"]),
        end=st.sampled_from(["later", "hold", "gate"]),
        forget=st.booleans(),
    )
    def decide(self, data: st.DataObject, outcome: str, end: str, forget: bool) -> None:
        turn = data.draw(st.sampled_from(self.turns))
        if forget or turn.attempt_id is None:
            self.turns.remove(turn)
        kept = self.kept[turn.claim.lead_id]
        newest = self._is_newest(turn)
        assert self._settle(turn, self._make(end, kept), outcome) is newest
        if turn.attempt_id is not None and kept.creates[turn.attempt_id] == "open":
            kept.creates[turn.attempt_id] = outcome
        if end == "gate":
            self._close_gate(kept.new.customer_id, turn.claim.leased_until)
        if newest:
            kept.leased_until, kept.crashes = None, 0
            if end == "hold":
                kept.state = HELD
            else:
                kept.due_at = self.now + (timedelta(minutes=1) if end == "later" else timedelta())
                kept.tries += end == "later"

    def _make(self, end: str, kept: Kept) -> Decision:
        if end == "hold":
            return Hold(reason="r")
        if end == "later":
            return TryLater(at=self.now + timedelta(minutes=1))
        key = GateKey(
            base_url="https://vitec.test",
            login="default",
            customer_id=kept.new.customer_id,
            call_group=CallGroup.CREATE,
        )
        return CloseGate(key=key, status=401, probe_at=self.now + timedelta(minutes=5), credential="c")

    def _close_gate(self, customer: str, leased_until: datetime) -> None:
        if self.probes.get(customer) in {None, leased_until}:
            self.probes[customer] = self.now + timedelta(minutes=5)

    def _settle(self, turn: Turn, decision: Decision, outcome: str, vitec_id: str | None = None) -> bool:
        attempt = (
            None
            if turn.attempt_id is None
            else AttemptEnd(attempt_id=turn.attempt_id, outcome=outcome, vitec_id=vitec_id)
        )
        return settle(
            self.connection, turn.claim, Settlement(decision=decision, attempt=attempt), now=self.now
        )

    # Time and people

    @rule(passed=st.sampled_from([timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=9)]))
    def wait(self, passed: timedelta) -> None:
        """Leases run out while their holders sleep on: that is a crash, as far as the store can tell."""
        self.now += passed

    @precondition(lambda self: self.kept)
    @rule(data=st.data(), verb=st.sampled_from(["retry", "release", "discard"]))
    def command(self, data: st.DataObject, verb: str) -> None:
        lead_id = data.draw(st.sampled_from(sorted(self.kept)))
        kept = self.kept[lead_id]
        states = {
            "retry": {HELD, PENDING},
            "release": {QUARANTINED},
            "discard": {HELD, PENDING, QUARANTINED},
        }
        if kept.state not in states[verb] or kept.is_leased(self.now):
            with pytest.raises(OperatorError):
                self._command(verb, lead_id)
            return
        self._command(verb, lead_id)
        kept.state = DISCARDED if verb == "discard" else PENDING
        kept.leased_until = None
        if verb != "discard":
            kept.due_at, kept.tries = self.now, 0
        if verb == "retry":
            kept.crashes, kept.fence = 0, kept.fence + 1

    def _command(self, verb: str, lead_id: str) -> None:
        if verb == "retry":
            retry_lead(self.connection, lead_id, now=self.now, actor="Eva")
        elif verb == "release":
            release_lead(self.connection, lead_id, now=self.now, actor="Eva")
        else:
            discard_lead(self.connection, lead_id, reason="r", now=self.now, actor="Eva")

    # What always holds

    @invariant()
    def every_accepted_lead_is_somewhere(self) -> None:
        counted = self.connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state))
        assert sum(count for _, count in counted) == len(self.kept)
        assert self.connection.execute(select(func.count()).select_from(leads)).scalar_one() == len(self.kept)

    @invariant()
    def both_agree(self) -> None:
        for row in self.connection.execute(select(outbox)):
            kept = self.kept[row.lead_id]
            assert (row.state, row.fence, row.crashes, row.tries, row.leased_until) == (
                kept.state,
                kept.fence,
                kept.crashes,
                kept.tries,
                kept.leased_until,
            )
            # The first id that Vitec gave stays: nothing leaves delivered.
            assert row.vitec_lead_id == (kept.vitec_ids[0] if kept.vitec_ids else None)

    @invariant()
    def no_lead_has_two_creates_that_may_both_have_been_taken(self) -> None:
        unresolved = (
            select(func.count())
            .where(attempts.c.kind == "create", attempts.c.outcome.in_(("open", "unknown", "done")))
            .group_by(attempts.c.lead_id)
        )
        assert all(count == 1 for count in self.connection.execute(unresolved).scalars())


def test_the_store_agrees_with_its_model(engine: Engine) -> None:
    with engine.connect() as connection:

        class Machine(StoreAndModel):
            def __init__(self) -> None:
                super().__init__(connection)

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=60,
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
