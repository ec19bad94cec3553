"""Where a visitor came from: a pure function over every place that may tell, the most trusted first."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from app.forms.campaign import LANDING_REFERRER, allowed_parameters
from app.intake.addresses import REMEMBERED, clean_address, host_of, query_of, split_address
from app.intake.text import clean_line, mask_identity_numbers
from app.lead import Marketing, Note, UtmTag

__all__ = ["LANDING_REFERRER", "Attribution", "Sources", "allowed_parameters", "attribute"]

MAX_VALUE = 256
"""Characters of a parameter's value."""

# The pages a visitor passes through on the way back are nobody's campaign.
_PASSED_THROUGH = re.compile(
    r"(^|\.)(accounts\.google|appleid\.apple|login\.microsoftonline|login\.live|bankid|freja|frejaeid|criipto"
    r"|signicat|klarna|paypal|stripe|swish|adyen|nets|trustly|auth0|okta)\.[a-z]{2,3}(\.[a-z]{2})?$"
)

Pairs = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Every place that may tell, as it came. Anything in it may be of any type, or hostile."""

    marketing: Any = None
    """`marketing` of the body."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Campaign parameters among the body's own fields: hidden inputs, or the embedding page's context."""
    query: Sequence[tuple[str, str]] = ()
    """The query of the request."""
    page_url: Any = None
    """`pageUrl` of the body: the page on which the form was shown."""
    referer: str | None = None
    """The request's Referer header, a last resort: often the origin alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    marketing: Marketing
    page_url: str | None
    notes: tuple[Note, ...] = ()


def attribute(
    sources: Sources, *, parameters: Sequence[str], own_hosts: frozenset[str] = frozenset()
) -> Attribution:
    """Marketing as Vitec has it, the page address, and a note for each thing that was not usable.

    `parameters` are the allowed names, lower-case; `own_hosts` are no referrers.
    """
    notes: list[Note] = []
    places_of, allowed, kept = _arrange(tuple(parameters))
    body = _read_marketing(sources.marketing, notes)
    page = _read_address(sources.page_url, kept, notes, code="page_url_dropped")
    referrer = _read_address(body.get("referrer"), kept, notes, code="referrer_dropped")
    places = (
        _read_tags(body.get("utmTags"), allowed, notes),
        _read_fields(sources.fields, notes),
        sources.query,
        query_of(sources.page_url),
        query_of(body.get("referrer")),
        query_of(sources.referer),
    )
    own = {_bare(host) for host in (*own_hosts, _host(page), _host(referrer)) if host}
    chosen = _choose(places, allowed, kept, own)
    return Attribution(
        marketing=Marketing(
            referrer=referrer or page or clean_address(sources.referer, keep=kept),
            utm_tags=tuple(
                UtmTag(name=name, value=chosen[name]) for name in sorted(chosen, key=places_of.__getitem__)
            ),
        ),
        page_url=page,
        notes=tuple(notes),
    )


@lru_cache(maxsize=256)
def _arrange(parameters: tuple[str, ...]) -> tuple[dict[str, int], frozenset[str], frozenset[str]]:
    """The place of each parameter among the tags, all of them, and those that an address keeps in its query."""
    places = {name: place for place, name in enumerate(dict.fromkeys(parameters))}
    allowed = frozenset(parameters)
    # Where a visitor came from has addresses of its own, which are captured as tags and cleaned there.
    return places, allowed, allowed - {LANDING_REFERRER, f"first_{LANDING_REFERRER}"}


def _read_marketing(value: Any, notes: list[Note]) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        notes.append(Note(code="marketing_dropped", detail="no object"))
        return {}
    unknown = value.keys() - {"referrer", "utmTags"}
    if unknown:
        notes.append(
            Note(code="marketing_keys_dropped", detail=f"{len(unknown)} beside referrer and utmTags")
        )
    return value


def _read_address(value: Any, kept: frozenset[str], notes: list[Note], *, code: str) -> str | None:
    if value is None or (isinstance(value, str) and not clean_line(value)):
        return None
    address = clean_address(value, keep=kept)
    if address is None:
        notes.append(Note(code=code, detail="no http address"))
    return address


def _read_tags(value: Any, allowed: frozenset[str], notes: list[Note]) -> list[tuple[str, str]]:
    if value is None:
        return []
    if not isinstance(value, list):
        notes.append(Note(code="utm_tags_dropped", detail="no list"))
        return []
    found = []
    for row in value:
        name, text = (row.get("name"), row.get("value")) if isinstance(row, dict) else (None, None)
        if isinstance(name, str) and isinstance(text, str) and name.strip().lower() in allowed:
            found.append((name.strip(), text))
    if len(found) < len(value):
        lost = len(value) - len(found)
        notes.append(Note(code="utm_tags_dropped", detail=f"{lost} of {len(value)} not usable"))
    return found


def _read_fields(fields: Mapping[str, Any], notes: list[Note]) -> list[tuple[str, str]]:
    given = [(name, value) for name, value in fields.items() if value is not None]
    found = [(name, value) for name, value in given if isinstance(value, str)]
    if len(found) < len(given):
        notes.append(Note(code="parameters_dropped", detail=f"{len(given) - len(found)} no text"))
    return found


def _choose(
    places: Sequence[Pairs], allowed: frozenset[str], kept: frozenset[str], own: set[str]
) -> dict[str, str]:
    """By name the last usable value of the most trusted place that has one."""
    chosen: dict[str, str] = {}
    for place in reversed(places):
        for name, raw in place:
            lower = name.lower()
            if lower not in allowed:
                continue
            clean = _clean_value if len(raw) <= REMEMBERED else _clean_value.__wrapped__
            value = clean(raw) if lower in kept else _clean_referrer(raw, kept, own)
            if value:
                chosen[lower] = value
    return chosen


@lru_cache(maxsize=1024)
def _clean_value(raw: str) -> str:
    # Twice the limit: where it is cut within a number, what is left is none.
    return mask_identity_numbers(clean_line(raw)[: 2 * MAX_VALUE], bare=False)[:MAX_VALUE].rstrip()


def _clean_referrer(raw: str, kept: frozenset[str], own: set[str]) -> str | None:
    """None for a page of our own, or one that a visitor only passes through."""
    address = clean_address(raw, keep=kept)
    host = _host(address)
    if host is None or _bare(host) in own or _PASSED_THROUGH.search(_bare(host)):
        return None
    return address


def _host(address: str | None) -> str | None:
    return _find_host(address) if address else None


@lru_cache(maxsize=1024)
def _find_host(address: str) -> str | None:
    parts = split_address(address)
    return host_of(parts) if parts else None


@lru_cache(maxsize=1024)
def _bare(host: str) -> str:
    return host.lower().removeprefix("www.").rstrip(".")
