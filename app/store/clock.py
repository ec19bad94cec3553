"""The database's clock, read without asking it each time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from app.errors import StoreUnavailable

_SLOWEST_LOOK = 1.0
# Goes on while the machine sleeps, and no hand sets it.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def count_seconds() -> float:
    return time.clock_gettime(_STEADY)


class Clock:
    """Time as the database tells it, carried on between looks by a count of seconds, never by this machine's date.

    Machines whose own clocks are minutes apart so agree to within half the way to the database.
    """

    def __init__(self, elapsed: Callable[[], float] = count_seconds) -> None:
        self._elapsed = elapsed
        self._look: tuple[datetime, float] | None = None

    def set(self, ask: Callable[[], datetime]) -> None:
        """Looks anew; an answer that was long under way tells too little to be worth more than the last."""
        before = self._elapsed()
        moment = ask().astimezone(UTC)
        after = self._elapsed()
        if self._look is None or after - before < _SLOWEST_LOOK:
            self._look = moment, (before + after) / 2

    def now(self) -> datetime:
        """Raises StoreUnavailable before the first look."""
        if self._look is None:
            raise StoreUnavailable("the store is not open")
        moment, at = self._look
        return moment + timedelta(seconds=self._elapsed() - at)
