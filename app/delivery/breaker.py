"""When a destination is too ill to be bothered, and how it is let back. Pure: time comes as an argument."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

OPEN_AFTER = 5
"""Failures in a row."""
WINDOW = timedelta(minutes=1)
WINDOW_CALLS = 10
"""Calls in the window from which on half of them failing is enough."""

FIRST_PAUSE = timedelta(seconds=15)
LONGEST_PAUSE = timedelta(minutes=5)
FORGET_AFTER = timedelta(minutes=10)
"""A destination that was well so long starts at the first pause again."""

FULL = 8
"""Leads under way at which a destination counts as recovered: one, two, four, then all."""


def pause_after(openings: int, *, random: Random) -> timedelta:
    """15 s, doubling to five minutes, with jitter of a fifth, so that workers do not come back as one."""
    planned = min(FIRST_PAUSE * int(2 ** min(openings, 10)), LONGEST_PAUSE)
    return planned * random.uniform(0.8, 1.2)


@dataclass(frozen=True, slots=True)
class _Call:
    at: datetime
    lead_id: str
    ok: bool
    reached: bool


@dataclass(slots=True)
class Breaker:
    """Counts this process's calls to one destination."""

    _in_a_row: deque[_Call] = field(default_factory=lambda: deque(maxlen=OPEN_AFTER))
    _window: deque[_Call] = field(default_factory=deque)

    def record(self, *, lead_id: str, ok: bool, reached: bool, now: datetime) -> bool:
        """Whether this call is the one that should open the circuit.

        `reached`: an answer came. A lead whose answers fail while other leads' do not is its own trouble.
        """
        call = _Call(now, lead_id, ok, reached)
        self._window.append(call)
        while self._window[0].at <= now - WINDOW:
            self._window.popleft()
        if ok:
            self._in_a_row.clear()
            return False
        self._in_a_row.append(call)
        failed = [one for one in self._window if not one.ok]
        if self._is_general(self._in_a_row) and len(self._in_a_row) == OPEN_AFTER:
            return self._open()
        many = len(self._window) >= WINDOW_CALLS and 2 * len(failed) >= len(self._window)
        return self._open() if many and self._is_general(failed) else False

    def _open(self) -> bool:
        self._in_a_row.clear()
        self._window.clear()
        return True

    @staticmethod
    def _is_general(failed: Iterable[_Call]) -> bool:
        return any(not call.reached for call in failed) or len({call.lead_id for call in failed}) > 1
