"""A web address as it may be kept: nobody's login, token or e-mail address in it."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from app.intake.text import clean_line, mask_identity_numbers

MAX_ADDRESS = 2048
"""Characters."""

_READ = 8192
"""Characters of an address that are looked at: more than servers take (RFC 9110 §4.1 asks for 8,000)."""

REMEMBERED = 1000
"""Characters of a text whose reading is remembered: a body of 64 KiB may hold one of any length."""

_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?|[0-9a-f:.]*:[0-9a-f:.]*")
_MAX_HOST = 253  # RFC 1035 §2.3.4, in its written form
_EMAIL_LIKE = re.compile(r"[^\s/?&=@:;,]{1,64}(?:@|%(?:25)*40)[^\s/?&=@:;,]{1,255}", re.IGNORECASE)
_MASK = "***"
_SAFE = "/%:@!$&'()*+,;=~-._"


def split_address(address: Any) -> SplitResult | None:
    """The parts of an http address with a host that can be; None for anything else."""
    if not isinstance(address, str):
        return None
    return (_split if len(address) <= REMEMBERED else _split.__wrapped__)(address[:_READ])


# One page's visitors all come with the page's address: it is taken apart once.
@lru_cache(maxsize=256)
def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(clean_line(address))
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and host_of(parts) else None


def host_of(parts: SplitResult) -> str | None:
    """The host as a browser sends it: lower case, xn-- for what is not ASCII, no brackets."""
    host = parts.hostname or ""
    if len(host) > _MAX_HOST:
        return None
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return name if _HOST.fullmatch(name) else None


def query_of(address: Any) -> Sequence[tuple[str, str]]:
    parts = split_address(address)
    return _find_pairs(parts.query) if parts and parts.query else ()


def _find_pairs(query: str) -> tuple[tuple[str, str], ...]:
    return (_parse_query if len(query) <= REMEMBERED else _parse_query.__wrapped__)(query)


@lru_cache(maxsize=256)
def _parse_query(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query))


def clean_address(address: Any, *, keep: AbstractSet[str]) -> str | None:
    """Scheme, host, path and the parameters to keep, by their lower-case names; None for no http address.

    Over MAX_ADDRESS the query goes first, then the end of the path.
    """
    if not isinstance(address, str):
        return None
    return (_clean if len(address) <= REMEMBERED else _clean.__wrapped__)(address, frozenset(keep))


@lru_cache(maxsize=256)
def _clean(address: str, keep: frozenset[str]) -> str | None:
    parts = split_address(address)
    if parts is None:
        return None
    path = _cut(quote(parts.path[:MAX_ADDRESS], safe=_SAFE))
    base = _cut(_origin_of(parts) + _mask(path))
    query = urlencode([(name, value) for name, value in _find_pairs(parts.query) if name.lower() in keep])
    # Measured before masking, so that only what is short is searched.
    return f"{base}?{_mask(query)}" if query and len(base) + len(query) < MAX_ADDRESS else base


def _origin_of(parts: SplitResult) -> str:
    host = host_of(parts)
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://[{host}]{port}" if ":" in (host or "") else f"{parts.scheme}://{host}{port}"


def _mask(text: str) -> str:
    return mask_identity_numbers(_EMAIL_LIKE.sub(_MASK, text), bare=False)


def _cut(address: str) -> str:
    """At the limit, and not within a percent-encoded character."""
    if len(address) <= MAX_ADDRESS:
        return address
    return re.sub(r"%.?$", "", address[:MAX_ADDRESS])
