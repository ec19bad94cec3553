"""The circuit's arithmetic."""

from datetime import UTC, datetime, timedelta
from random import Random

from app.delivery.breaker import LONGEST_PAUSE, OPEN_AFTER, Breaker, pause_after

NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


def _calls(breaker: Breaker, *calls: tuple[str, bool, bool], every: float = 1) -> list[bool]:
    return [
        breaker.record(lead_id=lead, ok=ok, reached=reached, now=NOW + place * timedelta(seconds=every))
        for place, (lead, ok, reached) in enumerate(calls)
    ]


def test_five_unreached_calls_in_a_row_open_it() -> None:
    opened = _calls(Breaker(), *[("a", False, False)] * OPEN_AFTER)
    assert opened == [False] * (OPEN_AFTER - 1) + [True]


def test_one_success_starts_the_count_anew() -> None:
    calls = [("a", False, False)] * 4 + [("b", True, True)] + [("a", False, False)] * 4
    assert not any(_calls(Breaker(), *calls, every=30))


def test_answers_that_fail_for_one_lead_alone_are_its_own_trouble() -> None:
    assert not any(_calls(Breaker(), *[("a", False, True)] * 50))


def test_what_it_remembers_of_one_leads_trouble_does_not_grow() -> None:
    breaker = Breaker()
    _calls(breaker, *[("a", False, True)] * 1000)
    assert len(breaker._in_a_row) == OPEN_AFTER


def test_answers_that_fail_for_several_leads_open_it() -> None:
    calls = [(lead, False, True) for lead in "ababa"]
    assert _calls(Breaker(), *calls)[-1]


def test_half_of_ten_within_a_minute_open_it() -> None:
    calls = [(f"lead{place}", place % 2 == 0, True) for place in range(10)]
    assert _calls(Breaker(), *calls, every=5) == [False] * 9 + [True]


def test_half_of_ten_over_a_longer_time_do_not() -> None:
    calls = [(f"lead{place}", place % 2 == 0, True) for place in range(40)]
    assert not any(_calls(Breaker(), *calls, every=8))


def test_pauses_double_from_fifteen_seconds_to_five_minutes() -> None:
    for openings in range(20):
        planned = min(timedelta(seconds=15) * 2**openings, LONGEST_PAUSE)
        pause = pause_after(openings, random=Random(openings))
        assert planned * 0.8 <= pause <= planned * 1.2
