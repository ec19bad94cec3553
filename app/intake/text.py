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
# Western letters, dashes and quotation marks: visible, composed, and no line's end.
_PLAIN = re.compile("[\n -~\xa0-\xac\xae-\u017f\u2010-\u2027\u20ac]*")
_PLAIN_LINE = re.compile("[ -~\xa0-\xac\xae-\u017f\u2010-\u2027\u20ac]*")

_SIGN = r"[-+\u2010-\u2015\u2212./]"
_SEPARATOR = rf"(?:[ \u00a0]?{_SIGN}[ \u00a0]?|[ \u00a0])?"
_BEFORE, _AFTER = r"(?<![\d+])(?<!\d-)(?:(?:18|19|20)[- ./\u00a0]?)?", r"(?!-?\d)"
# A date of six or eight digits and four more, as a personnummer or samordningsnummer is written.
_IDENTITY_NUMBER = re.compile(rf"{_BEFORE}(\d\d)(\d\d)(\d\d){_SEPARATOR}(\d{{4}}){_AFTER}")
_LAST_FOUR = re.compile(r"\d{4}")
# The same with its date taken apart; without a sign before the last four it is a date and a time of day.
_SPACED_NUMBER = re.compile(rf"{_BEFORE}(\d\d)([- ./])(\d\d)\2(\d\d){_SIGN}(\d{{4}}){_AFTER}")
# Ten digits without a sign between them that begin so are a mobile number sooner than somebody born in 2007.
_MOBILE_NUMBER = re.compile(r"07\d{8}")
_BARE_NUMBER = re.compile(r"\d{10}")
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
    if _PLAIN_LINE.fullmatch(value):
        return value.strip()
    return _BLANKS.sub(" ", clean_text(value))


def mask_identity_numbers(value: str, *, bare: bool = True) -> str:
    """Swedish personal identity numbers, told by a valid date and check digit (SKV 704), made unreadable.

    Without `bare` ten digits in a row are left: what no person has typed is full of numbers.
    """
    if not _LAST_FOUR.search(value):
        return value
    masked = _IDENTITY_NUMBER.sub(lambda match: _mask(match, *match.groups(), bare=bare), value)
    return _SPACED_NUMBER.sub(
        lambda match: _mask(match, match[1], match[3], match[4], match[5], bare=bare), masked
    )


def _mask(match: re.Match[str], year: str, month: str, day: str, last: str, *, bare: bool) -> str:
    if _MOBILE_NUMBER.fullmatch(match[0]) or (not bare and _BARE_NUMBER.fullmatch(match[0])):
        return match[0]
    known = _is_date(int(month), int(day)) and _passes_luhn(year + month + day + last)
    return MASKED_IDENTITY_NUMBER if known else match[0]


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
