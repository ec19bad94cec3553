"""Mail on the wire: TLS where anybody could listen, a login only inside it, and failures without an address."""

import socket
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from pathlib import Path

import pytest
import trustme

from app.notices.letter import Letter, name_address, write_message
from app.notices.mailer import Mailer, NotSent
from app.post import MailServer, read_address, read_mail_server
from tests.mailboxes import LOGIN, Mailbox, open_mailbox, text_of

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
SENDER = Address(addr_spec="leads@byran.example")
LETTER = Letter(to=Address(addr_spec="anna@example.com"), subject="Åäö", text="Hej på dig\n")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


def server_of(mailbox: Mailbox, **changes: object) -> MailServer:
    values: dict[str, object] = {"host": "127.0.0.1", "port": mailbox.port, "tls": False}
    return MailServer(**values | changes)  # type: ignore[arg-type]


async def send(server: MailServer, letter: Letter = LETTER, *, patience: float = 10) -> None:
    message = write_message(letter, sender=SENDER, key="k", now=NOW)
    async with Mailer(server, patience=timedelta(seconds=patience)).session() as session:
        await session.send(message, sender=SENDER.addr_spec, to=letter.to.addr_spec)


async def test_a_local_server_without_tls_is_spoken_to_plainly() -> None:
    with open_mailbox() as mailbox:
        await send(server_of(mailbox))
        assert mailbox.encrypted == [False]
        [mail] = mailbox.mails
        assert (mail["Subject"], text_of(mail).strip()) == ("Åäö", "Hej på dig")
        assert mailbox.envelopes[0].mail_from == SENDER.addr_spec


async def test_starttls_is_taken_when_it_is_offered(tls: ssl.SSLContext) -> None:
    """Not even a certificate that nobody vouches for keeps a local server's mail."""
    with open_mailbox(tls=tls) as mailbox:
        await send(server_of(mailbox))
        assert mailbox.encrypted == [True]


@pytest.mark.usefixtures("trusted")
async def test_a_login_goes_over_tls(tls: ssl.SSLContext) -> None:
    with open_mailbox(tls=tls, login=True) as mailbox:
        await send(server_of(mailbox, username=LOGIN[0], password=LOGIN[1]))
        with pytest.raises(NotSent, match="SMTPAuthenticationError 535"):
            await send(server_of(mailbox, username=LOGIN[0], password="another"))
        assert mailbox.encrypted == [True]


@pytest.mark.usefixtures("trusted")
async def test_smtps_speaks_tls_from_the_first_byte(tls: ssl.SSLContext) -> None:
    with open_mailbox(tls=tls, implicit=True) as mailbox:
        await send(read_mail_server(f"smtps://127.0.0.1:{mailbox.port}"))
        assert len(mailbox.mails) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with open_mailbox(tls=tls, implicit=True) as mailbox:
        with pytest.raises(NotSent, match="SMTPConnectError"):
            await send(server_of(mailbox, tls=True))
        assert mailbox.envelopes == []


async def test_off_this_machine_no_tls_is_no_mail() -> None:
    """By the machine's own name it is the same server, and could be anybody's."""
    with open_mailbox() as mailbox:
        server = server_of(mailbox, host="localhost.localdomain")
        assert not server.is_local
        assert server_of(mailbox, host="::1").is_local
        client = Mailer(server)._make_client()
        client.hostname = "127.0.0.1"
        with pytest.raises(Exception, match="STARTTLS"):
            await client.connect()
        assert mailbox.envelopes == []


async def test_a_server_that_says_nothing_is_left() -> None:
    # The kernel connects, and nobody greets.
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(NotSent, match="Timeout"):
        await send(MailServer(host="127.0.0.1", port=mute.getsockname()[1], tls=False), patience=0.3)


async def test_nobody_listens() -> None:
    with pytest.raises(NotSent, match="SMTPConnectError"):
        await send(MailServer(host="127.0.0.1", port=9, tls=False))


async def test_a_refusal_names_no_address() -> None:
    with open_mailbox() as mailbox:
        mailbox.refused.add("anna@example.com")
        with pytest.raises(NotSent) as caught:
            await send(server_of(mailbox))
        assert str(caught.value) == "SMTPRecipientsRefused 550"
        assert caught.value.__cause__ is None


async def test_a_domain_with_letters_beyond_ascii_is_written_as_dns_has_it() -> None:
    """Most servers take no other; this one does not."""
    address = read_address("Åsa <kontor@mäklare.se>")
    assert (address.display_name, address.addr_spec) == ("Åsa", "kontor@xn--mklare-bua.se")
    with open_mailbox() as mailbox:
        await send(server_of(mailbox), replace(LETTER, to=address, reply_to=name_address("Bo", "bo@räv.se")))
        [mail] = mailbox.to("kontor@xn--mklare-bua.se")
        assert [one.addr_spec for one in mail["To"].addresses] == ["kontor@xn--mklare-bua.se"]
        assert [one.addr_spec for one in mail["Reply-To"].addresses] == ["bo@xn--rv-via.se"]


@pytest.mark.parametrize(
    "name", ["Eve\r\nBcc: x@evil.example", "Eve\nX: y", 'Eve" <x@evil.example>, "', "\x00\x1b", "é" * 300]
)
def test_no_name_breaks_out_of_its_header(name: str) -> None:
    letter = Letter(
        to=Address(addr_spec="kontoret@byran.example"),
        subject=f"Hej {name}",
        text="Hej\n",
        reply_to=name_address(name, "anna@example.com"),
        sender_name=name,
    )
    message = write_message(letter, sender=SENDER, key="k", now=NOW)
    head = bytes(message).partition(b"\r\n\r\n")[0]
    assert b"\nBcc" not in head
    assert b"\nX:" not in head
    for header, expected in (("Reply-To", "anna@example.com"), ("From", SENDER.addr_spec)):
        assert [one.addr_spec for one in message[header].addresses] == [expected]


@pytest.mark.parametrize(
    "spec", [None, "", "å@example.com", "a b@example.com", "a@b@c", "a@b.se\nBcc: c@d.se"]
)
def test_what_no_header_can_hold_is_left_out(spec: str | None) -> None:
    assert name_address("Eve", spec) is None
