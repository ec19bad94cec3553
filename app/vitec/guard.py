"""The one truth about whether anything was sent, and the refusal to send too late."""

import time
from collections.abc import Callable
from typing import Any

Clock = Callable[[], float]
"""Seconds from anywhere, forwards."""

_CLOCK_ID: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

DRIFT = 2.0
"""Seconds by which wall and boot clock may part between the intent and its sending."""


def read_boot_clock() -> float:
    """Seconds since the machine started, its sleep counted where the system can: what deadlines are told in."""
    return time.clock_gettime(_CLOCK_ID)


class DeadlinePassed(Exception):
    """It is too late to send."""


class ClockJumped(Exception):
    """Wall and boot clock have parted: how late it is can no longer be told."""


class SendGuard:
    """Watches one request, from its intent until its bytes leave.

    Exception types do not tell whether a request left; `sent` does, once `trace` is its extension.
    """

    def __init__(self, deadline: float, *, clock: Clock = read_boot_clock, wall: Clock = time.time) -> None:
        self.deadline = deadline
        self.sent = False
        self._clock = clock
        self._wall = wall
        self._offset = wall() - clock()

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; negative past it."""
        return self.deadline - self._clock()

    def check(self) -> None:
        """Raises DeadlinePassed or ClockJumped."""
        if self.remaining <= 0:
            raise DeadlinePassed
        if abs(self._wall() - self._clock() - self._offset) > DRIFT:
            raise ClockJumped

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """The `trace` extension: called immediately before the headers are written, and before the body is."""
        del info
        if event.endswith("send_request_headers.started"):
            self.check()
            self.sent = True
        elif event.endswith("send_request_body.started"):
            self.check()
