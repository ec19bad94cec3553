"""What a request would rather have: a page or a problem, an answer at once or the news."""

import re
from collections.abc import Iterator
from datetime import timedelta

LONGEST_WAIT = timedelta(seconds=10)

_LONGEST_HEADER = 1000  # characters; the rest is somebody's experiment
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ELEMENTS = re.compile(rf'(?:[^",]|{_QUOTED})+')
_PREFERENCE = re.compile(rf'\s*([^\s=;"]+)\s*(?:=\s*([^\s;"]+|{_QUOTED}))?\s*(?:;.*)?')
_RANGE = re.compile(r"\s*([a-z*]+/[a-z*+.-]+)\s*(?:;.*?\bq=([01](?:\.[0-9]{0,3})?)\s*)?(?:;.*)?")


def read_wait(prefer: str) -> timedelta | None:
    """`Prefer: wait=N` (RFC 7240 §4.3), at most ten seconds; None when nobody asked to wait.

    Of a preference that is given twice the first counts (§2).
    """
    seconds = next((value for name, value in _read_preferences(prefer) if name == "wait"), "")
    told = seconds.isascii() and seconds.isdecimal()
    return min(timedelta(seconds=int(seconds[:9])), LONGEST_WAIT) if told else None


def can_work(prefer: str) -> bool:
    """`Prefer: challenge`: whoever asks can do a proof of work, and would rather do it than wait for a human."""
    return any(name == "challenge" for name, _ in _read_preferences(prefer))


def _read_preferences(prefer: str) -> Iterator[tuple[str, str]]:
    for element in _ELEMENTS.findall(prefer[:_LONGEST_HEADER]):
        if match := _PREFERENCE.fullmatch(element):
            yield match[1].lower(), (match[2] or "").strip('"')


def prefers_html(accept: str) -> bool:
    """Whether a page is liked better than JSON (RFC 9110 §12.5.1), as a browser that is shown the answer does."""
    liked = _read_accept(accept)
    any_type = liked.get("*/*", 0)
    html = liked.get("text/html", liked.get("text/*", any_type))
    json = liked.get("application/json", liked.get("application/*", any_type))
    return html > max(json, liked.get("application/problem+json", 0))


def asks_for_json(accept: str) -> bool:
    """Whether JSON is named, and liked better than a page: what answers with pages is not asked by `*/*`."""
    liked = _read_accept(accept)
    return liked.get("application/json", 0) > liked.get("text/html", 0)


def _read_accept(accept: str) -> dict[str, float]:
    """Each type that is named, with its weight."""
    parts = map(_RANGE.fullmatch, accept[:_LONGEST_HEADER].lower().split(","))
    return {match[1]: float(match[2] or 1) for match in parts if match}
