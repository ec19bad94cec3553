"""A token bucket: so many requests a second, with a burst of ten."""

import asyncio
from collections.abc import Callable
from time import monotonic

BURST = 10


class Pace:
    """Shared by everything this process sends to Vitec."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = float(BURST)
        self._seen = clock()

    def take(self) -> float:
        """Takes a token, on credit if need be; the seconds to wait until it may be used."""
        now = self._clock()
        self._tokens = min(BURST, self._tokens + (now - self._seen) * self._rate)
        self._seen = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    async def wait(self) -> None:
        if delay := self.take():
            await asyncio.sleep(delay)
