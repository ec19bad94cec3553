"""A proxy that nobody named: all visitors then seem to be one, and share one limit."""

from collections.abc import Mapping
from hashlib import blake2b

_ENOUGH = 20
"""Submissions in a row that look so. A visitor who writes such a header herself is soon followed by another."""

_VISITORS = 3
"""Different ones among them, at least."""


class ProxyWatch:
    """Looks at submissions as they come. Remembers digests of the last few, and nobody's address."""

    def __init__(self) -> None:
        self._peer: str | None = None
        self._visitors: set[bytes] = set()
        self._row = 0
        self.suspected = False
        """Whether the last submissions all came through one address that passed others' on unbelieved."""

    def note(self, client: str | None, headers: Mapping[str, str]) -> bool:
        """`client` is whom the submission is counted for. True when it begins to look as if that were a proxy."""
        passed_on = headers.get("x-forwarded-for") or headers.get("x-real-ip") or ""
        origin = passed_on.partition(",")[0].strip()
        if not origin or client is None or origin.strip("[]") == client:
            self._start_anew(None)
            return False
        if client != self._peer:
            self._start_anew(client)
        self._row += 1
        if len(self._visitors) < _VISITORS:
            self._visitors.add(blake2b(origin.encode(), digest_size=8).digest())
        before = self.suspected
        self.suspected = self._row >= _ENOUGH and len(self._visitors) >= _VISITORS
        return self.suspected and not before

    def _start_anew(self, peer: str | None) -> None:
        self._peer, self._row, self.suspected = peer, 0, False
        self._visitors.clear()
