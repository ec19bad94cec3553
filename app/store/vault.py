"""What seals personal data at rest: Fernet keys, each known by a few digits that stand before what it sealed."""

from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

from app.errors import KeyMissing

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

MARK = "fernet:"
_NAME = 8
PREFIX = len(MARK) + _NAME + 1
"""Characters before the token: `fernet:1a2b3c4d:`."""


def name_key(key: str) -> str:
    """What a key is called where it may be read: 32 bits of a digest, which tell nothing of its 256."""
    return blake2b(key.encode(), digest_size=_NAME // 2, person=b"leadgate-vault").hexdigest()


def name_sealer(text: str) -> str | None:
    """The name of the key that sealed a text; None for one that is not sealed."""
    return text[len(MARK) : PREFIX - 1] if text.startswith(MARK) else None


class Vault:
    """Seals with the newest of its keys, opens with any of them; without keys it leaves everything as it is."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Newest first. Raises ValueError for what is no Fernet key."""
        self.names = tuple(name_key(key) for key in keys)
        self._keys = tuple(keys)

    @property
    def newest(self) -> str | None:
        """The name of the key that seals; None where nothing is sealed."""
        return self.names[0] if self.names else None

    @cached_property
    def _fernets(self) -> "dict[str, Fernet]":
        # Imported when there is something to seal: it takes as long as the rest of the store.
        from cryptography.fernet import Fernet  # noqa: PLC0415

        return {name: Fernet(key) for name, key in zip(self.names, self._keys, strict=True)}

    def seal(self, text: str) -> str:
        if self.newest is None:
            return text
        token = self._fernets[self.newest].encrypt(text.encode("utf-8", "surrogatepass")).decode()
        return f"{MARK}{self.newest}:{token}"

    def open(self, text: str) -> str:
        """What was sealed, or a text that never was as it is. Raises KeyMissing."""
        name = name_sealer(text)
        if name is None:
            return text
        if name not in self.names:
            raise KeyMissing(name)
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            opened = self._fernets[name].decrypt(text[PREFIX:])
        except InvalidToken:
            raise KeyMissing(name) from None
        return opened.decode("utf-8", "surrogatepass")
