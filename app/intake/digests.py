"""Keyed digests: what the store may compare without being able to read it."""

import json
from hashlib import blake2b
from typing import Any

_SIZE = 16
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class Digests:
    """BLAKE2b keyed with the service's secret. A digest tells equality and nothing else."""

    def __init__(self, secret: bytes) -> None:
        self._key = blake2b(secret, digest_size=32, person=b"leadgate-digest").digest()

    def of_email(self, address: str) -> str:
        return self._digest("email", address.casefold())

    def of_phone(self, number: str) -> str:
        return self._digest("phone", number)

    def of_body(self, form: str, body: Any) -> str:
        """Of canonical JSON: the order of keys does not matter, everything else does."""
        return self._digest(f"body\0{form}", _CANONICAL.encode(body))

    def of_idempotency_key(self, key: str) -> str:
        return self._digest("idempotency", key)

    def of_password(self, password: str) -> str:
        return self._digest("password", password)

    def _digest(self, purpose: str, text: str) -> str:
        data = f"{purpose}\0{text}".encode("utf-8", "surrogatepass")
        return blake2b(data, key=self._key, digest_size=_SIZE).hexdigest()
