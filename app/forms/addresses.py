"""Web addresses in a forms file: origins, pages, files of a theme, Vitec's own."""

import re
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.?|\[[0-9a-f:.]+\]")
_UNSAFE = re.compile(r"[\s<>\"'`\\{}|^\x00-\x1f\x7f]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str | None) -> bool:
    """Whether a host name is this machine, as browsers see it."""
    name = (host or "").lower()
    return name in {"localhost", "::1", "[::1]"} or name.endswith(".localhost") or name.startswith("127.")


def parse_origin(text: str) -> str:
    """Lower-case `scheme://host[:port]` without a default port (RFC 6454). Raises ValueError."""
    if "*" in text:
        raise ValueError("may not have a wildcard; list every origin, such as https://www.example.se")
    parts = _split(text if "://" in text else f"https://{text}")
    origin = _origin(parts) if parts else None
    if parts is None or origin is None:
        raise ValueError("is no origin; write one such as https://www.example.se")
    if "://" not in text:
        raise ValueError(f"has no scheme; write {origin}")
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("must begin with https:// (or http:// on this machine)")
    if parts.username or parts.password or parts.path or parts.query or parts.fragment or text.endswith("#"):
        raise ValueError(f"must be scheme and host alone, without a slash or path; write {origin}")
    return origin


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port  # urlsplit looks at the port only when asked
    except ValueError:
        return None
    return None if _UNSAFE.search(text) else parts


def _origin(parts: SplitResult) -> str | None:
    host = parts.hostname or ""
    try:
        # A browser sends https://mäklare.se as https://xn--mklare-bua.se.
        name = f"[{host}]" if ":" in host else host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    if not _HOST.fullmatch(name):
        return None
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{name}{port}"


def check_page_url(text: str) -> str:
    """An absolute http(s) address that a visitor is sent or pointed to. Raises ValueError."""
    parts = _split(text)
    if parts is None or parts.scheme not in _DEFAULT_PORTS or _origin(parts) is None:
        raise ValueError("must be a whole address, such as https://www.example.se/tack")
    if parts.username or parts.password:
        raise ValueError("must not have a login in it")
    return text


def check_asset(text: str) -> str:
    """A logo or stylesheet: https, or a path on this service without a way out of it. Raises ValueError."""
    parts = _split(text)
    if parts is not None and parts.scheme == "https" and _origin(parts) and not parts.username:
        return text
    rooted = text.startswith("/") and not text.startswith("//")
    if parts is None or not rooted or "%" in text or ".." in parts.path.split("/"):
        raise ValueError("must be an https address, or a path from the root such as /static/logo.svg")
    return text


def check_base_url(text: str) -> str:
    """Vitec's address: https except on loopback, without the trailing slash. Raises ValueError."""
    parts = _split(text)
    if parts is None or parts.scheme not in _DEFAULT_PORTS or _origin(parts) is None:
        raise ValueError("is no address; write https://connect.maklare.vitec.net")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https://, or the password would travel in the clear")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be scheme, host and at most a path: no login, query or fragment")
    return text.rstrip("/")
