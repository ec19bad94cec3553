"""Telephone numbers: read as people write them, kept in E.164, told by kind.

What nearly everybody in Sweden writes is known here; the library, which takes as long to load as a lead takes to be
kept a thousand times, is loaded when the first other number comes.
"""

import re
from functools import cache, lru_cache
from types import ModuleType

_MOBILE = re.compile(r"(?:0|(?:\+|00)46[ -]?)7[ -]?[02369](?:[ -]?[0-9]){7}")
_MOBILE_E164 = re.compile(r"\+467[02369][0-9]{7}")


@cache
def _library() -> ModuleType:
    import phonenumbers  # noqa: PLC0415 - see above

    return phonenumbers


def is_region(code: str) -> bool:
    """Whether a country's numbers are known, by its two letters (ISO 3166-1)."""
    return code == "SE" or code in _library().SUPPORTED_REGIONS


def parse_phone(value: str, *, region: str) -> str | None:
    """E.164, or None for what is no phone number. Without a country code it is read as the region's own."""
    if region == "SE" and _MOBILE.fullmatch(value):
        return "+46" + value.replace(" ", "").replace("-", "")[-9:]
    return _parse_any(value, region=region)


@lru_cache(maxsize=4096)
def _parse_any(value: str, *, region: str) -> str | None:
    library = _library()
    try:
        number = library.parse(value, region)
    except library.NumberParseException:
        return None
    if number.extension or not library.is_valid_number(number):
        return None
    return str(library.format_number(number, library.PhoneNumberFormat.E164))


def is_mobile(number: str) -> bool:
    """Of a number in E.164."""
    if _MOBILE_E164.fullmatch(number):
        return True
    library = _library()
    try:
        parsed = library.parse(number)
    except library.NumberParseException:
        return False
    return bool(library.number_type(parsed) == library.PhoneNumberType.MOBILE)


def write_international(number: str) -> str:
    """`+46 70 174 06 05` for people, of a number in E.164; what cannot be read is left as it is."""
    library = _library()
    try:
        parsed = library.parse(number)
    except library.NumberParseException:
        return number
    return str(library.format_number(parsed, library.PhoneNumberFormat.INTERNATIONAL))
