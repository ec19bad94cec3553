"""A real SMTP server on loopback, in a thread, that keeps what it is sent."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

LOGIN = ("leadgate", "brev lösen/@")


@dataclass(slots=True)
class Mailbox:
    """What came, and how the server behaves."""

    envelopes: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Recipients that are not let in."""
    failing: bool = False
    """Whether every mail is answered with 451."""
    port: int = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?from=leads@byran.example"

    @property
    def mails(self) -> list[EmailMessage]:
        return [_parse(one.content) for one in self.envelopes]

    def to(self, address: str) -> list[EmailMessage]:
        pairs = zip(self.envelopes, self.mails, strict=True)
        return [mail for envelope, mail in pairs if envelope.rcpt_tos == [address]]

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused:
            return f"550 {address} is unknown here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.failing:
            return "451 try again later"
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"


def _parse(content: bytes | str | None) -> EmailMessage:
    assert isinstance(content, bytes)
    return message_from_bytes(content, policy=default)


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def links_in(mail: EmailMessage) -> list[str]:
    return [line for line in text_of(mail).splitlines() if "/settle/" in line]


def _check(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == LOGIN
    return AuthResult(success=right, handled=False)


@contextmanager
def open_mailbox(
    *, tls: ssl.SSLContext | None = None, implicit: bool = False, login: bool = False
) -> Iterator[Mailbox]:
    """`tls` is offered by STARTTLS, or spoken from the first byte; `login` is then required."""
    mailbox = Mailbox()
    options: dict[str, Any] = {"authenticator": _check, "auth_required": True} if login else {}
    if login:
        options["auth_require_tls"] = tls is not None and not implicit
    if tls is not None and not implicit:
        options["tls_context"] = tls
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(
        _serve(mailbox, tls if implicit else None, options), loop
    ).result(10)
    try:
        mailbox.port = server.sockets[0].getsockname()[1]
        yield mailbox
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _serve(mailbox: Mailbox, tls: ssl.SSLContext | None, options: dict[str, Any]) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: SMTP(mailbox, hostname="127.0.0.1", loop=loop, **options), "127.0.0.1", 0, ssl=tls
    )


async def _close(server: asyncio.Server) -> None:
    """With the sessions that are still open, and whatever they were about to do."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0)
