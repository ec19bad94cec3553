"""Slows down whoever guesses passwords, and never for long whoever has only mistyped one."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

_FREE = {"user": 3, "address": 10}
"""Failures that cost nothing: of one user from one address, and of all users from it."""
_LONGEST = timedelta(minutes=1)
_FORGET_AFTER = timedelta(hours=1)
_MOST = 10_000
_NOTHING = timedelta()


@dataclass(slots=True)
class _Failures:
    count: int
    last: datetime


class Throttle:
    """By user and address together, so that no stranger's guesses keep the user out elsewhere. Kept in memory."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, ...], _Failures] = OrderedDict()
        self._welcome: OrderedDict[tuple[str, str], None] = OrderedDict()

    def count_attempt(self, user: str, address: str, *, now: datetime) -> timedelta:
        """How long to wait before the next; nothing when this one may go on.

        It counts as a failure until `welcome`: a thousand at once are not each the first.
        """
        keys = _keys(user, address)
        pauses = [self._pause(key, now) for key in keys]
        if max(pauses) == _NOTHING:
            for key in keys:
                self._add(key, now)
        return max(pauses)

    def welcome(self, user: str, address: str) -> None:
        """The password was right."""
        network = _network_of(address)
        for key in _keys(user, address):
            self._failures.pop(key, None)
        self._welcome[user, network] = None
        while len(self._welcome) > _MOST:
            self._welcome.popitem(last=False)

    def knows(self, user: str, address: str) -> bool:
        """Whether this user has signed in from that address before."""
        return (user, _network_of(address)) in self._welcome

    def _pause(self, key: tuple[str, ...], now: datetime) -> timedelta:
        found = self._failures.get(key)
        if found is None or now - found.last > _FORGET_AFTER:
            return _NOTHING
        over = found.count - _FREE[key[0]]
        pause = min(timedelta(seconds=2 ** min(over, 10)), _LONGEST) if over >= 0 else _NOTHING
        return max(found.last + pause - now, _NOTHING)

    def _add(self, key: tuple[str, ...], now: datetime) -> None:
        found = self._failures.pop(key, None)
        stale = found is None or now - found.last > _FORGET_AFTER
        self._failures[key] = _Failures(1 if stale or found is None else found.count + 1, now)
        while len(self._failures) > _MOST:
            self._failures.popitem(last=False)


def _keys(user: str, address: str) -> tuple[tuple[str, ...], ...]:
    network = _network_of(address)
    return ("user", user, network), ("address", network)


def _network_of(address: str) -> str:
    """An IPv6 customer has a whole /64 to come from; in another a dual-stack socket tells all of IPv4."""
    try:
        found: Any = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    found = getattr(found, "ipv4_mapped", None) or found
    return str(found) if found.version == 4 else str(ip_network((found, 64), strict=False))
