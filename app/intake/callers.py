"""Who sends, as far as it is anybody's business: a bucket to count in, a network that is trusted, a server's key."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b, sha256
from hmac import compare_digest
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, inet_pton

from app.errors import LeadgateError
from app.forms.model import ApiKey, Form

# Drawn anew by each process: what is counted in memory is nobody's address, and tells nothing afterwards.
_SALT = os.urandom(32)


class KeyRefused(LeadgateError):
    """An API key that is missing, unknown, or not for this form."""

    def __init__(self, *, known: bool = False) -> None:
        self.known = known
        super().__init__("not for this form" if known else "missing or unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    bucket: str
    """What its leads are counted under."""
    trusted: bool = False
    """In a network that the form trusts: neither counted nor suspected for its address."""
    key: ApiKey | None = None


def identify(host: str | None, form: Form, *, key: ApiKey | None = None) -> Caller:
    """`host` is the client's address, as a trusted proxy or the connection itself tells it."""
    if key is not None:
        return Caller(bucket=f"key {key.name}", key=key)
    networks = _read_networks(form.spam.trusted_networks)
    if not networks:
        return Caller(bucket=_find_bucket(host))
    address = _read_address(host)
    trusted = address is not None and any(address in network for network in networks)
    return Caller(bucket=_name_bucket(address, host), trusted=trusted)


def _find_bucket(host: str | None) -> str:
    try:
        counted = inet_pton(AF_INET, host or "")
    except (OSError, ValueError):  # IPv6, and whatever is no address
        return _name_bucket(_read_address(host), host)
    return _digest(counted)


def _read_address(host: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:  # a Unix socket, or a proxy that calls somebody "unknown"
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _name_bucket(address: IPv4Address | IPv6Address | None, host: str | None) -> str:
    """IPv4 by address. IPv6 by its /64, which is one customer's to choose addresses from."""
    if isinstance(address, IPv6Address):
        counted = address.packed[:8]
    else:
        counted = address.packed if address else (host or "").encode()
    return _digest(counted)


def _digest(counted: bytes) -> str:
    return blake2b(counted, key=_SALT, digest_size=16).hexdigest()


@cache
def _read_networks(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(network) for network in networks)


def find_key(authorization: str | None, form: Form, keys: Mapping[str, ApiKey]) -> ApiKey | None:
    """The key that a request shows (RFC 6750 §2.1). None where it shows none and the form asks for none.

    Raises KeyRefused. A login of another scheme is a proxy's business.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        if form.spam.require_key:
            raise KeyRefused
        return None
    shown = sha256(token.strip().encode()).hexdigest()
    # Each is compared, and in the same time: nobody learns which one was nearly right.
    found = [key for key in keys.values() if compare_digest(key.hash, shown)]
    if not found:
        raise KeyRefused
    if form.name not in found[0].forms:
        raise KeyRefused(known=True)
    return found[0]
