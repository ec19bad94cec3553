"""The signed links in mail by which an agent settles a lead without an account."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from itsdangerous import BadData, URLSafeTimedSerializer

GOOD_FOR = timedelta(days=30)


class Act(StrEnum):
    """What following a link, and pressing its button, does."""

    EXISTS = "exists"
    """The lead is in Vitec: it is not sent again."""
    RETRY = "retry"
    """The lead is sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    lead_id: str
    act: Act
    digest: str
    """What is remembered of a link that has been used."""


class LinkSigner:
    """Signs links. One that was not made here, or is too old, is as good as none."""

    def __init__(self, secret: bytes) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="leadgate.settle")

    def issue(self, lead_id: str, act: Act, *, occasion: str) -> str:
        """`occasion`: the notice it stands in, so that each mail has links of its own."""
        return str(self._serializer.dumps([lead_id, act.value, occasion]))

    def read(self, token: str, *, now: datetime) -> Link | None:
        try:
            content, issued_at = self._serializer.loads(token, return_timestamp=True)
            if now - issued_at > GOOD_FOR:
                return None
            lead_id, act, occasion = map(str, content)
            # Of what it says: the same can be spelt in four ways, and a mail that is written anew says the same.
            digest = sha256(f"{lead_id} {act} {occasion}".encode()).hexdigest()
            return Link(lead_id=lead_id, act=Act(act), digest=digest)
        except (BadData, ValueError, TypeError):
            return None
