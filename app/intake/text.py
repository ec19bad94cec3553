"""Text as it may be kept: composed, without what nobody can see, and without personal identity numbers."""

import re
import unicodedata
from datetime import date
from itertools import groupby, islice

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Controls but newline and tab; the surrogates and U+FFFE and U+FFFF, which UTF-8 or XML cannot hold; and the
# marks of direction and zero width that come along when an address or number is copied. Joiners stay: emoji
# and Persian need them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
    "\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
_BLANKS = re.compile(r"[\t\n]+")
_MOST_MARKS = 30  # on one letter (UAX #15 §12); to put thousands in their order takes seconds
_PLAIN = re.compile(r"[ -~\n]*")

_SEPARATOR = "(?:[ \u00a0]?[-+\u2010-\u2015\u2212][ \u00a0]?|[ \u00a0])?"
# A date of six or eight digits and four more, as a personnummer or samordningsnummer is written.
_IDENTITY_NUMBER = re.compile(
    rf"(?<![\d+])(?<!\d-)(?:19|20)?([0-9]{{2}})([0-9]{{2}})([0-9]{{2}}){_SEPARATOR}([0-9]{{4}})(?!-?\d)"
)
# Ten digits without a sign between them that begin so are a mobile number sooner than somebody born in 2007.
_MOBILE_NUMBER = re.compile(r"07[0-9]{8}")
MASKED_IDENTITY_NUMBER = "******-****"


def clean_text(value: str) -> str:
    """NFC, newlines as `\\n`, nothing invisible, no blank ends."""
    if not _PLAIN.fullmatch(value):
        value = _compose(_INVISIBLE.sub("", _LINE_ENDS.sub("\n", value)))
    return value.strip()


def _compose(value: str) -> str:
    if unicodedata.is_normalized("NFC", value):
        return value
    runs = groupby(value, key=lambda character: unicodedata.combining(character) > 0)
    calm = ("".join(islice(run, _MOST_MARKS) if marks else run) for marks, run in runs)
    return unicodedata.normalize("NFC", "".join(calm))


def clean_line(value: str) -> str:
    """The same on one line."""
    return _BLANKS.sub(" ", clean_text(value))


def mask_identity_numbers(value: str) -> str:
    """Swedish personal identity numbers, told by a valid date and check digit (SKV 704), made unreadable."""
    return _IDENTITY_NUMBER.sub(_mask, value)


def _mask(match: re.Match[str]) -> str:
    year, month, day, last = match.groups()
    if _MOBILE_NUMBER.fullmatch(match[0]) or not _is_date(int(month), int(day)):
        return match[0]
    return MASKED_IDENTITY_NUMBER if _passes_luhn(year + month + day + last) else match[0]


def _is_date(month: int, day: int) -> bool:
    try:
        # 2000 was a leap year, and a samordningsnummer adds sixty to the day (SKV 707).
        date(2000, month, day - 60 if day > 60 else day)
    except ValueError:
        return False
    return True


def _passes_luhn(digits: str) -> bool:
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(digits))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0
