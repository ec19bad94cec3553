"""Where a visitor came from: a pure function over every place that may tell, the most trusted first."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from app.intake.text import clean_line
from app.lead import Marketing, Note, UtmTag

UTM_PARAMETERS = (
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "utm_id",
    "utm_source_platform",
    "utm_creative_format",
    "utm_marketing_tactic",
)
CLICK_IDS = ("gclid", "gbraid", "wbraid", "dclid", "msclkid", "fbclid", "ttclid", "li_fat_id", "twclid")
LANDING_REFERRER = "landing_referrer"
_USUAL = (*UTM_PARAMETERS, *CLICK_IDS)

MAX_VALUE = 256
MAX_ADDRESS = 2048

# The pages a visitor passes through on the way back are nobody's campaign.
_PASSED_THROUGH = re.compile(
    r"(^|\.)(accounts\.google|appleid\.apple|login\.microsoftonline|login\.live|bankid|freja|criipto|signicat"
    r"|klarna|paypal|stripe|swish|adyen|nets|trustly|auth0|okta)\.[a-z.]+$"
)
_EMAIL_LIKE = re.compile(r"[^\s/?&=@:;,]{1,64}(?:@|%40)[^\s/?&=@:;,]{1,255}", re.IGNORECASE)
_MASK = "***"


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


def allowed_parameters(extra: Iterable[str] = ()) -> tuple[str, ...]:
    """The names that are captured, in the order in which they are sent; a form may add its own."""
    last_touch = (*_USUAL, *extra, LANDING_REFERRER)
    return (*last_touch, *(f"first_{name}" for name in last_touch))


def attribute(
    sources: Sources, *, parameters: Sequence[str], own_hosts: frozenset[str] = frozenset()
) -> Attribution:
    """Marketing as Vitec has it, the page address, and a note for each thing that was not usable.

    `parameters` are the allowed names, lower-case; `own_hosts` are no referrers.
    """
    notes: list[Note] = []
    body = _read_marketing(sources.marketing, notes)
    page = _read_address(sources.page_url, parameters)
    if sources.page_url is not None and page is None:
        notes.append(Note(code="page_url_dropped", detail="no http address"))
    referrer = _read_address(body.get("referrer"), parameters)
    if body.get("referrer") is not None and referrer is None:
        notes.append(Note(code="referrer_dropped", detail="no http address"))
    tags = _choose_tags(
        [
            _read_tags(body.get("utmTags"), notes, parameters),
            _read_fields(sources.fields),
            sources.query,
            _query_of(sources.page_url),
            _query_of(body.get("referrer")),
            _query_of(sources.referer),
        ],
        parameters,
    )
    own = own_hosts | {urlsplit(address).hostname or "" for address in (page, referrer) if address}
    tags = [tag for tag in (_clean_tag(tag, parameters, own) for tag in tags) if tag]
    shown_on = referrer or page or _read_address(sources.referer, parameters)
    return Attribution(
        marketing=Marketing(referrer=shown_on, utm_tags=tuple(tags)), page_url=page, notes=tuple(notes)
    )


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


def _read_tags(value: Any, notes: list[Note], parameters: Sequence[str]) -> list[tuple[str, str]]:
    rows = value if isinstance(value, list) else []
    if value is not None and not isinstance(value, list):
        notes.append(Note(code="utm_tags_dropped", detail="no list"))
    found = []
    for row in rows:
        name, text = (row.get("name"), row.get("value")) if isinstance(row, dict) else (None, None)
        if isinstance(name, str) and isinstance(text, str) and name.strip().lower() in parameters:
            found.append((name.strip(), text))
    if len(found) < len(rows):
        notes.append(
            Note(code="utm_tags_dropped", detail=f"{len(rows) - len(found)} of {len(rows)} not usable")
        )
    return found


def _read_fields(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in fields.items() if isinstance(value, str)]


def _choose_tags(places: Sequence[Sequence[tuple[str, str]]], parameters: Sequence[str]) -> list[UtmTag]:
    chosen: dict[str, str] = {}
    for place in reversed(places):
        for name, value in place:
            name = name.lower()  # noqa: PLW2901 - names compare lower-case
            if name in parameters and value.strip():
                chosen[name] = value
    return [UtmTag(name=name, value=chosen[name]) for name in parameters if name in chosen]


def _clean_tag(tag: UtmTag, parameters: Sequence[str], own_hosts: frozenset[str] | set[str]) -> UtmTag | None:
    if tag.name.removeprefix("first_") == LANDING_REFERRER:
        address = _read_address(tag.value, parameters)
        host = (urlsplit(address).hostname or "") if address else ""
        if address is None or host in own_hosts or _PASSED_THROUGH.search(host):
            return None
        return UtmTag(name=tag.name, value=address)
    value = clean_line(tag.value)[:MAX_VALUE]
    return UtmTag(name=tag.name, value=value) if value else None


def _query_of(address: Any) -> list[tuple[str, str]]:
    parts = _split(address)
    return parse_qsl(parts.query, max_num_fields=None) if parts else []


def _split(address: Any) -> SplitResult | None:
    if not isinstance(address, str):
        return None
    try:
        parts = urlsplit(clean_line(address))
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return None
    return parts if parts.scheme in {"http", "https"} and parts.hostname else None


def _read_address(address: Any, parameters: Sequence[str]) -> str | None:
    """An http address with only the allowed parameters: the rest of a query may be somebody's token."""
    parts = _split(address)
    if parts is None:
        return None
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() in parameters]
    path = _EMAIL_LIKE.sub(_MASK, quote(parts.path, safe="/%:@!$&'()*+,;=~-._"))
    host = parts.netloc.rpartition("@")[2].lower()
    base = f"{parts.scheme}://{host}{path}"[:MAX_ADDRESS]
    query = _EMAIL_LIKE.sub(_MASK, urlencode(kept))
    full = f"{base}?{query}" if query else base
    return full if len(full) <= MAX_ADDRESS else base
