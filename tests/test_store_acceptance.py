"""What is the same lead, what is another, and what one row may do to its batch."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, delete, func, select, text, update
from sqlalchemy.exc import OperationalError

from app.errors import IdempotencyConflict, StoreUnavailable
from app.identity import IdentitySource, reference_of
from app.lead import LeadState
from app.store.acceptance import SAME_LEAD_WITHIN, Outcome, accept_all
from app.store.failures import is_full
from app.store.schema import idempotency_keys, leads, outbox
from app.store.store import Store
from app.store.words import Acceptance, NewLead
from tests.databases import only_sqlite
from tests.stores import NOW, SECOND, new_lead

pytest_plugins = ["tests.store_fixtures"]

MOMENT = timedelta(microseconds=1)


def accept(connection: Connection, *news: NewLead) -> list[Acceptance]:
    outcomes = accept_all(connection, news, IdentitySource())
    return [_kept(outcome) for outcome in outcomes]


def _kept(outcome: Outcome) -> Acceptance:
    assert isinstance(outcome, Acceptance)
    return outcome


def count_leads(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(leads)).scalar_one()


def follows(connection: Connection, kept: Acceptance) -> str | None:
    found: str | None = connection.execute(
        select(leads.c.follows).where(leads.c.id == kept.lead_id)
    ).scalar_one()
    return found


class RepeatingIdentities(IdentitySource):
    """Draws the same ids a few times before it thinks of others."""

    def __init__(self, repeated: Sequence[str]) -> None:
        super().__init__()
        self._repeated = list(repeated)

    def new_id(self, now: datetime) -> str:
        return self._repeated.pop(0) if self._repeated else super().new_id(now)


def test_a_lead_is_kept_with_its_place_in_the_outbox(connection: Connection) -> None:
    new = new_lead(idempotency_key="k", email_key="e", phone_key="p")
    (kept,) = accept(connection, new)
    assert not kept.replayed
    assert kept.reference == reference_of(kept.lead_id)
    lead = connection.execute(select(leads)).one()
    assert (lead.id, lead.reference, lead.body, lead.received_at) == (
        kept.lead_id,
        kept.reference,
        new.body,
        NOW,
    )
    place = connection.execute(select(outbox)).one()
    assert (place.state, place.next_attempt_at, place.customer_id, place.login) == (
        "pending",
        NOW,
        "M1",
        "default",
    )
    assert (place.email_key, place.phone_key, place.fence, place.tries, place.crashes) == ("e", "p", 0, 0, 0)


def test_the_same_key_with_the_same_body_is_the_same_lead_however_late(connection: Connection) -> None:
    new = new_lead(idempotency_key="k")
    (first,) = accept(connection, new)
    late = new_lead(
        idempotency_key="k", body_fingerprint=new.body_fingerprint, received_at=NOW + timedelta(days=400)
    )
    (again,) = accept(connection, late)
    assert again.replayed
    assert (again.lead_id, again.reference, again.received_at) == (first.lead_id, first.reference, NOW)
    assert count_leads(connection) == 1


def test_a_replay_tells_the_current_state(connection: Connection) -> None:
    new = new_lead(idempotency_key="k")
    (first,) = accept(connection, new)
    connection.execute(update(outbox).values(state="held", reason="refused"))
    (again,) = accept(connection, new)
    assert (again.lead_id, again.state) == (first.lead_id, LeadState.HELD)


def test_the_same_key_with_another_body_is_a_conflict_and_leaves_the_first_untouched(
    connection: Connection,
) -> None:
    accept(connection, new_lead(idempotency_key="k"))
    before = connection.execute(select(leads)).all()
    (outcome,) = accept_all(connection, [new_lead(idempotency_key="k")], IdentitySource())
    assert isinstance(outcome, IdempotencyConflict)
    assert connection.execute(select(leads)).all() == before


def test_a_key_belongs_to_its_form(connection: Connection) -> None:
    one, other = accept(
        connection,
        new_lead(idempotency_key="k"),
        new_lead(idempotency_key="k", form="vardering"),
    )
    assert one.lead_id != other.lead_id
    assert not other.replayed


def test_a_key_outlives_its_lead(connection: Connection) -> None:
    new = new_lead(idempotency_key="k")
    (first,) = accept(connection, new)
    connection.execute(delete(leads))
    (again,) = accept(connection, new)
    assert again.replayed
    assert (again.lead_id, again.reference) == (first.lead_id, first.reference)
    assert abs(again.received_at - NOW) < SECOND
    assert again.state is LeadState.DISCARDED
    (conflict,) = accept_all(connection, [new_lead(idempotency_key="k")], IdentitySource())
    assert isinstance(conflict, IdempotencyConflict)
    assert count_leads(connection) == 0


def test_equal_keys_in_one_batch_are_one_lead(connection: Connection) -> None:
    new = new_lead(idempotency_key="k", once_in_ten_minutes=False)
    first, second, third = accept_all(connection, [new, new, new_lead(idempotency_key="k")], IdentitySource())
    assert not _kept(first).replayed
    assert _kept(second).replayed
    assert _kept(second).lead_id == _kept(first).lead_id
    assert isinstance(third, IdempotencyConflict)
    assert count_leads(connection) == 1


def test_equal_contents_in_one_batch_are_one_lead(connection: Connection) -> None:
    new = new_lead()
    first, second = accept(connection, new, new)
    assert (first.replayed, second.replayed) == (False, True)
    assert first.lead_id == second.lead_id


@pytest.mark.parametrize("key", ["email_key", "phone_key"])
@pytest.mark.parametrize(
    ("later", "same"),
    [
        (timedelta(), True),
        (SAME_LEAD_WITHIN - MOMENT, True),
        (SAME_LEAD_WITHIN, False),  # ten minutes are over at ten minutes
        (-SECOND, True),  # the clock was put back
    ],
)
def test_equal_content_within_ten_minutes_is_the_same_lead(
    connection: Connection, key: str, later: timedelta, same: bool
) -> None:
    person = {"email_key": None, "phone_key": None, key: "x"}
    (first,) = accept(connection, new_lead(fingerprint="f", **person))
    (second,) = accept(connection, new_lead(fingerprint="f", received_at=NOW + later, **person))
    assert second.replayed is same
    assert (second.lead_id == first.lead_id) is same


def test_the_ten_minutes_survive_a_restart(place: Path | str) -> None:
    new = new_lead()
    kept = []
    for _ in range(2):
        store = Store(place, reserve=0)
        store.open()
        kept.append(asyncio.run(store.accept(new)))
        store.close()
    assert kept[1].lead_id == kept[0].lead_id
    assert kept[1].replayed


def test_a_new_key_may_find_the_same_content(connection: Connection) -> None:
    new = new_lead(idempotency_key="first page")
    again = new_lead(idempotency_key="second page", email_key=new.email_key, fingerprint=new.fingerprint)
    first, second = accept(connection, new, again)
    assert second.lead_id == first.lead_id
    (third,) = accept(connection, again)
    assert third.replayed
    assert connection.execute(select(func.count()).select_from(idempotency_keys)).scalar_one() == 2


def test_a_keyed_lead_can_ask_not_to_be_folded(connection: Connection) -> None:
    new = new_lead(idempotency_key="a", once_in_ten_minutes=False)
    twin = new_lead(
        idempotency_key="b",
        once_in_ten_minutes=False,
        email_key=new.email_key,
        fingerprint=new.fingerprint,
    )
    first, second = accept(connection, new, twin)
    assert first.lead_id != second.lead_id
    assert follows(connection, second) == first.reference


def test_other_content_of_the_same_person_names_the_first(connection: Connection) -> None:
    minute = timedelta(minutes=1)
    (first,) = accept(connection, new_lead(email_key="e"))
    (second,) = accept(connection, new_lead(email_key="e", received_at=NOW + minute))
    (third,) = accept(connection, new_lead(email_key="e", received_at=NOW + 2 * minute))
    (late,) = accept(connection, new_lead(email_key="e", received_at=NOW + SAME_LEAD_WITHIN))
    assert follows(connection, first) is None
    assert follows(connection, second) == first.reference
    assert follows(connection, third) == first.reference
    assert follows(connection, late) == second.reference


@pytest.mark.parametrize(
    ("email_key", "phone_key"), [("e", None), ("e", "other"), (None, "p"), ("other", "p"), ("e", "p")]
)
def test_a_person_is_known_by_either_address(
    connection: Connection, email_key: str | None, phone_key: str | None
) -> None:
    (first,) = accept(connection, new_lead(email_key="e", phone_key="p"))
    (second,) = accept(connection, new_lead(email_key=email_key, phone_key=phone_key))
    assert follows(connection, second) == first.reference


def test_nobody_follows_a_stranger_or_another_form(connection: Connection) -> None:
    accept(connection, new_lead(email_key="e"))
    kept = accept(
        connection,
        new_lead(email_key="other"),
        new_lead(email_key="e", form="vardering"),
        new_lead(email_key=None, phone_key=None),
        new_lead(email_key=None, phone_key=None),
    )
    assert [follows(connection, one) for one in kept] == [None] * 4


def test_people_without_an_address_are_never_the_same(connection: Connection) -> None:
    new = new_lead(email_key=None, phone_key=None)
    first, second = accept(connection, new, new)
    assert first.lead_id != second.lead_id


def test_an_id_that_is_taken_is_drawn_anew_and_is_no_replay(connection: Connection) -> None:
    (first,) = accept(connection, new_lead())
    identities = RepeatingIdentities([first.lead_id] * 3)
    outcomes = accept_all(connection, [new_lead(), new_lead(idempotency_key="k")], identities)
    assert len({first.lead_id, *(_kept(outcome).lead_id for outcome in outcomes)}) == 3
    assert not any(_kept(outcome).replayed for outcome in outcomes)


def test_a_reference_that_is_taken_is_drawn_anew(connection: Connection) -> None:
    (first,) = accept(connection, new_lead())
    twin = first.lead_id[:-12] + "0" * 12  # another id of the same millisecond and counter
    assert reference_of(twin) == first.reference
    (second,) = accept_all(connection, [new_lead()], RepeatingIdentities([twin]))
    assert _kept(second).reference != first.reference


def test_an_id_drawn_twice_in_one_batch_makes_two_leads(connection: Connection) -> None:
    drawn = IdentitySource().new_id(NOW)
    kept = accept_all(connection, [new_lead(), new_lead()], RepeatingIdentities([drawn] * 3))
    assert len({_kept(outcome).lead_id for outcome in kept}) == 2


def test_ids_that_never_differ_are_given_up_without_harm_to_others(connection: Connection) -> None:
    (first,) = accept(connection, new_lead(idempotency_key="k", body_fingerprint="b"))
    replay = new_lead(idempotency_key="k", body_fingerprint="b")
    outcomes = accept_all(connection, [new_lead(), replay], RepeatingIdentities([first.lead_id] * 9))
    assert isinstance(outcomes[0], StoreUnavailable)
    assert _kept(outcomes[1]).lead_id == first.lead_id
    assert count_leads(connection) == 1


@pytest.mark.parametrize(
    "poison",
    [
        {"customer_id": None},
        {"state": "nowhere"},
        {"body": "\ud800"},
        {"received_at": NOW.replace(tzinfo=None)},
    ],
    ids=["null", "check", "unwritable", "naive"],
)
def test_one_bad_row_does_not_fail_its_batch(connection: Connection, poison: dict[str, object]) -> None:
    bad = new_lead(idempotency_key="bad", email_key=None, **poison)
    outcomes = accept_all(connection, [new_lead(), bad, new_lead()], IdentitySource())
    assert [type(outcome) for outcome in outcomes] == [Acceptance, StoreUnavailable, Acceptance]
    assert count_leads(connection) == 2
    assert connection.execute(select(idempotency_keys)).all() == []  # the key was not consumed


@only_sqlite
def test_a_full_disk_is_no_fault_of_one_row(engine: Engine) -> None:
    """Found full while each lead is tried alone, it still fails them all."""
    news = [new_lead(body="\ud800"), new_lead(body="x" * 50_000)]
    with engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        with pytest.raises(OperationalError) as caught:
            accept_all(connection, news, IdentitySource())
    assert is_full(caught.value)


@pytest.mark.anyio
async def test_fifty_equal_keys_at_once_are_one_lead(store: Store) -> None:
    new = new_lead(idempotency_key="k", once_in_ten_minutes=False)
    kept = await asyncio.gather(*(store.accept(new) for _ in range(50)))
    assert len({one.lead_id for one in kept}) == 1
    assert sorted(one.replayed for one in kept) == [False] + [True] * 49
    assert await store.read(count_leads) == 1


@pytest.mark.anyio
async def test_a_conflict_reaches_its_sender_alone(store: Store) -> None:
    outcomes = await asyncio.gather(
        store.accept(new_lead(idempotency_key="k")),
        store.accept(new_lead(idempotency_key="k")),
        store.accept(new_lead()),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Acceptance, IdempotencyConflict, Acceptance]
