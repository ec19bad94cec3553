"""Which contact an update is about: the duplicate rules of UpdatePerson and UpdateCompany."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Values = Mapping[str, Any]


def is_same_person(stored: Values, sent: Values) -> bool:
    """First and last name, and one of home phone, mobile and first e-mail (H:POST-Contacts-UpdatePerson)."""
    keys = [_fold(value) for value in (sent.get("firstName"), sent.get("lastName"))]
    if not all(keys) or keys != [_fold(stored.get("firstName")), _fold(stored.get("lastName"))]:
        return False
    return _shares_phone(stored, sent, ("telePhone", "cellPhone")) or _shares_email(stored, sent)


def is_same_company(stored: Values, sent: Values) -> bool:
    """Name, and switchboard phone or first e-mail (H:POST-Contacts-UpdateCompany)."""
    name = _fold(sent.get("companyName"))
    if not name or name != _fold(stored.get("companyName")):
        return False
    return _shares_phone(stored, sent, ("switchPhone",)) or _shares_email(stored, sent)


def shares_number(stored: Values, sent: Values, name: str) -> bool:
    """Whether both have the same personal or corporate number, written in whatever way."""
    number = _keep_digits(sent.get(name))
    return bool(number) and number == _keep_digits(stored.get(name))


def has_email(stored: Values, addresses: Iterable[str]) -> bool:
    email = stored.get("email", {})
    own = {_fold(email.get(name)) for name in ("emailAddress", "emailAddress2")} - {""}
    return not own.isdisjoint(_fold(address) for address in addresses)


def has_phone(stored: Values, number: str) -> bool:
    names = ("telePhone", "workPhone", "cellPhone", "otherPhone", "switchPhone")
    return fold_phone(number) in {fold_phone(stored.get(name)) for name in names} - {""}


def fold_phone(number: str | None) -> str:
    """Digits alone, Swedish numbers without their country code: +46 70-1 is 0701."""
    digits = re.sub(r"[^0-9+]", "", number or "").replace("+", "00")
    return re.sub(r"^0046", "0", digits)


def _shares_phone(stored: Values, sent: Values, names: Iterable[str]) -> bool:
    return any(
        (phone := fold_phone(sent.get(name))) and phone == fold_phone(stored.get(name)) for name in names
    )


def _shares_email(stored: Values, sent: Values) -> bool:
    address = _fold(sent.get("email", {}).get("emailAddress"))
    return bool(address) and address == _fold(stored.get("email", {}).get("emailAddress"))


def _keep_digits(text: str | None) -> str:
    return re.sub(r"[^0-9]", "", text or "")


def _fold(text: str | None) -> str:
    return " ".join((text or "").casefold().split())
