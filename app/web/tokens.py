"""The token of a rendered page: which page it was, and when it was made."""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode
from itsdangerous.signer import SigningAlgorithm

from app.forms.model import Form
from app.identity import IdentitySource

FRESH_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageToken:
    nonce: str
    issued_at: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether what is sent with it may still be the same press of the same button."""
        return now - self.issued_at <= FRESH_FOR


class _QuickHmac(SigningAlgorithm):
    """The library's own algorithm in one call instead of four."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, "sha1")


class TokenSigner:
    """Signs page tokens. One that was not made here for this form is as good as none."""

    def __init__(self, secret: bytes) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="leadgate.page")
        # What the serializer would write: its key derived once, and no attempt to compress what is too short for it.
        key = self._serializer.make_signer().derive_key()
        self._signer = TimestampSigner(key, key_derivation="none", algorithm=_QuickHmac())
        self._identities = IdentitySource()

    def issue(self, form: Form, *, now: datetime) -> str:
        # A time-ordered nonce: as an idempotency key it is appended to its index, not scattered over it.
        page = f'["{form.name}","{self._identities.new_id(now)}"]'  # JSON: neither needs an escape
        return self._signer.sign(base64_encode(page)).decode()

    def read(self, text: str | None, form: Form) -> PageToken | None:
        if not text:
            return None
        try:
            (name, nonce), issued_at = self._serializer.loads(text, return_timestamp=True)
        except (BadData, ValueError, TypeError):
            return None
        return PageToken(nonce=nonce, issued_at=issued_at.astimezone(UTC)) if name == form.name else None
