"""How a person can be reached: e-mail, phone, postcode, and a name taken apart."""

import re
from difflib import get_close_matches
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

_POSTCODE = re.compile(r"(?:SE?-?)?([1-9][0-9]{2})-?([0-9]{2})", re.ASCII)
_FOREIGN_POSTCODE = re.compile(r"(?=.{0,9}[0-9])[A-Z0-9][A-Z0-9 -]{1,8}[A-Z0-9]", re.ASCII)

# Belong to the family name that follows: Carl von Linné, Ludwig van den Berg.
_PARTICLES = frozenset(
    {"af", "al", "av", "bin", "da", "de", "den", "der", "di", "dos", "du", "el"}
    | {"ibn", "la", "le", "ten", "ter", "van", "von", "zu"}
)

_COMMON_DOMAINS = (
    "gmail.com",
    "hotmail.com",
    "hotmail.se",
    "outlook.com",
    "live.se",
    "live.com",
    "icloud.com",
    "yahoo.com",
    "yahoo.se",
    "telia.com",
    "me.com",
    "msn.com",
    "comhem.se",
    "bredband.net",
    "spray.se",
    "bahnhof.se",
    "tele2.se",
)
_LABELS = sorted({domain.partition(".")[0] for domain in _COMMON_DOMAINS})
# Look like slips, and are not.
_REAL_LABELS = frozenset({*_LABELS, "mail", "email", "ymail", "gmx", "aol", "live", "like", "tele", "mi"})
_SLIPPED_ENDINGS = dict.fromkeys(("con", "cmo", "co", "om", "cm", "comm", "vom", "xom", "coml"), "com")


# What nearly everybody writes, and the library would leave as it is but for the domain.
_PLAIN_EMAIL = re.compile(r"([a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*)@([a-z0-9.-]+)")
_MAX_LOCAL, _MAX_EMAIL = 64, 254  # RFC 5321 §4.5.3.1, less the brackets


def parse_email(value: str) -> str:
    """The address, normalised. Raises ValueError. Never asks DNS: a name server's bad day refuses nobody."""
    plain = _PLAIN_EMAIL.fullmatch(value) if len(value) <= _MAX_EMAIL else None
    if plain is None or len(plain[1]) > _MAX_LOCAL:
        return _parse_any_email(value)
    domain = _parse_domain(plain[2])
    if domain is None:
        raise ValueError
    return f"{plain[1]}@{domain}"


@lru_cache(maxsize=4096)
def _parse_domain(value: str) -> str | None:
    if value in _COMMON_DOMAINS:
        return value
    try:
        return _parse_any_email(f"x@{value}").partition("@")[2]
    except ValueError:
        return None


def _parse_any_email(value: str) -> str:
    try:
        # `.test` may pass: it is nobody's mistake, and developers write it.
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise ValueError from None  # the library's own words repeat what was typed


def suggest_email(value: str) -> str | None:
    """What was probably meant by `anna@gmial.com`; None when nothing looks mistyped."""
    name, _, domain = value.rpartition("@")
    meant = _suggest_domain(domain.lower())
    return f"{name}@{meant}" if name and meant else None


@lru_cache(maxsize=4096)
def _suggest_domain(domain: str) -> str | None:
    label, _, ending = domain.partition(".")
    ending = _SLIPPED_ENDINGS.get(ending, ending)
    if label not in _REAL_LABELS:
        label = next(iter(get_close_matches(label, _LABELS, n=1, cutoff=0.8)), label)
    meant = f"{label}.{ending}"
    return meant if meant != domain and meant in _COMMON_DOMAINS else None


def parse_postcode(value: str) -> str:
    """A Swedish postcode as `111 22`, a foreign one as it is but in capitals. Raises ValueError."""
    parts = value.upper().split()
    if match := _POSTCODE.fullmatch("".join(parts)):
        return f"{match[1]} {match[2]}"
    foreign = " ".join(parts)
    if _FOREIGN_POSTCODE.fullmatch(foreign):
        return foreign
    raise ValueError


def split_name(name: str) -> tuple[str, str | None]:
    """Given and family name: the last word and the particles before it are the family's."""
    family, comma, given = (part.strip() for part in name.partition(","))
    if comma and family and given:
        return given, family
    words = name.replace(",", " ").split() or [name]
    if len(words) == 1:
        return words[0], None
    start = len(words) - 1
    while start > 1 and words[start - 1].lower() in _PARTICLES:
        start -= 1
    return " ".join(words[:start]), " ".join(words[start:])
