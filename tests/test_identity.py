"""Ids in time's order, and references that a person can read out."""

import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identity import (
    ALPHABET,
    IdentitySource,
    earliest_id,
    made_at,
    read_reference,
    reference_of,
    write_reference,
)

NOW = datetime(2026, 11, 2, 9, 30, 15, 123456, tzinfo=UTC)
A_MILLISECOND = timedelta(milliseconds=1)

moments = st.timedeltas(timedelta(), timedelta(days=34 * 365)).map(
    lambda age: datetime(2024, 1, 1, tzinfo=UTC) + age
)
references = st.text(ALPHABET, min_size=10, max_size=10)


@given(moments)
def test_an_id_is_a_uuid_of_version_seven_and_tells_its_millisecond(moment: datetime) -> None:
    lead_id = IdentitySource().new_id(moment)

    parsed = UUID(lead_id)
    assert str(parsed) == lead_id
    assert parsed.version == 7
    assert parsed.variant == "specified in RFC 4122"
    assert made_at(lead_id) == moment - timedelta(microseconds=moment.microsecond % 1000)


def test_an_id_of_a_time_in_another_zone_is_the_same_moment() -> None:
    assert made_at(IdentitySource().new_id(NOW.astimezone(timezone(timedelta(hours=2))))) == NOW.replace(
        microsecond=123000
    )


def test_five_thousand_ids_of_one_millisecond_are_unique_and_in_order() -> None:
    source = IdentitySource()
    ids = [source.new_id(NOW) for _ in range(5000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == 5000
    named = [reference_of(one) for one in ids]
    assert named == sorted(named)
    assert len(set(named)) == 5000


def test_ids_stay_in_order_when_the_clock_is_set_back() -> None:
    source = IdentitySource()
    first = source.new_id(NOW)
    second = source.new_id(NOW - timedelta(hours=1))
    third = source.new_id(NOW + A_MILLISECOND)

    assert first < second < third
    assert reference_of(first) < reference_of(second) < reference_of(third)


def test_two_sources_do_not_make_the_same_id() -> None:
    ids = {IdentitySource().new_id(NOW) for _ in range(2000)}

    assert len(ids) == 2000


def test_all_sixty_two_random_bits_vary() -> None:
    source = IdentitySource()
    low = [int(source.new_id(NOW).replace("-", "")[16:], 16) for _ in range(200)]

    seen_one = seen_zero = 0
    for number in low:
        seen_one |= number
        seen_zero |= ~number
    assert seen_one & ((1 << 62) - 1) == (1 << 62) - 1
    assert seen_zero & ((1 << 62) - 1) == (1 << 62) - 1


@given(moments)
def test_no_id_of_a_moment_or_later_is_before_its_earliest_id(moment: datetime) -> None:
    earliest = earliest_id(moment)

    assert earliest <= IdentitySource().new_id(moment)
    assert IdentitySource().new_id(moment - A_MILLISECOND) < earliest
    assert UUID(earliest).version == 7


def test_the_earliest_id_of_all_stands_for_times_before_1970() -> None:
    assert earliest_id(datetime(1969, 1, 1, tzinfo=UTC)) == "00000000-0000-7000-8000-000000000000"


@given(moments)
def test_a_reference_is_ten_characters_that_look_like_no_others(moment: datetime) -> None:
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{10}", reference_of(IdentitySource().new_id(moment)))


@given(references)
def test_a_written_reference_is_read_back(reference: str) -> None:
    written = write_reference(reference)

    assert re.fullmatch(r"\w{4}-\w{4}-\w{2}", written)
    assert read_reference(written) == reference
    assert read_reference(written.lower()) == reference
    assert read_reference(f"  {written.replace('-', ' ')}\n") == reference


def test_a_reference_is_written_in_two_fours_and_a_two() -> None:
    assert write_reference("K7Q29XMF3H") == "K7Q2-9XMF-3H"


@pytest.mark.parametrize(
    "typed",
    ["1O1L-1I10-OK", "lolL-iIiO-0k", "1011–1110–0K", "1011‑1110‑0K", "1011\u00a01110\u00a00K", "10111110 0K"],
)
def test_look_alikes_and_hyphens_of_all_kinds_are_forgiven(typed: str) -> None:
    expected = {"1O1L-1I10-OK": "101111100K", "lolL-iIiO-0k": "101111100K"}
    assert read_reference(typed) == expected.get(typed, "101111100K")


@pytest.mark.parametrize(
    "typed",
    ["", "K7Q2-9XMF-3", "K7Q2-9XMF-3HH", "K7Q2-9XMF-3U", "K7Q2_9XMF_3H", "Åsa-9XMF-3HK", "K7Q2-9XMF-3ß"],
)
def test_what_is_no_reference_is_none(typed: str) -> None:
    assert read_reference(typed) is None


@given(st.text())
def test_any_text_is_a_reference_or_none(text: str) -> None:
    read = read_reference(text)

    assert read is None or read_reference(write_reference(read)) == read


def test_two_processes_at_one_counter_part() -> None:
    """However many references of the millisecond the other one has taken in a row."""
    one, met = IdentitySource(), 0
    taken = {reference_of(one.new_id(NOW)) for _ in range(400)}
    for _ in range(100):
        other = IdentitySource()
        if reference_of(other.new_id(NOW)) in taken:
            met += 1
            other.step_aside()
            assert reference_of(other.new_id(NOW)) not in taken
    assert met
