"""Puts telling together from the operator's terms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address

from app.forms.live import LiveForms
from app.links import LinkSigner
from app.notices.composer import Composer
from app.notices.dispatcher import Dispatcher, Means
from app.notices.mailer import Mailer
from app.notices.office import OfficeDesk
from app.notices.planner import Channels, Planner
from app.notices.webhook import Outward
from app.post import MailServer, read_address
from app.store.alarms import Conditions
from app.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the operator has set."""

    mail_server: MailServer | None = None
    alert_email: str | None = None
    webhook_url: str | None = None
    public_url: str | None = None

    @property
    def sender(self) -> Address | None:
        if self.mail_server is not None and self.mail_server.sender is not None:
            return self.mail_server.sender
        return read_address(self.alert_email) if self.alert_email else None


def make_dispatcher(
    *,
    store: Store,
    forms: LiveForms,
    secret: bytes,
    terms: Terms,
    outward: Outward,
    now: Callable[[], datetime],
    look_outside: Callable[[], Mapping[str, Conditions]] = dict,
) -> Dispatcher:
    mail = terms.mail_server is not None
    operator = [
        name
        for name, there in (("mail", mail and terms.alert_email), ("webhook", terms.webhook_url))
        if there
    ]
    office = OfficeDesk(
        forms=forms,
        signer=LinkSigner(secret),
        public_url=terms.public_url,
        alert_email=terms.alert_email,
    )
    return Dispatcher(
        store=store,
        planner=Planner(forms=forms, office=office, channels=Channels(mail=mail, operator=tuple(operator))),
        composer=Composer(store=store, forms=forms, office=office, alert_email=terms.alert_email, now=now),
        means=Means(
            sender=terms.sender,
            mailer=Mailer(terms.mail_server) if terms.mail_server else None,
            outward=outward,
            webhook_url=terms.webhook_url,
        ),
        look_outside=look_outside,
        now=now,
    )
