"""The kinds of values a forms file has, each with what would be right when one is wrong."""

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from app.forms.addresses import check_asset, check_base_url, check_page_url, parse_origin
from app.forms.postcodes import ZipRange, parse_range
from app.phones import is_region
from app.post import read_address
from app.rates import check_rate

LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")

_DURATION = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FAMILY = r"(?:\"[\w -]+\"|'[\w -]+'|[A-Za-z][A-Za-z0-9 -]*)"


def _matching(pattern: str, message: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(message)
        return value

    return AfterValidator(check)


def check_text(value: object) -> str | dict[str, str]:
    """A text, or a table of texts by language. Raises ValueError."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError('must be a text, or a table by language such as { sv = "Skicka", en = "Send" }')
    for language in value:
        if not LANGUAGE.fullmatch(language):
            raise ValueError(f'has "{language}", which is no language; write codes such as sv and en')
    return value


def _parse_duration(value: object) -> timedelta:
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('is no duration; write one such as "30d" or "12h"')
    duration = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if not duration:
        raise ValueError('must be longer than nothing, such as "1h"')
    return duration


def _parse_zip(value: object) -> ZipRange:
    if not isinstance(value, str):
        raise ValueError('must be a text in quotes, such as "111-118"')  # noqa: TRY004 - pydantic wants ValueError
    return parse_range(value)


def _check_region(value: str) -> str:
    if not is_region(value):
        raise ValueError("is no country whose phone numbers are known; write its two letters, such as SE")
    return value


def _check_network(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise ValueError("is no network; write one such as 192.0.2.0/24 or 2001:db8::/32") from None


def _check_email(value: str) -> str:
    read_address(value)
    return value


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _refuse_required(_: Any) -> None:
    raise ValueError(
        "cannot be asked for: a consent that must be given is none (GDPR article 7.4); take it out"
    )


RawText = Annotated[str | dict[str, str], PlainValidator(check_text)]
CustomerId = Annotated[
    str,
    _matching(
        r"[SMOGT][0-9]{1,39}",
        "is no Vitec customer id; it is one of the letters S, M, O, G, T and digits, such as M12345",
    ),
]
VitecId = Annotated[
    str, _matching(r"\S{1,40}", "is no id of Vitec's; it has 1 to 40 characters and no blanks")
]
Email = Annotated[
    str,
    _matching(
        r"[^\s@<>,;]+@[^\s@<>,;.]+(\.[^\s@<>,;.]+)+",
        "is no e-mail address; write one such as solna@example.se",
    ),
    AfterValidator(_check_email),
]
Language = Annotated[
    str, _matching(LANGUAGE.pattern, "is no language; write its code, such as sv, en or en-GB")
]
Colour = Annotated[
    str,
    _matching(r"#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})", "is no colour; write #rgb or #rrggbb, such as #0a5c36"),
]
Length = Annotated[
    str,
    _matching(r"[0-9]{1,4}(?:\.[0-9]{1,4})?(?:px|rem|em)", "is no length; write one such as 8px or 0.5rem"),
]
Font = Annotated[
    str,
    _matching(
        rf"{_FAMILY}(?: *, *{_FAMILY})*",
        "is no list of font names; write one such as Georgia, 'Times New Roman', serif",
    ),
]
Number = Annotated[
    float,
    Field(allow_inf_nan=False),
    AfterValidator(lambda value: int(value) if value.is_integer() else value),
]
Parameter = Annotated[
    str,
    _matching(
        r"[a-z0-9_.-]{1,64}",
        "is no parameter name; it has lower-case letters, digits and _ . - such as partner_id",
    ),
]
# A key is random: a slow hash would protect nothing, and cost every lead of its server a twentieth of a second.
KeyHash = Annotated[
    str,
    _matching(
        r"(?:sha256:)?[0-9a-fA-F]{64}",
        "is no hash; write the SHA-256 of the key in 64 hexadecimal digits",
    ),
    AfterValidator(lambda value: value.removeprefix("sha256:").lower()),
]
Rate = Annotated[str, AfterValidator(check_rate)]
FilledText = Annotated[str, _matching(r"(?s).*\S.*", "is empty; fill it in or take it out")]
Region = Annotated[str, AfterValidator(_check_region)]
Network = Annotated[str, AfterValidator(_check_network)]
Origin = Annotated[str, AfterValidator(parse_origin)]
PageUrl = Annotated[str, AfterValidator(check_page_url)]
Asset = Annotated[str, AfterValidator(check_asset)]
BaseUrl = Annotated[str, AfterValidator(check_base_url)]
Duration = Annotated[timedelta, PlainValidator(_parse_duration)]
Zip = Annotated[ZipRange, PlainValidator(_parse_zip)]
Condition = Annotated[str, BeforeValidator(_as_text)]
NeverRequired = Annotated[None, PlainValidator(_refuse_required)]
