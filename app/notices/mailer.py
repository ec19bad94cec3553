"""Hands mail to the server: TLS where anybody could listen, one session for all that is due, nothing waits for long."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from app.post import MailServer

_PATIENCE = timedelta(seconds=20)
"""For a session to be opened, and for each mail."""


class NotSent(Exception):
    """Why, without an address or a word of the mail."""


@dataclass(frozen=True, slots=True)
class Mailer:
    server: MailServer
    patience: timedelta = _PATIENCE

    @asynccontextmanager
    async def session(self) -> AsyncIterator["Session"]:
        """Raises NotSent."""
        client = self._make_client()
        try:
            async with asyncio.timeout(self.patience.total_seconds()):
                await client.connect()
        except (SMTPException, OSError, ValueError) as error:
            client.close()
            raise NotSent(explain(error)) from None
        try:
            yield Session(client, self.patience)
        finally:
            await _leave(client)

    def _make_client(self) -> SMTP:
        server = self.server
        return SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            # Its default asks the DNS, which may take its time.
            local_hostname=socket.gethostname().encode("ascii", "ignore").decode() or "localhost",
            timeout=self.patience.total_seconds(),
            use_tls=server.tls,
            start_tls=False if server.tls else None if server.is_local else True,
            # A certificate for this machine itself proves nothing, and is seldom more than the package's own.
            tls_context=ssl.create_default_context() if server.tls or not server.is_local else None,
            validate_certs=server.tls or not server.is_local,
        )


async def _leave(client: SMTP) -> None:
    try:
        async with asyncio.timeout(2):
            await client.quit()
    except (SMTPException, OSError):
        client.close()


@dataclass(frozen=True, slots=True)
class Session:
    client: SMTP
    patience: timedelta

    async def send(self, message: EmailMessage, *, sender: str, to: str) -> None:
        """The server has it when this returns. Raises NotSent."""
        try:
            async with asyncio.timeout(self.patience.total_seconds()):
                await self.client.send_message(message, sender=sender, recipients=[to])
        except (SMTPException, OSError, ValueError) as error:
            raise NotSent(explain(error)) from None


def explain(error: Exception) -> str:
    """The kind of failure and the server's code: its words may repeat an address."""
    code: int | None = None
    if isinstance(error, SMTPRecipientsRefused):
        code = next((one.code for one in error.recipients), None)
    elif isinstance(error, SMTPResponseException):
        code = error.code
    return f"{type(error).__name__} {code}" if code and code > 0 else type(error).__name__
