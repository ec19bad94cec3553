"""The cookie of somebody who has signed in: whose it is, since when, and under which password."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from itsdangerous import BadData, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from app.identity import IdentitySource
from app.users import LiveUsers, User

LASTS = timedelta(hours=12)
"""A working day: nobody signs in twice, and a machine that was left open is safe by the next morning."""

_NAME = "leadgate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    id: str
    user: User
    expires_at: datetime


class Sessions:
    """Nothing is kept of a session but that it was ended: its cookie says the rest, and is signed."""

    def __init__(self, secret: bytes, users: LiveUsers) -> None:
        self._serializer = URLSafeSerializer(secret, salt="leadgate.admin")
        self._key = blake2b(secret, digest_size=32, person=b"leadgate-admin").digest()
        self._identities = IdentitySource()
        self._users = users

    def issue(self, user: User, *, now: datetime) -> str:
        content = [user.name, self._identities.new_id(now), int(now.timestamp()), self._mark(user)]
        return str(self._serializer.dumps(content))

    def read(self, text: str | None, *, now: datetime) -> Session | None:
        """None for one that is not ours, has run out, or was begun under another password."""
        try:
            name, session_id, began, mark = self._serializer.loads(text or "")
            expires_at = datetime.fromtimestamp(began, UTC) + LASTS
        except (BadData, ValueError, TypeError, OverflowError):
            return None
        user = self._users.current.get(name)
        if user is None or mark != self._mark(user) or not now < expires_at <= now + LASTS:
            return None
        return Session(id=session_id, user=user, expires_at=expires_at)

    def _mark(self, user: User) -> str:
        """Another password, another mark."""
        return blake2b(user.password_hash.encode(), key=self._key, digest_size=12).hexdigest()


def read_cookie(request: Request, *, secure: bool) -> str | None:
    """Over https only what `__Host-` vouches for: a cookie without it may have been set from plain http."""
    found = request.cookies.get(f"__Host-{_NAME}")
    return found if found or secure else request.cookies.get(_NAME)


def set_cookie(response: Response, value: str, *, secure: bool) -> None:
    response.set_cookie(
        f"__Host-{_NAME}" if secure else _NAME,
        value,
        max_age=int(LASTS.total_seconds()),
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def clear_cookies(response: Response, request: Request) -> None:
    for name in (f"__Host-{_NAME}", _NAME):
        if name in request.cookies:
            secure = name != _NAME
            response.set_cookie(name, "", max_age=0, secure=secure, httponly=True, samesite="strict")
