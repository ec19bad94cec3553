"""When to try again, and how long a closed gate stays closed. Arithmetic only."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

HOLD_AFTER = timedelta(days=30)
"""An undelivered lead of that age is a human's; it is never deleted."""

_FULL_JITTER_UP_TO = timedelta(minutes=2)
_DAILY = timedelta(days=1)
# A password is soon corrected; a refused office stays refused, and an integrator who hammered one was blocked.
_PROBES = {401: (timedelta(minutes=5), timedelta(hours=1)), 403: ()}
_USUAL_PROBES = _PROBES[401]


def next_attempt(
    tries: int,
    *,
    schedule: Sequence[timedelta],
    now: datetime,
    random: Random,
    not_before: timedelta | None = None,
) -> datetime:
    """After `tries` earlier tries. Full jitter up to two minutes, ±20 % above; never before Retry-After."""
    planned = schedule[min(tries, len(schedule) - 1)]
    share = random.random() if planned <= _FULL_JITTER_UP_TO else random.uniform(0.8, 1.2)
    delay = planned * share
    return now + max(delay, not_before or timedelta())


def next_probe(status: int, *, probes: int, now: datetime) -> datetime:
    """When a gate that closed with this status is tried next, after so many probes in vain."""
    delays = _PROBES.get(status, _USUAL_PROBES)
    return now + (delays[probes] if probes < len(delays) else _DAILY)


_LOOKS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 300))


def next_look(now: datetime, *, deadline_at: datetime, remaining: timedelta) -> datetime:
    """When to look again for a create of unknown outcome: 5 s, 30 s, 2 and 5 min after its deadline, then when
    the settle time will be over, which `remaining` of observed time is away."""
    settled_at = now + max(remaining, timedelta(seconds=1))
    planned = next((deadline_at + delay for delay in _LOOKS if deadline_at + delay > now), settled_at)
    return min(planned, settled_at)
