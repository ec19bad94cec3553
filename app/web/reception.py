"""What every handler needs, put together once by main."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request

from app.forms.live import LiveForms
from app.forms.model import Form
from app.identity import IdentitySource
from app.intake.accept import Acceptor
from app.intake.definition import Definition
from app.store.store import Store
from app.web.origins import Standing, judge_request
from app.web.rendering import Renderer


@dataclass(frozen=True, slots=True, kw_only=True)
class PageToken:
    """What a rendered page carries and sends back: which one it was, and when it was made."""

    nonce: str
    issued_at: datetime


class TokenSigner:
    """Signs page tokens. One that was not made here for this form is as good as none."""

    def __init__(self, secret: bytes) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="leadgate.page")
        self._identities = IdentitySource()

    def issue(self, form: Form, *, now: datetime) -> str:
        # A time-ordered nonce: as an idempotency key it is appended to its index, not scattered over it.
        return str(self._serializer.dumps([form.name, self._identities.new_id(now)]))

    def read(self, text: str | None, form: Form) -> PageToken | None:
        if not text:
            return None
        try:
            (name, nonce), issued_at = self._serializer.loads(text, return_timestamp=True)
        except (BadData, ValueError, TypeError):
            return None
        return PageToken(nonce=nonce, issued_at=issued_at.astimezone(UTC)) if name == form.name else None


@dataclass(slots=True, kw_only=True)
class Reception:
    forms: LiveForms
    store: Store
    acceptor: Acceptor
    signer: TokenSigner
    renderer: Renderer = field(default_factory=Renderer)
    public_url: str | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _definitions: dict[str, Definition] = field(default_factory=dict)

    def define(self, form: Form) -> Definition:
        """The form's fields, compiled once for as long as the form is in force."""
        known = self._definitions.get(form.name)
        if known is None or known.form is not form:
            known = self._definitions[form.name] = Definition(form)
        return known

    def judge(self, request: Request, form: Form | None) -> Standing:
        return judge_request(
            request, allowed=form.allowed_origins if form else (), public_url=self.public_url
        )

    def own_hosts(self, request: Request, form: Form) -> frozenset[str]:
        """Hosts that send a visitor from one page of ours to the next: no referrers."""
        addresses = (*form.allowed_origins, self.public_url or "", f"//{request.headers.get('host', '')}")
        return frozenset(host for host in map(_host_of, addresses) if host)


def _host_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
