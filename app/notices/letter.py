"""A mail before it is sent: made by the standard library's own policy, which refuses a header with a line break."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256

from app.post import read_address

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    to: Address
    subject: str
    text: str
    html: str | None = None
    reply_to: Address | None = None
    sender_name: str = "Leadgate"


def write_message(letter: Letter, *, sender: Address, key: str, now: datetime) -> EmailMessage:
    """`key`: what is told; the same again has the same Message-ID, by which a reader knows it for a copy."""
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(display_name=_clean(letter.sender_name), addr_spec=sender.addr_spec)
    message["To"] = letter.to
    if letter.reply_to is not None:
        message["Reply-To"] = letter.reply_to
    message["Subject"] = _clean(letter.subject, limit=200)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{sha256(key.encode()).hexdigest()[:40]}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers, please
    message["X-Auto-Response-Suppress"] = "All"  # Exchange's word for the same
    message.set_content(letter.text, cte="quoted-printable")
    if letter.html is not None:
        message.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    return message


def name_address(name: str, spec: str | None) -> Address | None:
    """A visitor's address to answer to. None where a header cannot hold it: it stands in the text as well."""
    try:
        return Address(display_name=_clean(name), addr_spec=read_address(spec or "").addr_spec)
    except ValueError:
        return None


def _clean(text: str, *, limit: int = _LONGEST_NAME) -> str:
    printable = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(printable.split())[:limit]
