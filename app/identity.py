"""Ids and references: a time-ordered id nobody guesses, and ten characters a person can read out."""

import os
import re
import threading
from datetime import UTC, datetime, timedelta

# Crockford's base 32: no I, L, O or U, so that nothing read out over a telephone looks like something else.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_READ = {character: value for value, character in enumerate(ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HYPHENS = re.compile("[\\s\u2010-\u2015-]+")
_COUNTER_BITS = 10
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1


def _count_milliseconds(moment: datetime) -> int:
    """Since 1970, exactly: a float of seconds may be a millisecond short. Never before 1970."""
    return max(0, (moment - _EPOCH) // timedelta(milliseconds=1))


_REFERENCE_EPOCH_MS = _count_milliseconds(datetime(2024, 1, 1, tzinfo=UTC))


class _Randomness:
    """Random bytes drawn 4 kB at a time: each draw gives up the interpreter lock."""

    def __init__(self) -> None:
        self._pool = b""

    def take(self, count: int) -> int:
        if len(self._pool) < count:
            self._pool = os.urandom(4096)
        taken, self._pool = self._pool[:count], self._pool[count:]
        return int.from_bytes(taken)


class IdentitySource:
    """Makes UUIDv7 (RFC 9562 §5.7) whose first twelve random bits begin with a counter (§6.2, method 1).

    Within a process no two ids share their millisecond and counter, and so no two share a reference.
    Between processes they may: the store then asks for another.
    """

    def __init__(self) -> None:
        self._random = _Randomness()
        self._lock = threading.Lock()
        self._last_ms = 0
        self._counter = 0

    def new_id(self, now: datetime) -> str:
        with self._lock:
            self._advance(_count_milliseconds(now))
            high = (self._last_ms << 16) | (0x7 << 12) | (self._counter << 2) | (self._random.take(1) & 0b11)
            low = (0b10 << 62) | (self._random.take(8) & ((1 << 62) - 1))
        digits = f"{high:016x}{low:016x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def step_aside(self) -> None:
        """Away from where another process counts: one that has made the same reference is about to make the next."""
        with self._lock:
            self._begin(self._last_ms + 1)

    def _begin(self, milliseconds: int) -> None:
        self._last_ms = milliseconds
        self._counter = self._random.take(2) & (_COUNTER_MASK >> 1)

    def _advance(self, milliseconds: int) -> None:
        if milliseconds > self._last_ms:
            self._begin(milliseconds)
        elif self._counter < _COUNTER_MASK:
            self._counter += 1
        else:  # 512 and more in one millisecond: borrow from the next, as the RFC allows
            self._last_ms += 1
            self._counter = 0


def reference_of(lead_id: str) -> str:
    """The ten characters of an id: 40 bits of milliseconds since 2024 and the ten-bit counter, in time's order."""
    high = int(lead_id.replace("-", "")[:16], 16)
    milliseconds = (high >> 16) - _REFERENCE_EPOCH_MS
    number = ((milliseconds & ((1 << 40) - 1)) << _COUNTER_BITS) | ((high >> 2) & _COUNTER_MASK)
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in (40, 30, 20, 10, 0)])


def write_reference(reference: str) -> str:
    """`K7Q29XMF3H` as people read it: K7Q2-9XMF-3H."""
    return f"{reference[:4]}-{reference[4:8]}-{reference[8:]}"


def read_reference(text: str) -> str | None:
    """A reference as somebody typed it, hyphens and look-alikes forgiven; None when it is none."""
    characters = _HYPHENS.sub("", text).upper()
    if len(characters) != 10 or any(character not in _READ for character in characters):
        return None
    return "".join(ALPHABET[_READ[character]] for character in characters)


def earliest_id(moment: datetime) -> str:
    """An id not later than any made at that moment: the lower end of a range by time."""
    digits = f"{_count_milliseconds(moment):012x}"
    return f"{digits[:8]}-{digits[8:12]}-7000-8000-000000000000"


def made_at(lead_id: str) -> datetime:
    """The millisecond an id was made."""
    return _EPOCH + timedelta(milliseconds=int(lead_id[:8] + lead_id[9:13], 16))
