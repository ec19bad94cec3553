"""How many leads one client may send: counted in memory, when they are accepted and not before."""

from array import array
from bisect import bisect_right, insort
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from math import ceil
from typing import Self

from limits import RateLimitItem, RateLimitItemPerSecond, parse_many
from limits.storage import MovingWindowSupport, Storage
from limits.strategies import MovingWindowRateLimiter

from app.errors import LeadgateError
from app.intake.callers import Caller
from app.rates import OFF

_MOST_CLIENTS = 50_000
"""Counted at once, at some 400 bytes each. A flood from more addresses than that is no limit's to stop; it makes
those that have been quiet longest begin anew, and takes no more memory."""


_AHEAD = 60.0
"""Seconds. A lead is counted, when it is kept, at the time at which it came: others have been counted since."""


class _Item(RateLimitItemPerSecond):
    """So many in so many seconds. Every window of a client looks at the same times: one key for all of them."""

    def key_for(self, *identifiers: bytes | str | float) -> str:
        return f"{identifiers[0]!s}/{identifiers[-1]!s}"


_MANY = _Item(20, 60)
"""More from one address look like a program's; see spam.WEIGHTS."""


class LimitReached(LeadgateError):
    """The client has sent as many leads as it may for now. Nothing was kept."""

    def __init__(self, retry_after: timedelta) -> None:
        self.retry_after = retry_after
        super().__init__("the client's limit is reached")


class Limiter:
    """To be used from one thread. Each process counts for itself."""

    def __init__(self, rate: str) -> None:
        """`120/minute, 1000/hour`, or `off`."""
        self._rate = rate
        self._accepted = _Windows()
        self._sent = _Windows()
        self._strategy = MovingWindowRateLimiter(self._accepted)
        self._attention = MovingWindowRateLimiter(self._sent)
        self._under_way: dict[tuple[str, ...], int] = {}

    def hold_place(self, caller: Caller, form: str, *, now: datetime) -> "Place":
        """A place for a lead that is about to be kept. Raises LimitReached."""
        place = Place(limiter=self, names=_name(caller, form), items=self._list_items(caller), at=now)
        self._accepted.now = now.timestamp()
        # Those that are being kept at this moment count as well: a hundred at once are still a hundred.
        cost = 1 + self._under_way.get(place.names, 0)
        full = [item for item in place.items if not self._strategy.test(item, *place.names, cost=cost)]
        if full:
            raise LimitReached(max(self._measure_wait(item, place.names) for item in full))
        self._under_way[place.names] = cost
        return place

    def notice(self, caller: Caller, *, now: datetime) -> bool:
        """Counts a submission, and tells whether its address has sent more than 20 in a minute."""
        if caller.trusted or caller.key:
            return False
        self._sent.now = now.timestamp()
        return not self._attention.hit(_MANY, caller.bucket)

    def _list_items(self, caller: Caller) -> tuple[RateLimitItem, ...]:
        own = caller.key.rate if caller.key else None
        return () if caller.trusted else _parse(own or self._rate)

    def _measure_wait(self, item: RateLimitItem, names: tuple[str, ...]) -> timedelta:
        reset = self._strategy.get_window_stats(item, *names).reset_time
        return timedelta(seconds=max(1, ceil(reset - self._accepted.now)))

    def give_back(self, place: "Place", *, counted: bool) -> None:
        left = self._under_way.pop(place.names, 1) - 1
        if left > 0:
            self._under_way[place.names] = left
        if counted and place.items:
            self._accepted.now = place.at.timestamp()
            self._strategy.hit(place.items[-1], *place.names)


@dataclass(slots=True, kw_only=True)
class Place:
    """Held while a lead is being kept; counted at its end when it was, and was no replay."""

    limiter: Limiter
    names: tuple[str, ...]
    items: tuple[RateLimitItem, ...]
    """The one with the longest window last."""
    at: datetime
    counted: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.limiter.give_back(self, counted=self.counted)


def _name(caller: Caller, form: str) -> tuple[str, ...]:
    """A server has one limit for all of its forms, a visitor one for each."""
    return (caller.bucket,) if caller.key else (caller.bucket, form)


@cache
def _parse(rate: str) -> tuple[RateLimitItem, ...]:
    items = () if rate == OFF else (_Item(one.amount, one.get_expiry()) for one in parse_many(rate))
    return tuple(sorted(items, key=_Item.get_expiry))


class _Windows(Storage, MovingWindowSupport):
    """When each client's leads came, in order. By the clock of the leads, and tidied up a few at a time.

    The library's own storage goes by the system's clock, and walks through all it knows in a thread of its own
    whenever it is asked: with 50,000 clients that holds everybody up for a tenth of a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._longest = 0
        # A sixth of a deque, and a quarter of a list where one address sends many.
        self._clients: OrderedDict[str, array[float]] = OrderedDict()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """`expiry` is the client's longest: what is older counts in none of its windows."""
        self._longest = max(self._longest, expiry)
        self._forget_some()
        times = self._clients.get(key)
        if times is None:
            self._clients[key] = array("d", [self.now] * amount)
            return True
        self._clients.move_to_end(key)
        self._drop_ahead(times)
        del times[: bisect_right(times, self.now - expiry)]
        if len(times) + amount > limit:
            return False
        for _ in range(amount):
            insort(times, self.now)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The oldest of the window, and how many there are."""
        del limit
        times = self._clients.get(key)
        if times is None:
            return self.now, 0
        self._drop_ahead(times)
        first = bisect_right(times, self.now - expiry)
        return (times[first], len(times) - first) if first < len(times) else (self.now, 0)

    def _drop_ahead(self, times: "array[float]") -> None:
        """A clock that was put back would otherwise keep its clients out until it has caught up."""
        del times[bisect_right(times, self.now + _AHEAD) :]

    def _forget_some(self) -> None:
        """Two for each that may be new: what is idle is gone sooner than more can come."""
        for _ in range(2):
            key = next(iter(self._clients), None)
            if key is None:
                return
            times = self._clients[key]
            idle = not times or not -_AHEAD <= self.now - times[-1] < self._longest
            if not idle and len(self._clients) < _MOST_CLIENTS:
                return
            del self._clients[key]

    # What the library asks of every storage, and moving windows have no use for.

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError

    def get(self, key: str) -> int:
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        self._clients.clear()
        return None

    def clear(self, key: str) -> None:
        self._clients.pop(key, None)
