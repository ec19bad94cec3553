"""Collects the mistakes of a configuration, so that all of them are told at once."""

import difflib
from collections.abc import Iterable

from app.errors import Mistake


def suggest(word: str, known: Iterable[str]) -> str:
    """` Did you mean solna?`, or nothing when no known word is near."""
    near = difflib.get_close_matches(word.lower(), sorted(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


class Findings:
    """Mistakes in the order found, each once."""

    def __init__(self) -> None:
        self._mistakes: dict[Mistake, None] = {}
        self._unreadable: list[tuple[str, str]] = []

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        return tuple(self._mistakes)

    def add(self, source: str, key: str, message: str) -> None:
        """Adds a mistake, unless the key is known as unreadable: it would be told twice."""
        if not any(self._covers(place, (source, key)) for place in self._unreadable):
            self._mistakes[Mistake(source, key, message)] = None

    def add_unreadable(self, source: str, key: str, message: str) -> None:
        """Adds a mistake that takes the key's value out of every later check."""
        self._mistakes[Mistake(source, key, message)] = None
        self._unreadable.append((source, key))

    @staticmethod
    def _covers(place: tuple[str, str], other: tuple[str, str]) -> bool:
        (source, key), (other_source, other_key) = place, other
        inside = not key or other_key == key or other_key.startswith((f"{key}.", f"{key}["))
        return source == other_source and inside
