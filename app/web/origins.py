"""Whose page a request comes from, and what a browser is told of the answer."""

from collections.abc import Iterable
from enum import Enum
from urllib.parse import urlsplit

from starlette.requests import Request

_DEFAULT_PORTS = {"http": 80, "https": 443}

EXPOSED = "Location, Retry-After, Idempotent-Replayed, Preference-Applied"


class Standing(Enum):
    OWN = "own"
    LISTED = "listed"
    ABSENT = "absent"
    STRANGER = "stranger"


def judge_origin(
    *,
    origin: str | None,
    host: str | None,
    fetch_site: str | None,
    allowed: Iterable[str] = (),
    public_url: str | None = None,
) -> Standing:
    """Whether a page of that origin may speak here.

    The service's own is known by its host, as a proxy that ends TLS leaves no other trace; a browser's word
    `same-origin` stands even with `Origin: null`.
    """
    if origin is None:
        return Standing.ABSENT
    if fetch_site == "same-origin":
        return Standing.OWN
    claimed = _read_origin(origin)
    if claimed is None:
        return Standing.STRANGER
    scheme = claimed[0]
    if public_url and claimed == _read_origin(public_url):
        return Standing.OWN
    if host and _read_origin(f"{scheme}://{host}") == claimed:
        return Standing.OWN
    return Standing.LISTED if any(_read_origin(one) == claimed for one in allowed) else Standing.STRANGER


def _read_origin(text: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(text)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port


def judge_request(request: Request, *, allowed: Iterable[str], public_url: str | None) -> Standing:
    headers = request.headers
    return judge_origin(
        origin=headers.get("origin"),
        host=headers.get("host"),
        fetch_site=headers.get("sec-fetch-site"),
        allowed=allowed,
        public_url=public_url,
    )


def cors_headers(request: Request, standing: Standing) -> dict[str, str]:
    """For every answer of the API, whatever its status: a cache must not hand one origin's to another."""
    headers = {"Vary": "Origin"}
    if standing in {Standing.OWN, Standing.LISTED}:
        headers["Access-Control-Allow-Origin"] = request.headers["origin"]
        headers["Access-Control-Expose-Headers"] = EXPOSED
    return headers


def preflight_headers(request: Request, standing: Standing, *, methods: str) -> dict[str, str]:
    headers = cors_headers(request, standing)
    if standing in {Standing.OWN, Standing.LISTED}:
        headers |= {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": "Content-Type, Idempotency-Key, Prefer",
            "Access-Control-Max-Age": "7200",
        }
    return headers
