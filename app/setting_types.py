"""The kinds of settings: what each may be, and the sentence for what it is not."""

import re
from base64 import urlsafe_b64decode
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from app.passwords import check_hash
from app.post import read_address, read_mail_server
from app.rates import check_rate

Network = IPv4Network | IPv6Network

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _parse_duration(text: str) -> timedelta:
    """`90s`, `15m`, `8h`, `30d`, or a bare number of seconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("is no duration; write 30s, 15m, 8h or 30d")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2] or "s"])


def _check_duration(value: timedelta) -> timedelta:
    if not timedelta() < value < timedelta(days=3650):
        raise ValueError("must be longer than nothing and shorter than ten years, such as 15m")
    return value


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parse_network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is no network; write one such as 127.0.0.1 or 10.0.0.0/8") from None


def _split_address(value: str) -> SplitResult | None:
    """None for what is no http(s) address of a host alone, at most with a path."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    clean = not (parts.username or parts.password or parts.query or parts.fragment)
    return parts if usable and clean and not re.search(r"\s", value) else None


def _check_base_url(value: str) -> str:
    parts = _split_address(value)
    if parts is None:
        raise ValueError(
            "must be an address such as https://connect.maklare.vitec.net, without login, query or fragment"
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must begin with https://, or the password would travel in the clear")
    return value.rstrip("/")


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def _check_public_url(value: str) -> str:
    if _split_address(value) is None:
        raise ValueError("must be how visitors reach this service, such as https://forms.example.se")
    return value.rstrip("/")


def _check_webhook(value: SecretStr) -> SecretStr:
    """Such addresses hold a secret: what is wrong is not repeated."""
    address = value.get_secret_value()
    try:
        parts = urlsplit(address)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", address):
        raise ValueError("must be an address such as https://hooks.example.se/alerts")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must begin with https://; http is for this machine alone")
    return value


def _check_mail_server(value: SecretStr) -> SecretStr:
    read_mail_server(value.get_secret_value())
    return value


def _check_email(value: str) -> str:
    return read_address(value.strip()).addr_spec


SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgresql+psycopg://")


def _check_database_url(value: str) -> str:
    """What is wrong is not repeated: it may hold a password."""
    if value.startswith(_POSTGRESQL):
        try:
            parts = urlsplit(value)
            named = parts.port != 0 and parts.path.strip("/")
        except ValueError:
            named = ""
        if not named:
            raise ValueError("must name a database, such as postgresql://user:password@host:5432/leadgate")
    elif not value.startswith(SQLITE) or value.endswith("/"):
        raise ValueError("must be sqlite:///path/to/leadgate.db or postgresql://user:password@host/database")
    return value


def _check_password_hash(value: SecretStr) -> SecretStr:
    check_hash(value.get_secret_value())
    return value


def _check_fernet_key(key: SecretStr) -> SecretStr:
    """What is wrong is not repeated. Told here, not by the library: it is imported where there is something to seal."""
    try:
        whole = len(urlsafe_b64decode(key.get_secret_value())) == 32
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(
            "is no Fernet key, which is 32 random bytes in URL-safe base64 (44 characters); make one with "
            "`openssl rand -base64 32 | tr +/ -_`"
        )
    return key


BaseUrl = Annotated[str, AfterValidator(_check_base_url)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database_url), Field(repr=False)]
Duration = Annotated[timedelta, BeforeValidator(_parse_duration), AfterValidator(_check_duration)]
Durations = Annotated[tuple[Duration, ...], BeforeValidator(_split), Field(min_length=1)]
Email = Annotated[str, AfterValidator(_check_email)]
FernetKeys = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_check_fernet_key)], ...], BeforeValidator(_split)
]
MailUrl = Annotated[SecretStr, AfterValidator(_check_mail_server)]
Networks = Annotated[tuple[Annotated[Network, BeforeValidator(_parse_network)], ...], BeforeValidator(_split)]
PasswordHash = Annotated[SecretStr, AfterValidator(_check_password_hash)]
PublicUrl = Annotated[str, AfterValidator(_check_public_url)]
Rate = Annotated[str, AfterValidator(check_rate)]
Webhook = Annotated[SecretStr, AfterValidator(_check_webhook)]
