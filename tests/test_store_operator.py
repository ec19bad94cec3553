"""What a person decides about a lead, and how leads are found and read back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, update

from app.errors import LeadNotFound, OperatorError
from app.identity import write_reference
from app.lead import (
    Account,
    Answer,
    Consent,
    Contact,
    Enquiry,
    Lead,
    LeadState,
    Marketing,
    Note,
    Notice,
    UtmTag,
)
from app.store.erasure import erase_lead
from app.store.history import load_history
from app.store.leads import (
    find_lead_id,
    find_oldest_undelivered,
    find_status,
    list_statuses,
    load_lead,
    write_body,
)
from app.store.operator import discard_lead, mark_restored, release_lead, retry_lead
from app.store.outbox import LeaseLost, finish_attempt, freeze_payload
from app.store.reconciling import has_unresolved
from app.store.schema import leads, outbox
from app.store.settling import Delivered, Hold, Settlement, settle
from app.store.standing import load_standing
from tests.stores import ACCOUNT, LEASE, NOW, PAYLOAD, SECOND, begin, claim, keep, must_claim, row_of

pytest_plugins = ["tests.store_fixtures"]

HOUR = timedelta(hours=1)
LATER = NOW + HOUR


def discard_as_test(connection: Connection, lead_id: str, **rest: Any) -> None:
    discard_lead(connection, lead_id, reason="a test", **rest)


COMMANDS: dict[str, Callable[..., None]] = {
    "retried": retry_lead,
    "released": release_lead,
    "discarded": discard_as_test,
}
ALLOWED = {
    "retried": {"held", "pending"},
    "released": {"quarantined"},
    "discarded": {"held", "pending", "quarantined"},
}


def put(connection: Connection, state: str) -> str:
    lead_id = keep(connection)
    values: dict[str, Any] = {"reason": "r"} if state not in {"pending", "delivered"} else {}
    if state == "delivered":
        values = {"vitec_lead_id": "L1", "delivered_at": NOW}
    connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(state=state, **values))
    return lead_id


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("state", [state.value for state in LeadState])
def test_each_command_has_its_states(connection: Connection, verb: str, state: str) -> None:
    lead_id = put(connection, state)
    before = row_of(connection, lead_id)
    if state in ALLOWED[verb]:
        COMMANDS[verb](connection, lead_id, now=LATER, actor="Eva")
        assert row_of(connection, lead_id).state == ("discarded" if verb == "discarded" else "pending")
        assert load_history(connection, lead_id)[-1]["kind"] == verb
        assert load_history(connection, lead_id)[-1]["actor"] == "Eva"
    else:
        with pytest.raises(OperatorError, match=f"is {state} and cannot be {verb}"):
            COMMANDS[verb](connection, lead_id, now=LATER, actor="Eva")
        assert row_of(connection, lead_id) == before
        assert len(load_history(connection, lead_id)) == 1


@pytest.mark.parametrize("verb", ["retried", "discarded"])
def test_what_is_being_delivered_is_left_to_its_worker(connection: Connection, verb: str) -> None:
    lead_id = keep(connection)
    must_claim(connection)
    with pytest.raises(OperatorError, match="is being delivered at this moment"):
        COMMANDS[verb](connection, lead_id, now=NOW + LEASE - SECOND, actor="Eva")
    COMMANDS[verb](connection, lead_id, now=NOW + LEASE, actor="Eva")


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_lead_that_is_not_there_is_not_found(connection: Connection, verb: str) -> None:
    with pytest.raises(LeadNotFound):
        COMMANDS[verb](connection, "nobody", now=NOW, actor="Eva")


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_nothing_is_discarded_without_a_reason(connection: Connection, reason: str) -> None:
    lead_id = keep(connection)
    with pytest.raises(OperatorError, match="--reason"):
        discard_lead(connection, lead_id, reason=reason, now=NOW, actor="Eva")
    discard_lead(connection, lead_id, reason=" sold already ", now=NOW, actor="Eva")
    assert row_of(connection, lead_id).reason == "sold already"
    assert load_history(connection, lead_id)[-1]["reason"] == "sold already"


def held_after(connection: Connection, outcome: str) -> str:
    lead_id = keep(connection)
    claimed = must_claim(connection)
    number = begin(connection, claimed)
    connection.execute(update(outbox).values(contact_id="C1", tries=7))
    if outcome != "open":
        finish_attempt(connection, number, outcome=outcome, now=NOW)
    settle(connection, claimed, Settlement(decision=Hold(reason="r")), now=NOW)
    return lead_id


def test_a_retried_lead_is_due_at_once_and_starts_its_schedule_anew(connection: Connection) -> None:
    lead_id = held_after(connection, "refused")
    retry_lead(connection, lead_id, now=LATER, actor="Eva")
    row = row_of(connection, lead_id)
    assert (row.next_attempt_at, row.tries, row.crashes, row.reason) == (LATER, 0, 0, None)
    assert (row.state_at, row.leased_until) == (LATER, None)
    assert must_claim(connection, now=LATER).payload_version is None  # mapped anew


def test_a_contact_stands_while_it_is_the_same_person_at_the_same_customer(connection: Connection) -> None:
    lead_id = held_after(connection, "refused")
    retry_lead(connection, lead_id, now=LATER, actor="Eva")
    claimed = must_claim(connection, now=LATER)
    freeze_payload(connection, claimed, PAYLOAD, account=ACCOUNT, notes=(), now=LATER)
    assert row_of(connection, lead_id).contact_id == "C1"
    other = replace(PAYLOAD, contact=b'{"customerId":"M1","firstName":"Eva"}')
    freeze_payload(connection, claimed, other, account=ACCOUNT, notes=(), now=LATER)
    assert row_of(connection, lead_id).contact_id is None


def test_a_contact_of_one_customer_is_none_of_anothers(connection: Connection) -> None:
    lead_id = held_after(connection, "refused")
    retry_lead(connection, lead_id, locate=lambda _: ELSEWHERE, now=LATER, actor="Eva")
    assert row_of(connection, lead_id).contact_id is None


@pytest.mark.parametrize(("verb", "state"), [("retried", "held"), ("released", "quarantined")])
def test_nobodys_hurry_shortens_the_wait_after_a_restore(
    connection: Connection, verb: str, state: str
) -> None:
    lead_id = put(connection, state)
    mark_restored(connection, first_look_at=LATER + HOUR, now=LATER, actor="Eva")
    COMMANDS[verb](connection, lead_id, now=LATER, actor="Eva")
    assert row_of(connection, lead_id).next_attempt_at == LATER + HOUR
    assert must_claim(connection, now=LATER + HOUR).may_be_forgotten


@pytest.mark.parametrize("outcome", ["open", "unknown"])
def test_what_may_exist_in_vitec_keeps_its_payload(connection: Connection, outcome: str) -> None:
    lead_id = held_after(connection, outcome)
    retry_lead(connection, lead_id, now=LATER, actor="Eva")
    again = must_claim(connection, now=LATER)
    assert (again.payload_version, again.contact_id, again.has_open_create) == (1, "C1", True)


def test_what_is_discarded_is_looked_for_no_more(connection: Connection) -> None:
    lead_id = held_after(connection, "unknown")
    assert has_unresolved(connection)
    assert load_standing(connection).unresolved == 1
    discard_lead(connection, lead_id, reason="it is there", now=LATER, actor="Eva")
    assert not has_unresolved(connection)
    assert load_standing(connection).unresolved == 0
    remains = erase_lead(connection, lead_id, now=LATER, actor="Eva")
    assert [one.may_have_more for one in remains.in_vitec] == [True]


ELSEWHERE = Account(login="other", customer_id="M2")


@pytest.mark.parametrize(
    ("verb", "state"), [("retried", "held"), ("retried", "pending"), ("released", "quarantined")]
)
def test_a_lead_that_is_sent_after_all_waits_where_it_goes_by_now(
    connection: Connection, verb: str, state: str
) -> None:
    lead_id = put(connection, state)
    asked = []

    def locate(lead: Lead) -> Account:
        asked.append(lead.id)
        return ELSEWHERE

    COMMANDS[verb](connection, lead_id, locate=locate, now=LATER, actor="Eva")
    row = row_of(connection, lead_id)
    assert (row.login, row.customer_id) == ("other", "M2")
    assert asked == [lead_id]


def test_what_may_exist_in_vitec_waits_where_it_was_sent(connection: Connection) -> None:
    lead_id = held_after(connection, "unknown")
    retry_lead(connection, lead_id, locate=lambda _: ELSEWHERE, now=LATER, actor="Eva")
    assert row_of(connection, lead_id).customer_id == "M1"


def test_what_cannot_be_read_stays_where_it_is(connection: Connection) -> None:
    lead_id = keep(connection, body="hemligt")
    retry_lead(connection, lead_id, locate=lambda _: ELSEWHERE, now=LATER, actor="Eva")
    assert row_of(connection, lead_id).customer_id == "M1"


def test_retrying_a_pending_lead_only_hurries_it(connection: Connection) -> None:
    lead_id = keep(connection)
    connection.execute(update(outbox).values(next_attempt_at=LATER + timedelta(days=1)))
    retry_lead(connection, lead_id, now=LATER, actor="Eva")
    assert row_of(connection, lead_id).state_at == NOW
    assert must_claim(connection, now=LATER).lead_id == lead_id


def test_an_operators_retry_takes_the_word_from_a_worker_that_sleeps(connection: Connection) -> None:
    lead_id = keep(connection)
    sleeper = must_claim(connection)
    retry_lead(connection, lead_id, now=NOW + LEASE, actor="Eva")
    assert not settle(connection, sleeper, Settlement(decision=Hold(reason="late")), now=LATER)
    with pytest.raises(LeaseLost):
        begin(connection, sleeper)
    assert row_of(connection, lead_id).state == "pending"


def test_a_discarded_lead_that_vitec_took_is_delivered(connection: Connection) -> None:
    lead_id = keep(connection)
    sleeper = must_claim(connection)
    discard_as_test(connection, lead_id, now=NOW + LEASE, actor="Eva")
    assert claim(connection, now=LATER) is None
    settle(connection, sleeper, Settlement(decision=Delivered(vitec_lead_id="L1")), now=LATER)
    assert row_of(connection, lead_id).state == "delivered"


# Reading


WHOLE = Enquiry(
    language="sv",
    contact=Contact(first_name="Åsa", last_name="Öberg", email="asa@example.se", phone="+46701234567"),
    message="Hej\n\u2028 \N{HOUSE BUILDING}",
    answers=(Answer(name="rooms", label="Rum", value="3"),),
    unreadable_phone="kl 8",
    consents=(Consent(name="news", label="Ja tack", given=False, maps_to="wishAdvertising"),),
    notice=Notice(version="1", text="Vi sparar", language="sv", shown_at=NOW),
    marketing=Marketing(referrer="https://x.se/", utm_tags=(UtmTag(name="utm_source", value="g"),)),
    page_url="https://x.se/a",
    receiver="anna",
    receiver_reason="by postcode",
    notes=(Note(code="page_url_dropped"),),
)


@pytest.mark.parametrize("enquiry", [WHOLE, Enquiry(language="en", contact=Contact())])
def test_a_lead_is_read_back_as_it_was_kept(connection: Connection, enquiry: Enquiry) -> None:
    lead_id = keep(connection, body=write_body(enquiry))
    status = find_status(connection, lead_id)
    assert status is not None
    assert load_lead(connection, lead_id) == Lead(
        id=lead_id,
        reference=status.reference,
        form="kontakt",
        received_at=NOW,
        **{name: getattr(enquiry, name) for name in Enquiry.__slots__},
    )


@pytest.mark.parametrize(
    "body",
    [
        "hemligt",
        "[]",
        '"hemligt"',
        "null",
        '{"version": 2, "enquiry": {}}',
        '{"enquiry": {}}',
        '{"version": 1}',
        '{"version": 1, "enquiry": {"language": {"hemligt": 1}}}',
        '{"version": 1, "enquiry": "hemligt"}',
    ],
)
def test_a_body_that_cannot_be_read_says_so_without_its_words(connection: Connection, body: str) -> None:
    lead_id = keep(connection, body=body)
    with pytest.raises(ValueError, match="cannot be read by this version") as caught:
        load_lead(connection, lead_id)
    assert "hemligt" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_lead_that_was_erased_is_not_found(connection: Connection) -> None:
    lead_id = keep(connection)
    connection.execute(delete(leads))
    assert find_status(connection, lead_id) is None
    with pytest.raises(LeadNotFound):
        load_lead(connection, lead_id)


def test_an_operator_names_a_lead_as_people_do(connection: Connection) -> None:
    lead_id = keep(connection)
    status = find_status(connection, lead_id)
    assert status is not None
    bare = status.reference
    for name in (
        lead_id,
        f" {lead_id.upper()} ",
        bare,
        write_reference(bare),
        bare.lower().replace("0", "o"),
    ):
        assert find_lead_id(connection, name) == lead_id
    for name in ("", "nobody", "0000000000"):
        with pytest.raises(LeadNotFound):
            find_lead_id(connection, name)


def test_leads_are_listed_the_newest_first(connection: Connection) -> None:
    ids = [keep(connection, received_at=NOW + n * SECOND) for n in range(3)]
    other = keep(connection, form="vardering", received_at=NOW + 9 * SECOND)
    held = put(connection, "held")

    def listed(**filters: Any) -> list[str]:
        return [status.lead_id for status in list_statuses(connection, **filters)]

    assert listed() == sorted([*ids, other, held], reverse=True)
    assert listed(limit=2) == listed()[:2]
    assert listed(form="vardering") == [other]
    assert listed(states=[LeadState.HELD]) == [held]
    assert listed(states=[LeadState.HELD, LeadState.PENDING], form="vardering") == [other]


def test_the_oldest_undelivered_is_the_oldest_that_waits(connection: Connection) -> None:
    assert find_oldest_undelivered(connection) is None
    first = keep(connection, received_at=NOW)
    keep(connection, received_at=NOW + SECOND)
    put(connection, "held")
    connection.execute(
        update(outbox).where(outbox.c.lead_id == first).values(next_attempt_at=NOW + timedelta(days=1))
    )
    assert find_oldest_undelivered(connection) == NOW
    connection.execute(
        update(outbox)
        .where(outbox.c.lead_id == first)
        .values(state="delivered", vitec_lead_id="L", delivered_at=NOW)
    )
    assert find_oldest_undelivered(connection) == NOW + SECOND
