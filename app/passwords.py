"""People's passwords: Argon2id, checked one at a time and off the event loop."""

import asyncio
from unicodedata import normalize

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, UnsupportedParametersError, VerificationError

SHORTEST = 12
"""Characters. NIST SP 800-63B-4 asks for 15 where a password stands alone; Argon2 and the pauses make up for three."""
LONGEST = 1000

_LARGEST = 1024 * 1024  # KiB of memory; a hash that asks for more would be a way to end the process
_LONGEST_QUEUE = 20

# RFC 9106's second recommendation: 64 MiB, three passes.
_hasher = PasswordHasher(parallelism=1)


class TooManyAtOnce(Exception):
    """So many passwords are being checked that another would only wait."""


def hash_password(password: str) -> str:
    """What stands in the configuration. Raises ValueError, with what would be right."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"must have {SHORTEST} to {LONGEST} characters")
    return _hasher.hash(_plain(password))


def check_hash(text: str) -> str:
    """The hash itself. Raises ValueError for what `hash_password` cannot have made."""
    try:
        usable = extract_parameters(text).memory_cost <= _LARGEST
    except (InvalidHashError, UnsupportedParametersError, ValueError):
        usable = False
    if not usable:
        raise ValueError("is no Argon2 hash; make one with `leadgate hash-password`")
    return text


def _plain(password: str) -> bytes:
    """The same on every keyboard: ö may come as one character or as two."""
    return normalize("NFC", password).encode("utf-8", "surrogatepass")


class Verifier:
    """Checks passwords in turn: each takes 64 MiB and a core for a tenth of a second, and visitors come first."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def verify(self, hashed: str, password: str, *, trusted: bool = False) -> bool:
        """Raises TooManyAtOnce, unless whoever asks is `trusted` to be no flood."""
        if self._waiting >= _LONGEST_QUEUE and not trusted:
            raise TooManyAtOnce
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(_verify, hashed, password)
        finally:
            self._waiting -= 1


def _verify(hashed: str, password: str) -> bool:
    if len(password) > LONGEST:
        return False
    try:
        return _hasher.verify(hashed, _plain(password))
    except (VerificationError, InvalidHashError):
        return False
