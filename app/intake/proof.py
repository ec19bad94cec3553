"""Proof of work by ALTCHA's protocol, version 2: challenges made here, and what comes back for them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from hashlib import blake2b
from typing import Any

from app.forms.model import Form
from app.store.words import Proof

GOOD_FOR = timedelta(minutes=20)
"""Long enough for a slow phone, and for a network that went away meanwhile."""

# PBKDF2 is what every browser computes by itself. A solver tries 256 keys on average: half a second's work on a
# laptop, some seconds' on an old phone, and for whoever sends ten thousand an hour of a processor's time each run.
_ALGORITHM = "PBKDF2/SHA-256"
_COST = 4_000
_PREFIX = "00"

_LONGEST = 4096  # characters of a payload; one of ours has some 700


class Work(Enum):
    """What came in the field `altcha`."""

    NONE = auto()
    """Nothing: whoever sent it may not know of the protocol."""
    DONE = auto()
    NOT_DONE = auto()
    """Something else: the work could not be done there, or it was done for another form or too long ago."""


@dataclass(frozen=True, slots=True)
class Answer:
    work: Work
    proof: Proof | None = None


NOTHING = Answer(Work.NONE)
NOT_DONE = Answer(Work.NOT_DONE)


class Challenger:
    """Makes challenges, and checks what comes back. What has been spent only the store knows."""

    def __init__(self, secret: bytes) -> None:
        self._secret = blake2b(secret, digest_size=32, person=b"leadgate-altcha").hexdigest()

    def issue(self, form: Form, *, now: datetime) -> dict[str, Any]:
        """A challenge as the protocol has it: parameters and signature. It is good for one lead of this form."""
        from altcha import create_challenge  # noqa: PLC0415 - most processes never ask for work

        challenge = create_challenge(
            _ALGORITHM,
            _COST,
            key_prefix=_PREFIX,
            expires_at=now + GOOD_FOR,
            data={"form": form.name},
            hmac_secret=self._secret,
        )
        made: dict[str, Any] = challenge.to_dict()
        return made

    def check(self, payload: object, form: Form, *, now: datetime) -> Answer:
        """Takes some milliseconds where the signature is ours, and is not to be called in the event loop."""
        if payload is None or payload == "":
            return NOTHING
        if not isinstance(payload, str) or not 0 < len(payload) <= _LONGEST or not payload.isascii():
            return NOT_DONE
        from altcha import verify_solution  # noqa: PLC0415

        if not verify_solution(payload, self._secret).verified:
            return NOT_DONE
        return _read_ours(json.loads(base64.b64decode(payload))["challenge"]["parameters"], form, now)


def _read_ours(parameters: Mapping[str, Any], form: Form, now: datetime) -> Answer:
    """Of parameters that we signed, so that they are as we made them."""
    expires_at = datetime.fromtimestamp(parameters["expiresAt"], UTC)
    if parameters["data"]["form"] != form.name or expires_at < now:
        return NOT_DONE
    return Answer(Work.DONE, Proof(parameters["nonce"], expires_at))
