"""When to try again: tables, and the bounds of the dice."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.pace import BURST, Pace
from app.delivery.policy import next_attempt, next_probe

NOW = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
SCHEDULE = tuple(timedelta(seconds=s) for s in (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800))


@given(tries=st.integers(0, 100), seed=st.integers())
def test_full_jitter_up_to_two_minutes_and_a_fifth_above(tries: int, seed: int) -> None:
    planned = SCHEDULE[min(tries, 8)]
    delay = next_attempt(tries, schedule=SCHEDULE, now=NOW, random=Random(seed)) - NOW
    if planned <= timedelta(minutes=2):
        assert timedelta() <= delay <= planned
    else:
        assert planned * 0.799 <= delay <= planned * 1.201


@given(seed=st.integers(), wait=st.integers(0, 6 * 3600))
def test_never_before_retry_after(seed: int, wait: int) -> None:
    not_before = timedelta(seconds=wait)
    at = next_attempt(0, schedule=SCHEDULE, now=NOW, random=Random(seed), not_before=not_before)
    assert at >= NOW + not_before


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        (401, ["5m", "1h", "1d", "1d"]),  # a password is soon corrected
        (403, ["1d", "1d", "1d", "1d"]),  # hammering a refused office got an integrator blocked
        (404, ["5m", "1h", "1d", "1d"]),
        (308, ["5m", "1h", "1d", "1d"]),
    ],
)
def test_probes_by_status(status: int, waits: list[str]) -> None:
    units = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
    found = [next_probe(status, probes=probes, now=NOW) - NOW for probes in range(4)]
    assert found == [units[wait] for wait in waits]


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_of_ten_goes_at_once_and_the_eleventh_waits_its_turn() -> None:
    clock = _Clock()
    pace = Pace(2, clock=clock)
    assert [pace.take() for _ in range(BURST)] == [0.0] * BURST
    assert pace.take() == pytest.approx(0.5)
    assert pace.take() == pytest.approx(1.0)
    clock.now = 100
    assert [pace.take() for _ in range(BURST)] == [0.0] * BURST


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.floats(0.5, 50))
def test_no_second_sees_more_than_the_burst_and_the_rate(steps: list[float], rate: float) -> None:
    clock = _Clock()
    pace = Pace(rate, clock=clock)
    sent: list[float] = []
    for step in steps:
        clock.now += step
        sent.append(clock.now + pace.take())
    for start in sent:
        within = sum(start <= moment < start + 1 for moment in sent)
        assert within <= BURST + rate + 1
