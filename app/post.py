"""The mail server, as its address in the environment says: who, how guarded, and who the sender is."""

from dataclasses import dataclass, field
from email.headerregistry import Address
from email.utils import parseaddr
from ipaddress import ip_address
from urllib.parse import parse_qs, unquote, urlsplit

_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    host: str
    port: int
    tls: bool
    """From the first byte; otherwise STARTTLS where it is offered."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: Address | None = None

    @property
    def is_local(self) -> bool:
        """This machine itself: nobody stands between, so that TLS is not required."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_mail_server(url: str) -> MailServer:
    """`smtp://user:password@host:587?from=Leads <leads@example.se>`. Raises ValueError, never with a value."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise ValueError(_EXAMPLE) from None
    wanted = parse_qs(parts.query)
    odd = set(wanted) - {"from"} or parts.path not in {"", "/"} or parts.fragment
    if parts.scheme not in _PORTS or not parts.hostname or odd:
        raise ValueError(_EXAMPLE)
    if bool(parts.username) != bool(parts.password):
        raise ValueError("has half a login; write smtp://user:password@host, with % for what is special")
    username = unquote(parts.username or "") or None
    return MailServer(
        host=parts.hostname,
        port=port,
        tls=parts.scheme == "smtps",
        username=username,
        password=unquote(parts.password or "") or None,
        sender=read_address(wanted["from"][0]) if "from" in wanted else _as_sender(username),
    )


_EXAMPLE = "must be smtp://user:password@host:587 or smtps://…, at most with ?from=leads@example.se"


def read_address(text: str) -> Address:
    """`Leads <leads@example.se>` or the address alone, its domain as DNS knows it: mäklare.se is xn--mklare-bua.se.

    Raises ValueError, never with a value.
    """
    name, spec = parseaddr(text)
    local, at, domain = spec.rpartition("@")
    # Of `a:b@example.se` the parser makes another's address.
    is_whole = spec == text.strip() or text.strip().endswith(f"<{spec}>")
    if not (local and at and domain and is_whole) or not text.isprintable() or any(map(str.isspace, spec)):
        raise ValueError(_NO_ADDRESS)
    if not local.isascii():
        raise ValueError("must have nothing but ASCII before the @: most mail servers take no å there")
    try:
        in_dns = domain.encode("idna")
        found = Address(display_name=name, addr_spec=f"{local}@{in_dns.decode('ascii')}")
    except (ValueError, IndexError, LookupError):
        raise ValueError(_NO_ADDRESS) from None
    if in_dns.decode("idna").lower() != domain.lower():
        raise ValueError(
            "must have its domain in ASCII: what it means in DNS is not certain"
        )  # ß, as ss or as ß
    return found


_NO_ADDRESS = "must be an e-mail address such as leads@example.se"


def _as_sender(username: str | None) -> Address | None:
    try:
        return read_address(username or "")
    except ValueError:
        return None
