"""A lead's way from the outbox to Vitec: who may claim it, what is recorded, and what is refused."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from app.forms.model import CallGroup
from app.lead import Note
from app.store.claiming import claim_in_order, claim_next
from app.store.gates import close_gate, count_probes, list_gates, probe_now
from app.store.history import load_history
from app.store.outbox import (
    CreateUnresolved,
    LeaseLost,
    clear_leases,
    finish_attempt,
    freeze_payload,
    load_payload,
    start_attempt,
)
from app.store.queues import Selection
from app.store.schema import attempts, events, outbox
from app.store.settling import (
    AttemptEnd,
    CloseGate,
    ContactFound,
    Decision,
    Delivered,
    Hold,
    Refile,
    Settlement,
    TryLater,
    settle,
)
from app.store.words import Claim, GateKey
from tests.stores import (
    ACCOUNT,
    GATE,
    LEASE,
    NOW,
    PAYLOAD,
    SECOND,
    begin,
    claim,
    keep,
    must_claim,
    row_of,
)

pytest_plugins = ["tests.store_fixtures"]

MINUTE = timedelta(minutes=1)


def conclude(connection: Connection, claimed: Claim, decision: Decision, **rest: Any) -> bool:
    now = rest.pop("now", NOW)
    return settle(connection, claimed, Settlement(decision=decision, **rest), now=now)


def end(attempt_id: int, outcome: str, **rest: Any) -> AttemptEnd:
    return AttemptEnd(attempt_id=attempt_id, outcome=outcome, **rest)


def attempt_of(connection: Connection, attempt_id: int) -> Any:
    return connection.execute(select(attempts).where(attempts.c.id == attempt_id)).one()


def kinds(connection: Connection, lead_id: str) -> list[str]:
    return [str(entry["kind"]) for entry in load_history(connection, lead_id)]


# Claims


def test_the_lead_that_has_waited_longest_comes_first(connection: Connection) -> None:
    late = keep(connection, received_at=NOW + SECOND)
    early = keep(connection, received_at=NOW)
    ids = [must_claim(connection, now=NOW + MINUTE).lead_id for _ in range(2)]
    assert ids == [early, late]
    assert claim(connection, now=NOW + MINUTE) is None


def test_leads_of_one_moment_come_in_the_order_of_their_ids(connection: Connection) -> None:
    ids = [keep(connection) for _ in range(5)]
    assert [must_claim(connection).lead_id for _ in range(5)] == sorted(ids)


def test_what_is_not_due_is_not_claimed(connection: Connection) -> None:
    keep(connection, received_at=NOW + SECOND)
    assert claim(connection, now=NOW) is None
    assert claim(connection, now=NOW + SECOND) is not None


@pytest.mark.parametrize("state", ["held", "quarantined", "discarded", "delivered"])
def test_only_a_pending_lead_is_claimed(connection: Connection, state: str) -> None:
    keep(connection)
    known = {"vitec_lead_id": "L1", "delivered_at": NOW} if state == "delivered" else {"reason": "r"}
    connection.execute(update(outbox).values(state=state, **known))
    assert claim(connection) is None


def test_a_claim_tells_what_its_turn_needs(connection: Connection) -> None:
    lead_id = keep(connection)
    claimed = must_claim(connection)
    assert claimed == Claim(
        lead_id=lead_id,
        form="kontakt",
        login="default",
        customer_id="M1",
        fence=1,
        leased_until=NOW + LEASE,
        pending_since=NOW,
        tries=0,
        payload_version=None,
        contact_id=None,
        has_open_create=False,
    )


def test_a_leased_lead_is_nobody_elses_until_the_lease_is_over(connection: Connection) -> None:
    keep(connection)
    must_claim(connection)
    assert claim(connection, now=NOW + LEASE - SECOND) is None
    assert must_claim(connection, now=NOW + LEASE).fence == 2


def test_an_expired_lease_counts_as_a_crash_and_a_clean_end_starts_anew(connection: Connection) -> None:
    lead_id = keep(connection)
    for crashes in range(3):
        claimed = must_claim(connection, now=NOW + crashes * LEASE)
        assert row_of(connection, lead_id).crashes == crashes
    conclude(connection, claimed, TryLater(at=NOW))
    assert row_of(connection, lead_id).crashes == 0
    must_claim(connection, now=NOW + 9 * LEASE)
    assert row_of(connection, lead_id).crashes == 0


def test_leases_of_a_dead_process_are_cleared_and_counted(connection: Connection) -> None:
    lead_id = keep(connection)
    untouched = keep(connection, received_at=NOW + MINUTE)
    must_claim(connection)
    clear_leases(connection)
    assert must_claim(connection).lead_id == lead_id
    assert row_of(connection, lead_id).crashes == 1
    assert row_of(connection, untouched).leased_until is None


def in_order(connection: Connection, *, now: datetime = NOW, **changes: Any) -> Claim | None:
    values: dict[str, Any] = {
        "steps_back": lambda _: False,
        "settle": MINUTE,
        "now": now,
        "leased_until": now + LEASE,
    }
    return claim_in_order(connection, **values | changes)


def test_a_suspect_goes_first_and_to_nobody_who_has_others(connection: Connection) -> None:
    keep(connection, received_at=NOW - MINUTE)
    suspect = keep(connection)
    connection.execute(update(outbox).where(outbox.c.lead_id == suspect).values(crashes=1))
    assert in_order(connection, alone=False) is None
    claimed = in_order(connection)
    assert claimed is not None
    assert claimed.lead_id == suspect


@pytest.mark.parametrize("alone", [True, False])
def test_a_suspect_that_may_not_go_holds_up_nobody(connection: Connection, *, alone: bool) -> None:
    suspect = keep(connection, customer_id="M1")
    connection.execute(update(outbox).where(outbox.c.lead_id == suspect).values(crashes=1))
    close_gate(
        connection,
        GATE,
        must_claim(connection),
        status=403,
        probe_at=NOW + 9 * LEASE,
        credential="",
        now=NOW,
    )
    clear_leases(connection)
    other = keep(connection, customer_id="M2")
    claimed = in_order(connection, alone=alone)
    assert claimed is not None
    assert claimed.lead_id == other
    assert in_order(connection, alone=alone) is None


@pytest.mark.parametrize("outcome", ["open", "unknown"])
def test_a_claim_knows_of_a_create_that_may_have_been_taken(connection: Connection, outcome: str) -> None:
    lead_id = keep(connection)
    claimed = must_claim(connection)
    number = begin(connection, claimed)
    if outcome == "unknown":
        conclude(connection, claimed, TryLater(at=NOW), attempt=end(number, "unknown"))
    again = must_claim(connection, now=NOW + LEASE)
    assert (again.lead_id, again.has_open_create, again.payload_version) == (lead_id, True, 1)


@pytest.mark.parametrize("outcome", ["not_sent", "not_taken", "refused", "gate", "not_created"])
def test_a_create_that_was_not_taken_is_forgotten(connection: Connection, outcome: str) -> None:
    keep(connection)
    claimed = must_claim(connection)
    conclude(connection, claimed, TryLater(at=NOW), attempt=end(begin(connection, claimed), outcome))
    assert not must_claim(connection).has_open_create


@pytest.mark.parametrize(
    "person",
    [{"email_key": "e"}, {"email_key": None, "phone_key": "p"}, {"email_key": "e", "phone_key": "p"}],
)
def test_one_persons_leads_go_one_at_a_time(connection: Connection, person: dict[str, Any]) -> None:
    first = keep(connection, **person)
    second = keep(connection, **person)
    stranger = keep(connection, phone_key="other")
    claimed = must_claim(connection)
    assert claimed.lead_id == first
    assert must_claim(connection).lead_id == stranger
    assert claim(connection) is None
    conclude(connection, claimed, Delivered(vitec_lead_id="L1"))
    assert must_claim(connection).lead_id == second


def test_half_the_same_person_waits_too(connection: Connection) -> None:
    keep(connection, email_key="e", phone_key="p")
    must_claim(connection)
    keep(connection, email_key="other", phone_key="p")
    keep(connection, email_key="e", phone_key=None)
    assert claim(connection) is None


def test_a_person_is_another_at_another_customer(connection: Connection) -> None:
    keep(connection, email_key="e")
    keep(connection, email_key="e", customer_id="M2")
    assert must_claim(connection).lead_id != must_claim(connection).lead_id


def test_people_without_addresses_do_not_wait_for_each_other(connection: Connection) -> None:
    for _ in range(2):
        keep(connection, email_key=None, phone_key=None)
    assert must_claim(connection).lead_id != must_claim(connection).lead_id


def test_an_expired_lease_keeps_nobody_waiting(connection: Connection) -> None:
    keep(connection, email_key="e")
    must_claim(connection)
    keep(connection, email_key="e")
    assert must_claim(connection, now=NOW + LEASE) is not None


# Payloads


def test_a_payload_is_frozen_to_the_byte(connection: Connection) -> None:
    lead_id = keep(connection)
    claimed = must_claim(connection)
    frozen, _ = freeze_payload(
        connection, claimed, PAYLOAD, account=ACCOUNT, notes=[Note(code="name_cut", detail="30")], now=NOW
    )
    assert frozen.version == 1
    assert load_payload(connection, lead_id, version=1) == frozen
    assert frozen.contact == PAYLOAD.contact
    assert must_claim(connection, now=NOW + LEASE).payload_version == 1
    assert kinds(connection, lead_id) == ["received", "frozen", "adapted"]


def test_a_payload_frozen_anew_is_the_next_version(connection: Connection) -> None:
    lead_id = keep(connection)
    claimed = must_claim(connection)
    versions = [
        freeze_payload(connection, claimed, PAYLOAD, account=ACCOUNT, notes=(), now=NOW)[0].version
        for _ in range(3)
    ]
    assert versions == [1, 2, 3]
    assert row_of(connection, lead_id).payload_version == 3
    assert load_payload(connection, lead_id, version=2).version == 2


def test_a_stale_worker_freezes_nothing(connection: Connection) -> None:
    lead_id = keep(connection)
    stale = must_claim(connection)
    must_claim(connection, now=NOW + LEASE)
    with pytest.raises(LeaseLost), connection.begin_nested():
        freeze_payload(connection, stale, PAYLOAD, account=ACCOUNT, notes=[Note(code="name_cut")], now=NOW)
    assert row_of(connection, lead_id).payload_version is None
    assert kinds(connection, lead_id) == ["received"]


# Attempts


def test_an_attempt_is_written_before_it_is_made_and_settled_after(connection: Connection) -> None:
    keep(connection)
    claimed = must_claim(connection)
    freeze_payload(connection, claimed, PAYLOAD, account=ACCOUNT, notes=(), now=NOW)
    number = start_attempt(
        connection,
        claimed,
        kind="create",
        payload_version=1,
        now=NOW,
        deadline_at=NOW + 30 * SECOND,
        snapshot=["L1", "L2"],
    )
    row = attempt_of(connection, number)
    assert (row.outcome, row.fence, row.snapshot, row.finished_at) == ("open", 1, ["L1", "L2"], None)
    finish_attempt(connection, number, outcome="refused", now=NOW + SECOND, status=400, detail="no")
    row = attempt_of(connection, number)
    assert (row.outcome, row.status, row.detail, row.finished_at) == ("refused", 400, "no", NOW + SECOND)


def test_a_snapshot_that_could_not_be_read_is_not_an_empty_one(connection: Connection) -> None:
    keep(connection)
    claimed = must_claim(connection)
    number = begin(connection, claimed)
    assert attempt_of(connection, number).snapshot is None
    finish_attempt(connection, number, outcome="not_sent", now=NOW)
    empty = start_attempt(
        connection, claimed, kind="create", payload_version=1, now=NOW, deadline_at=NOW, snapshot=()
    )
    assert attempt_of(connection, empty).snapshot == []


def test_a_second_create_is_refused_and_harms_nothing(connection: Connection) -> None:
    keep(connection)
    claimed = must_claim(connection)
    number = begin(connection, claimed)
    with pytest.raises(CreateUnresolved):
        begin(connection, claimed)
    assert attempt_of(connection, number).outcome == "open"
    assert len(connection.execute(select(attempts)).all()) == 1


@pytest.mark.parametrize("kind", ["contact", "create", "reconcile"])
def test_a_stale_worker_begins_nothing(connection: Connection, kind: str) -> None:
    keep(connection)
    stale = must_claim(connection)
    freeze_payload(connection, stale, PAYLOAD, account=ACCOUNT, notes=(), now=NOW)
    must_claim(connection, now=NOW + LEASE)
    with pytest.raises(LeaseLost):
        begin(connection, stale, kind)
    assert connection.execute(select(attempts)).all() == []


def test_a_late_worker_still_holds_what_nobody_has_claimed(connection: Connection) -> None:
    lead_id = keep(connection)
    claimed = must_claim(connection)
    assert conclude(connection, claimed, Hold(reason="refused"), now=NOW + 9 * LEASE)
    assert row_of(connection, lead_id).state == "held"


@pytest.mark.parametrize("concluded", ["unknown", "not_created"])
def test_that_vitec_took_it_outweighs_what_was_concluded(connection: Connection, concluded: str) -> None:
    keep(connection)
    claimed = must_claim(connection)
    number = begin(connection, claimed)
    finish_attempt(connection, number, outcome=concluded, now=NOW)
    finish_attempt(connection, number, outcome="done", now=NOW + SECOND, status=200, vitec_id="L1")
    row = attempt_of(connection, number)
    assert (row.outcome, row.status, row.vitec_id) == ("done", 200, "L1")
    finish_attempt(connection, number, outcome="unknown", now=NOW + MINUTE)
    assert attempt_of(connection, number).outcome == "done"


def test_an_outcome_is_recorded_once(connection: Connection) -> None:
    keep(connection)
    number = begin(connection, must_claim(connection))
    finish_attempt(connection, number, outcome="refused", now=NOW, status=400)
    finish_attempt(connection, number, outcome="not_sent", now=NOW + SECOND)
    assert attempt_of(connection, number).outcome == "refused"


# Facts and decisions


def deliver(connection: Connection, claimed: Claim, number: int, vitec_id: str = "L1", **rest: Any) -> bool:
    return conclude(
        connection,
        claimed,
        Delivered(vitec_lead_id=vitec_id),
        attempt=end(number, "done", status=200, vitec_id=vitec_id),
        **rest,
    )


def test_a_delivered_lead_knows_its_id(connection: Connection) -> None:
    lead_id = keep(connection)
    claimed = must_claim(connection)
    assert deliver(connection, claimed, begin(connection, claimed), now=NOW + SECOND)
    row = row_of(connection, lead_id)
    assert (row.state, row.vitec_lead_id, row.delivered_at) == ("delivered", "L1", NOW + SECOND)
    assert (row.leased_until, row.reason) == (None, None)


@pytest.mark.parametrize("meanwhile", ["claimed", "held", "discarded", "pending"])
def test_a_delivery_is_recorded_whatever_was_decided_meanwhile(
    connection: Connection, meanwhile: str
) -> None:
    lead_id = keep(connection)
    stale = must_claim(connection)
    number = begin(connection, stale)
    newer = must_claim(connection, now=NOW + LEASE)
    if meanwhile == "held":
        conclude(connection, newer, Hold(reason="may exist"), attempt=end(number, "unknown"))
    elif meanwhile == "pending":
        conclude(connection, newer, TryLater(at=NOW), attempt=end(number, "not_created"))
    elif meanwhile == "discarded":
        connection.execute(update(outbox).values(state="discarded", reason="r", leased_until=None))
    assert deliver(connection, stale, number)
    row = row_of(connection, lead_id)
    assert (row.state, row.vitec_lead_id, row.reason) == ("delivered", "L1", None)
    assert attempt_of(connection, number).outcome == "done"
    assert claim(connection, now=NOW + 99 * LEASE) is None


@pytest.mark.parametrize("decision", [Hold(reason="late"), TryLater(at=NOW), Delivered(vitec_lead_id="L1")])
def test_nothing_leaves_delivered(connection: Connection, decision: Decision) -> None:
    lead_id = keep(connection)
    claimed = must_claim(connection)
    deliver(connection, claimed, begin(connection, claimed))
    before = row_of(connection, lead_id)
    conclude(connection, claimed, decision, now=NOW + MINUTE)
    assert row_of(connection, lead_id) == before


def test_a_second_id_from_vitec_stands_in_the_history(connection: Connection) -> None:
    """What was taken for not created was created after all: the first id stays, and nothing crashes."""
    lead_id = keep(connection)
    stale = must_claim(connection)
    first = begin(connection, stale)
    newer = must_claim(connection, now=NOW + LEASE)
    finish_attempt(connection, first, outcome="not_created", now=NOW)
    deliver(connection, newer, begin(connection, newer), vitec_id="L2")
    assert deliver(connection, stale, first, vitec_id="L1")
    assert row_of(connection, lead_id).vitec_lead_id == "L2"
    assert attempt_of(connection, first).outcome == "not_created"
    (suspected,) = [one for one in load_history(connection, lead_id) if one["kind"] == "duplicate_suspected"]
    assert suspected["vitecId"] == "L1"


def test_a_decision_with_a_stale_fence_changes_nothing(connection: Connection) -> None:
    lead_id = keep(connection)
    stale = must_claim(connection)
    number = begin(connection, stale)
    must_claim(connection, now=NOW + LEASE)
    before = row_of(connection, lead_id)
    for decision in (
        Hold(reason="late"),
        TryLater(at=NOW),
        CloseGate(key=GATE, status=401, probe_at=NOW, credential="c"),
    ):
        assert not conclude(connection, stale, decision)
    assert row_of(connection, lead_id) == before
    assert "held" not in kinds(connection, lead_id)
    assert list_gates(connection)  # that Vitec refuses the login is a fact
    assert attempt_of(connection, number).outcome == "open"


def test_a_stale_worker_still_records_what_vitec_said(connection: Connection) -> None:
    keep(connection)
    stale = must_claim(connection)
    number = begin(connection, stale)
    must_claim(connection, now=NOW + LEASE)
    assert not conclude(
        connection, stale, Hold(reason="refused"), attempt=end(number, "refused", status=400, detail="no")
    )
    assert attempt_of(connection, number).outcome == "refused"


def test_a_contact_is_kept_even_by_a_stale_worker(connection: Connection) -> None:
    lead_id = keep(connection)
    stale = must_claim(connection)
    number = begin(connection, stale, "contact")
    must_claim(connection, now=NOW + LEASE)
    assert conclude(
        connection, stale, ContactFound(contact_id="C1"), attempt=end(number, "done", vitec_id="C1")
    )
    assert row_of(connection, lead_id).contact_id == "C1"
    assert row_of(connection, lead_id).leased_until == NOW + 2 * LEASE


def test_the_contact_of_an_earlier_payload_is_not_the_present_ones(connection: Connection) -> None:
    lead_id = keep(connection)
    stale = must_claim(connection)
    number = begin(connection, stale, "contact")
    newer = must_claim(connection, now=NOW + LEASE)
    freeze_payload(connection, newer, PAYLOAD, account=ACCOUNT, notes=(), now=NOW)
    conclude(connection, stale, ContactFound(contact_id="C1"), attempt=end(number, "done", vitec_id="C1"))
    assert row_of(connection, lead_id).contact_id is None
    assert attempt_of(connection, number).vitec_id == "C1"


def test_trying_later_pays_a_try_unless_told_not_to(connection: Connection) -> None:
    lead_id = keep(connection)
    assert conclude(connection, must_claim(connection), TryLater(at=NOW + MINUTE))
    row = row_of(connection, lead_id)
    assert (row.tries, row.next_attempt_at, row.leased_until) == (1, NOW + MINUTE, None)
    assert claim(connection, now=NOW + MINUTE - SECOND) is None
    again = must_claim(connection, now=NOW + MINUTE)
    assert again.tries == 1
    conclude(connection, again, TryLater(at=NOW, spend_try=False))
    assert row_of(connection, lead_id).tries == 1


def test_a_held_lead_says_why(connection: Connection) -> None:
    lead_id = keep(connection)
    assert conclude(
        connection, must_claim(connection), Hold(reason="refused by Vitec"), notes=(Note(code="name_cut"),)
    )
    row = row_of(connection, lead_id)
    assert (row.state, row.reason, row.leased_until) == ("held", "refused by Vitec", None)
    history = load_history(connection, lead_id)
    assert [one["kind"] for one in history] == ["received", "adapted", "held"]
    assert history[-1]["reason"] == "refused by Vitec"


# Gates


def close(
    connection: Connection, claimed: Claim, *, probe_at: Any, key: GateKey = GATE, now: Any = NOW
) -> bool:
    return conclude(
        connection, claimed, CloseGate(key=key, status=401, probe_at=probe_at, credential="c"), now=now
    )


def test_a_closed_gate_keeps_only_its_own_customer_and_login_waiting(connection: Connection) -> None:
    lead_id = keep(connection)
    assert close(connection, must_claim(connection), probe_at=NOW + MINUTE)
    row = row_of(connection, lead_id)
    assert (row.state, row.tries, row.crashes, row.leased_until) == ("pending", 0, 0, None)
    keep(connection)
    other_customer = keep(connection, customer_id="M2")
    other_login = keep(connection, login="second")
    assert {must_claim(connection).lead_id for _ in range(2)} == {other_customer, other_login}
    assert claim(connection, now=NOW + MINUTE - SECOND) is None


def test_a_due_probe_lets_one_lead_through(connection: Connection) -> None:
    ids = {keep(connection) for _ in range(3)}
    close(connection, must_claim(connection), probe_at=NOW + MINUTE)
    probe = must_claim(connection, now=NOW + MINUTE)
    assert probe.lead_id in ids
    assert claim(connection, now=NOW + MINUTE) is None
    number = begin(connection, probe, now=NOW + MINUTE)
    deliver(connection, probe, number, opens=GATE, now=NOW + MINUTE)
    assert list_gates(connection) == []
    assert {must_claim(connection, now=NOW + MINUTE).lead_id for _ in range(2)} == ids - {probe.lead_id}
    assert "gate_opened" in kinds(connection, probe.lead_id)


def test_a_probe_that_dies_gives_way_to_the_next(connection: Connection) -> None:
    keep(connection)
    close(connection, must_claim(connection), probe_at=NOW + MINUTE)
    must_claim(connection, now=NOW + MINUTE)
    assert claim(connection, now=NOW + MINUTE + LEASE - SECOND) is None
    assert claim(connection, now=NOW + MINUTE + LEASE) is not None


def test_probes_in_vain_are_counted(connection: Connection) -> None:
    keep(connection)
    assert count_probes(connection, GATE) == 0
    close(connection, must_claim(connection), probe_at=NOW + MINUTE)
    assert count_probes(connection, GATE) == 1
    later = NOW + MINUTE
    for probes in (1, 2):
        probe = must_claim(connection, now=later)
        close(connection, probe, probe_at=later + LEASE + MINUTE, now=later)
        (gate,) = list_gates(connection)
        assert (gate.probes, gate.probe_at, gate.closed_at) == (probes, later + LEASE + MINUTE, NOW)
        assert count_probes(connection, GATE) == probes + 1
        later = gate.probe_at


def test_what_was_under_way_when_a_gate_closed_is_no_probe(connection: Connection) -> None:
    """Five leads refused at once are one refusal: the gate is probed in five minutes, not tomorrow."""
    for _ in range(5):
        keep(connection)
    claims = [must_claim(connection) for _ in range(5)]
    close(connection, claims[0], probe_at=NOW + MINUTE)
    for claimed in claims[1:]:
        assert close(connection, claimed, probe_at=NOW + timedelta(days=1))
    (gate,) = list_gates(connection)
    assert (gate.probes, gate.probe_at) == (0, NOW + MINUTE)
    assert claim(connection) is None


def test_a_turn_that_ends_at_a_gate_has_ended_cleanly(connection: Connection) -> None:
    lead_id = keep(connection)
    must_claim(connection)
    close(connection, must_claim(connection, now=NOW + LEASE), probe_at=NOW + 9 * MINUTE, now=NOW + LEASE)
    assert row_of(connection, lead_id).crashes == 0


def test_a_lead_waits_at_the_gate_it_met(connection: Connection) -> None:
    """The configuration may have changed since it was accepted; it must not knock again at once."""
    lead_id = keep(connection, login="former", customer_id="M0")
    close(connection, must_claim(connection), probe_at=NOW + MINUTE)
    assert claim(connection, now=NOW + SECOND) is None
    row = row_of(connection, lead_id)
    assert (row.login, row.customer_id) == (GATE.login, GATE.customer_id)
    assert must_claim(connection, now=NOW + MINUTE).lead_id == lead_id


def test_a_lead_is_filed_under_the_account_it_goes_by(connection: Connection) -> None:
    lead_id = keep(connection, login="former", customer_id="M0")
    assert conclude(connection, must_claim(connection), Refile(account=ACCOUNT))
    row = row_of(connection, lead_id)
    assert (row.login, row.customer_id, row.tries, row.next_attempt_at) == ("default", "M1", 0, NOW)
    assert must_claim(connection).account == ACCOUNT


def test_a_login_that_is_let_in_leaves_no_gate_of_a_former_address(connection: Connection) -> None:
    keep(connection)
    former = GateKey(
        base_url="https://former.test", login="default", customer_id="M1", call_group=CallGroup.CREATE
    )
    close(connection, must_claim(connection), probe_at=NOW, key=former)
    probe = must_claim(connection)
    deliver(connection, probe, begin(connection, probe), opens=GATE)
    assert list_gates(connection) == []


def test_each_group_of_calls_has_its_gate(connection: Connection) -> None:
    keep(connection)
    claimed = must_claim(connection)
    contact = GateKey(base_url=GATE.base_url, login="default", customer_id="M1", call_group=CallGroup.CONTACT)
    close(connection, claimed, probe_at=NOW + MINUTE)
    close(connection, claimed, probe_at=NOW + 2 * MINUTE, key=contact)
    assert [gate.key.call_group for gate in list_gates(connection)] == ["contact", "create"]
    assert claim(connection, now=NOW + MINUTE) is None  # one of the two is not due
    probe = must_claim(connection, now=NOW + 2 * MINUTE)
    conclude(connection, probe, TryLater(at=NOW), opens=contact)
    assert [gate.key for gate in list_gates(connection)] == [GATE]


def test_a_closed_read_gate_keeps_no_lead_from_being_sent(connection: Connection) -> None:
    keep(connection)
    keep(connection)
    reading = GateKey(base_url=GATE.base_url, login="default", customer_id="M1", call_group=CallGroup.READ)
    close(connection, must_claim(connection), probe_at=NOW + MINUTE, key=reading)
    assert claim(connection) is not None
    (gate,) = list_gates(connection)
    assert gate.probe_at == NOW + MINUTE  # who came through was not its probe


def look_for(connection: Connection, *, contact_id: str | None = "K1") -> str:
    """The id of a lead whose create may have been taken."""
    lead_id = keep(connection)
    claimed = must_claim(connection)
    conclude(connection, claimed, TryLater(at=NOW), attempt=end(begin(connection, claimed), "unknown"))
    connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(contact_id=contact_id))
    return lead_id


@pytest.mark.parametrize("call_group", [CallGroup.CONTACT, CallGroup.CREATE])
def test_what_may_have_been_taken_needs_no_gate_but_the_one_for_reading(
    connection: Connection, call_group: CallGroup
) -> None:
    lead_id = look_for(connection)
    other = keep(connection, received_at=NOW - MINUTE)
    gate = replace(GATE, call_group=call_group)
    close(connection, must_claim(connection), probe_at=NOW + MINUTE, key=gate)
    looked_for = must_claim(connection)
    assert (looked_for.lead_id, looked_for.has_open_create) == (lead_id, True)
    assert claim(connection) is None
    conclude(connection, looked_for, TryLater(at=NOW))
    again, probe = (must_claim(connection, now=NOW + MINUTE) for _ in range(2))
    assert (again.lead_id, probe.lead_id) == (lead_id, other)
    (closed,) = list_gates(connection)  # who only looks takes nobody's probe
    assert closed.probe_at == probe.leased_until
    close(connection, probe, probe_at=NOW + 9 * MINUTE, key=gate)
    (closed,) = list_gates(connection)
    assert closed.probes == 1


@pytest.mark.parametrize("suspects", [True, False, None])
def test_who_must_find_the_contact_first_waits_at_its_gate(
    connection: Connection, *, suspects: bool | None
) -> None:
    lead_id = look_for(connection, contact_id=None)
    contact = replace(GATE, call_group=CallGroup.CONTACT)
    close(connection, must_claim(connection), probe_at=NOW + MINUTE, key=contact)
    connection.execute(update(outbox).values(crashes=int(bool(suspects))))
    for wanted in (lead_id, None):
        selection = Selection(suspects=suspects, lead_id=wanted)
        assert claim_next(connection, now=NOW, leased_until=NOW + LEASE, selection=selection) is None
    probe = must_claim(connection, now=NOW + MINUTE)
    close(connection, probe, probe_at=NOW + 9 * MINUTE, key=contact)
    (closed,) = list_gates(connection)
    assert (closed.probes, closed.probe_at) == (1, NOW + 9 * MINUTE)


def test_who_only_finds_the_contact_takes_no_probe_of_creates(connection: Connection) -> None:
    look_for(connection, contact_id=None)
    close(connection, must_claim(connection), probe_at=NOW)
    must_claim(connection)
    (closed,) = list_gates(connection)
    assert closed.probe_at == NOW


@pytest.mark.parametrize("suspects", [True, None])
def test_what_is_looked_for_behind_a_closed_gate_is_found_however_it_is_asked_for(
    connection: Connection, *, suspects: bool | None
) -> None:
    lead_id = look_for(connection)
    other = keep(connection, received_at=NOW - MINUTE)
    close(connection, must_claim(connection), probe_at=NOW + MINUTE)
    connection.execute(update(outbox).values(crashes=1))

    def take(wanted: str) -> Claim | None:
        selection = Selection(suspects=suspects, lead_id=None if suspects else wanted)
        return claim_next(connection, now=NOW, leased_until=NOW + LEASE, selection=selection)

    found = take(lead_id)
    assert found is not None
    assert found.lead_id == lead_id
    assert take(other) is None


def test_an_operator_has_every_gate_probed_at_once(connection: Connection) -> None:
    assert probe_now(connection, now=NOW, actor="eva") == 0
    keep(connection)
    keep(connection)
    close(connection, must_claim(connection), probe_at=NOW + timedelta(days=1))
    assert claim(connection) is None
    assert probe_now(connection, now=NOW + SECOND, actor="eva") == 1
    assert claim(connection, now=NOW + SECOND) is not None
    assert claim(connection, now=NOW + SECOND) is None


def test_an_open_gate_opens_without_a_word(connection: Connection) -> None:
    lead_id = keep(connection)
    conclude(connection, must_claim(connection), TryLater(at=NOW), opens=GATE)
    assert kinds(connection, lead_id) == ["received"]


def test_a_history_is_in_the_order_of_time(connection: Connection) -> None:
    lead_id = keep(connection, email_key="e")
    follower = keep(connection, email_key="e", received_at=NOW + SECOND)
    claimed = must_claim(connection)
    contact = begin(connection, claimed, "contact", now=NOW + SECOND)
    conclude(
        connection,
        claimed,
        ContactFound(contact_id="C1"),
        attempt=end(contact, "done", status=200, vitec_id="C1"),
        now=NOW + 2 * SECOND,
    )
    create = begin(connection, claimed, now=NOW + 3 * SECOND)
    connection.execute(
        insert(events).values(
            lead_id=lead_id, at=NOW + 4 * SECOND, kind="noted", detail={"a": 1}, actor="Eva"
        )
    )
    deliver(connection, claimed, create, now=NOW + 5 * SECOND)
    assert load_history(connection, lead_id) == [
        {"at": NOW, "kind": "received"},
        {"at": NOW + SECOND, "kind": "frozen", "version": 1},
        {
            "at": NOW + SECOND,
            "kind": "attempt_contact",
            "outcome": "done",
            "status": 200,
            "finishedAt": NOW + 2 * SECOND,
            "vitecId": "C1",
        },
        {
            "at": NOW + 3 * SECOND,
            "kind": "attempt_create",
            "outcome": "done",
            "status": 200,
            "finishedAt": NOW + 5 * SECOND,
            "vitecId": "L1",
        },
        {"at": NOW + 4 * SECOND, "kind": "noted", "actor": "Eva", "a": 1},
    ]
    (received,) = load_history(connection, follower)
    assert "follows" in received
