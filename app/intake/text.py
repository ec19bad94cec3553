"""Text as it may be kept: composed, without what nobody can see, and without personal identity numbers."""

import re
import unicodedata
from datetime import date

# Everything of category Cc but newline and tab, and the surrogates, which no encoding of UTF-8 can hold.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_BLANKS = re.compile(r"[\t\n]+")
_PLAIN = re.compile(r"[ -~\n]*")

# A date of six or eight digits and four more, as a personnummer or samordningsnummer is written.
_IDENTITY_NUMBER = re.compile(r"(?<![\d-])(?:19|20)?(\d{2})(\d{2})(\d{2})[ ]?[-+\u2013]?[ ]?(\d{4})(?![\d-])")
MASKED_IDENTITY_NUMBER = "******-****"


def clean_text(value: str) -> str:
    """NFC, newlines as `\\n`, nothing invisible, no blank ends."""
    if not _PLAIN.fullmatch(value):
        value = value.replace("\r\n", "\n").replace("\r", "\n")
        value = unicodedata.normalize("NFC", _INVISIBLE.sub("", value))
    return value.strip()


def clean_line(value: str) -> str:
    """The same on one line."""
    return _BLANKS.sub(" ", clean_text(value))


def mask_identity_numbers(value: str) -> str:
    """Swedish personal identity numbers, told by a valid date and check digit (SKV 704), made unreadable."""
    return _IDENTITY_NUMBER.sub(_mask, value) if any(map(str.isdigit, value)) else value


def _mask(match: re.Match[str]) -> str:
    year, month, day, last = match.groups()
    digits = year + month + day + last
    return MASKED_IDENTITY_NUMBER if _is_date(int(month), int(day)) and _passes_luhn(digits) else match[0]


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
