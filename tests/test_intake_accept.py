"""From an enquiry to a lead on disk: keys, fingerprints and first states, over a real store."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from app.errors import IdempotencyConflict
from app.identity import reference_of
from app.intake.accept import TEST_MODE, Acceptor, InvalidIdempotencyKey, Key, read_idempotency_key
from app.intake.digests import Digests
from app.lead import Contact, Enquiry, LeadState
from app.store.leads import load_lead
from app.store.schema import idempotency_keys, leads, outbox
from app.store.store import Store
from app.store.words import Acceptance
from tests.submissions import ANNA, NOW, check, form, read

DIGESTS = Digests(b"secret")
MINUTE = timedelta(minutes=1)
FULL = {
    **ANNA,
    "phone": "0701740605",
    "message": "Hej",
    "nickname": "Ann",
    "budget": "75",
    "consents": {"newsletter": True},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "leadgate.db")
    store.open()
    yield store
    store.close()


@pytest.fixture
def acceptor(store: Store) -> Acceptor:
    return Acceptor(store, DIGESTS)


async def accept(
    acceptor: Acceptor,
    raw: dict[str, Any],
    *,
    name: str = "all",
    after: timedelta = timedelta(),
    **given: Any,
) -> Acceptance:
    enquiry = check(raw, name=name)
    return await acceptor.accept(enquiry, form(name), read(), now=NOW + after, **given)


@pytest.mark.anyio
async def test_an_accepted_enquiry_is_read_back_whole(acceptor: Acceptor, store: Store) -> None:
    enquiry = check({**FULL, "utm_source": "a", "notice": {"shownAt": "2026-11-24T08:30:00Z"}, "language": 5})
    kept = await acceptor.accept(enquiry, form(), read(), now=NOW)

    lead = await store.read(partial(load_lead, lead_id=kept.lead_id))
    assert all(getattr(lead, name) == getattr(enquiry, name) for name in enquiry.__slots__)
    assert (lead.id, lead.form, lead.received_at) == (kept.lead_id, "all", NOW)
    assert lead.reference == kept.reference == reference_of(kept.lead_id)
    assert (kept.state, kept.replayed) == (LeadState.PENDING, False)


@pytest.mark.anyio
async def test_the_lead_s_place_in_the_outbox_names_its_customer(acceptor: Acceptor, store: Store) -> None:
    home = {**ANNA, "streetAddress": "Storgatan 1", "propertyType": "villa", "zipCode": "111 22"}
    kept = await accept(acceptor, home, name="routed")

    def find(connection: Connection) -> Any:
        return connection.execute(select(outbox).where(outbox.c.lead_id == kept.lead_id)).one()

    row = await store.read(find)
    assert (row.customer_id, row.login, row.state, row.reason) == ("M2", "default", "pending", None)


@pytest.mark.anyio
async def test_a_form_in_test_mode_keeps_its_leads_to_itself(acceptor: Acceptor, store: Store) -> None:
    kept = await accept(acceptor, ANNA, name="trial")

    def find(connection: Connection) -> Any:
        return connection.execute(select(outbox).where(outbox.c.lead_id == kept.lead_id)).one()

    row = await store.read(find)
    assert (kept.state, row.state, row.reason) == (LeadState.QUARANTINED, "quarantined", TEST_MODE)


@pytest.mark.anyio
async def test_no_personal_data_stands_outside_the_body(acceptor: Acceptor, store: Store) -> None:
    await accept(acceptor, FULL, key=Key(value="anna@example.com"))

    def find(connection: Connection) -> Any:
        row = dict(connection.execute(select(leads)).one()._mapping)
        row.pop("body")
        keys = dict(connection.execute(select(idempotency_keys)).one()._mapping)
        return row, dict(connection.execute(select(outbox)).one()._mapping), keys

    kept = repr(await store.read(find)).lower()
    assert not any(secret in kept for secret in ("anna", "svensson", "701740605", "hej"))


@pytest.mark.anyio
async def test_the_same_key_and_content_is_the_same_lead(acceptor: Acceptor) -> None:
    first = await accept(acceptor, FULL, key=Key(value="k"), body=FULL)
    again = await accept(
        acceptor, FULL, key=Key(value="k"), body=dict(reversed(FULL.items())), after=timedelta(days=9)
    )

    assert again == replace(first, replayed=True)


@pytest.mark.anyio
async def test_the_same_key_and_other_content_is_a_conflict(acceptor: Acceptor) -> None:
    await accept(acceptor, FULL, key=Key(value="k"), body=FULL)

    with pytest.raises(IdempotencyConflict):
        await accept(acceptor, FULL, key=Key(value="k"), body={**FULL, "pageUrl": "https://a.se/"})


@pytest.mark.anyio
async def test_a_key_is_its_form_s_own(acceptor: Acceptor) -> None:
    first = await accept(acceptor, ANNA, key=Key(value="k"), body=ANNA)
    other = await accept(acceptor, ANNA, name="trial", key=Key(value="k"), body=ANNA)

    assert first.lead_id != other.lead_id


@pytest.mark.anyio
async def test_other_keys_make_other_leads_of_the_same_content(acceptor: Acceptor) -> None:
    kept = [await accept(acceptor, FULL, key=Key(value=value), body=FULL) for value in "ab"]

    assert kept[0].lead_id != kept[1].lead_id


@pytest.mark.anyio
async def test_a_page_loaded_twice_is_one_lead(acceptor: Acceptor) -> None:
    kept = [
        await accept(acceptor, FULL, key=Key(value=value, once_in_ten_minutes=True), after=MINUTE * later)
        for later, value in enumerate("aab")
    ]

    assert {one.lead_id for one in kept} == {kept[0].lead_id}
    assert [one.replayed for one in kept] == [False, True, True]


@pytest.mark.anyio
async def test_without_a_key_the_same_within_ten_minutes_is_the_same_lead(acceptor: Acceptor) -> None:
    first = await accept(acceptor, FULL)
    again = await accept(acceptor, {**FULL, "email": "ANNA@example.se", "utm_source": "a"}, after=9 * MINUTE)
    later = await accept(acceptor, FULL, after=11 * MINUTE)

    assert again == replace(first, replayed=True)
    assert later.lead_id != first.lead_id


@pytest.mark.anyio
async def test_other_content_is_a_second_lead_that_names_the_first(acceptor: Acceptor, store: Store) -> None:
    first = await accept(acceptor, FULL)
    second = await accept(acceptor, {**FULL, "message": "En sak till"}, after=MINUTE)

    lead = await store.read(partial(load_lead, lead_id=second.lead_id))
    assert second.lead_id != first.lead_id
    assert lead.follows == first.reference


@pytest.mark.anyio
async def test_leads_sent_at_once_are_each_kept_once(acceptor: Acceptor) -> None:
    async def send(number: int) -> Acceptance:
        return await accept(acceptor, {**ANNA, "email": f"a{number % 20}@example.se"})

    kept = await asyncio.gather(*(send(number) for number in range(60)))

    assert len({one.lead_id for one in kept}) == 20
    assert len({one.reference for one in kept}) == 20
    assert sum(one.replayed for one in kept) == 40


SAME: list[dict[str, Any]] = [
    {"email": "Anna@Example.SE"},
    {"phone": "+46 70 174 06 05"},
    {"message": " Hej\r\n"},
    {"language": "en"},
    {"pageUrl": "https://a.se/"},
    {"utm_source": "a"},
    {"marketing": {"referrer": "https://a.se/"}},
    {"notice": {"shownAt": "2026-11-24T08:30:00Z"}},
    {"budget": 75},
    {"consents": {"newsletter": True, "partners": False}},
    {"call": False},
    {"receiver": "nobody"},
]
OTHER: list[dict[str, Any]] = [
    {"email": "bo@example.se"},
    {"phone": "0701740606"},
    {"phone": "hej"},
    {"firstName": "Anne"},
    {"message": "Hej!"},
    {"message": None},
    {"nickname": "Annie"},
    {"budget": "76"},
    {"call": True},
    {"consents": {}},
    {"consents": {"newsletter": True, "partners": True}},
    {"receiver": "duty"},
    {"zipCode": "111 22"},
]


@pytest.mark.parametrize("change", SAME, ids=repr)
def test_where_it_came_from_and_how_it_was_written_is_no_other_content(
    acceptor: Acceptor, change: dict[str, Any]
) -> None:
    assert acceptor.fingerprint(form(), check({**FULL, **change})) == acceptor.fingerprint(
        form(), check(FULL)
    )


@pytest.mark.parametrize("change", OTHER, ids=repr)
def test_another_person_word_or_box_is(acceptor: Acceptor, change: dict[str, Any]) -> None:
    assert acceptor.fingerprint(form(), check({**FULL, **change})) != acceptor.fingerprint(
        form(), check(FULL)
    )


def test_the_same_content_in_another_form_is_another(acceptor: Acceptor) -> None:
    enquiry = check(ANNA)

    assert acceptor.fingerprint(form(), enquiry) != acceptor.fingerprint(form("trial"), enquiry)


def test_what_moves_from_one_field_to_the_next_is_other_content(acceptor: Acceptor) -> None:
    one = Enquiry(language="sv", contact=Contact(first_name="A", last_name="B"))
    other = Enquiry(language="sv", contact=Contact(last_name="A", company_name="B"))

    assert acceptor.fingerprint(form(), one) != acceptor.fingerprint(form(), other)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        (' "a b" ', "a b"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"', '"'),
        ('a"b', 'a"b'),
        pytest.param("x" * 255, "x" * 255, id="255"),
        pytest.param(f'"{"x" * 255}"', "x" * 255, id="255 quoted"),
    ],
)
def test_a_key_is_read_quoted_or_bare(header: str, value: str) -> None:
    assert read_idempotency_key(header) == Key(value=value)


def test_no_header_is_no_key() -> None:
    assert read_idempotency_key(None) is None


@pytest.mark.parametrize(
    "header",
    ["", "  ", '""', "a\x00b", "a\tb", "åäö", "a\u2028b", pytest.param("x" * 256, id="256"),
     pytest.param(f'"{"x" * 256}"', id="256 quoted")],
)  # fmt: skip
def test_what_is_no_key_is_refused_without_repeating_it(header: str) -> None:
    with pytest.raises(
        InvalidIdempotencyKey, match=r"^Idempotency-Key must be 1 to 255 printable ASCII"
    ) as error:
        read_idempotency_key(header)
    assert str(error.value).isascii()


def test_digests_tell_equality_and_nothing_else() -> None:
    assert DIGESTS.of_email("Anna@example.se") == DIGESTS.of_email("anna@EXAMPLE.se")
    assert DIGESTS.of_email("a@example.se") != DIGESTS.of_phone("a@example.se")
    assert DIGESTS.of_phone("+46701740605") != Digests(b"other").of_phone("+46701740605")
    assert DIGESTS.of_body("a", {"x": 1, "y": [1]}) == DIGESTS.of_body("a", {"y": [1], "x": 1})
    assert DIGESTS.of_body("a", {"x": 1}) != DIGESTS.of_body("b", {"x": 1})
    assert DIGESTS.of_body("a", [1, 2]) != DIGESTS.of_body("a", [2, 1])
    assert DIGESTS.of_body("a", "\ud800") != DIGESTS.of_body("a", "")
    assert DIGESTS.of_password("a") != DIGESTS.of_phone("a")
    assert len(DIGESTS.of_email("a")) == 32
