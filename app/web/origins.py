"""Whose page a request comes from, and whose page may read the answer."""

import re
from collections.abc import Container

_ORIGIN = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}

_EXPOSED = (
    "Location, Retry-After, Idempotent-Replayed, Preference-Applied, Leadgate-Conversion, Leadgate-Redirect"
)


def read_origin(text: str) -> str | None:
    """As a forms file lists it, in lower case and without a default port; None for `null` and what is none."""
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    plain = port is None or int(port) == _DEFAULT_PORTS[scheme]
    return f"{scheme}://{host}" if plain else f"{scheme}://{host}:{int(port)}"


def may_speak(
    *,
    origin: str | None,
    host: str | None,
    fetch_site: str | None,
    allowed: Container[str] = (),
    public_url: str | None = None,
) -> bool:
    """Whether a page of that origin may speak here; a request without one is no page of a stranger's.

    The service's own is known by its host, as a proxy that ends TLS leaves no other trace; a browser's word
    `same-origin` stands even with `Origin: null`.
    """
    if origin is None or fetch_site == "same-origin":
        return True
    claimed = read_origin(origin)
    if claimed is None:
        return False
    scheme = claimed.partition(":")[0]
    own = (f"{scheme}://{host}", "/".join((public_url or "").split("/")[:3]))
    return claimed in allowed or claimed in map(read_origin, own)


def is_own(
    *, origin: str | None, host: str | None, fetch_site: str | None, public_url: str | None = None
) -> bool:
    """Whether a request comes from a page of ours: a browser says so in one of two ways, and who says neither is none.

    Sec-Fetch-Site is sent over https and on loopback, Origin with every POST.
    """
    if fetch_site is not None:
        return fetch_site == "same-origin"
    return origin is not None and may_speak(origin=origin, host=host, fetch_site=None, public_url=public_url)


def cors_headers(origin: str | None, *, admitted: bool) -> dict[str, str]:
    """For every answer of the API, whatever its status: a cache must not hand one origin's to another."""
    headers = {"Vary": "Origin"}
    if origin and admitted and read_origin(origin):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _EXPOSED
    return headers


def preflight_headers(method: str) -> dict[str, str]:
    """What a page may ask, if its origin may ask at all."""
    return {
        "Access-Control-Allow-Methods": method,
        "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, Prefer",
        "Access-Control-Max-Age": "7200",
    }
