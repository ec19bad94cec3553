"""From a lead to the contact it becomes: the body of UpdatePerson or UpdateCompany.

UpdatePerson writes over what it finds, so only what the visitor typed is sent: nothing blank, no false,
no contactId, userId, note, task or leadScore. What does not fit is left for the message to tell.
"""

import re
from dataclasses import dataclass, fields
from typing import Any
from zoneinfo import ZoneInfo

from app.forms.model import ContactType, Form
from app.lead import Contact, Destination, Lead, Note
from app.phones import is_mobile
from app.vitec import limits
from app.vitec.limits import cut, utf16_length

Body = dict[str, Any]
"""A wire body, as JSON has it."""

_STOCKHOLM = ZoneInfo("Europe/Stockholm")
_E164 = re.compile(r"\+[1-9][0-9]{1,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """Something the contact has no room for, which the message tells instead."""

    what: str
    """A key of the message's fixed words, such as `name`."""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """A contact as it will be sent, and what had to give way."""

    kind: ContactType
    body: Body
    overflow: tuple[Overflow, ...] = ()
    notes: tuple[Note, ...] = ()


def map_contact(lead: Lead, form: Form, destination: Destination) -> Mapped:
    """The contact of a lead, within Vitec's limits. Freeze it with `encode` at the first attempt."""
    mapping = _Mapping(lead.contact)
    body: Body = {"customerId": destination.customer_id}
    if form.contact_type is ContactType.COMPANY:
        body |= mapping.company()
    else:
        body |= mapping.person()
        body["obtainThrough"] = "Interest"
        if lead.notice and lead.notice.shown_at:
            shown_at = lead.notice.shown_at.astimezone(_STOCKHOLM)
            body["gdprApprovalDate"] = shown_at.isoformat(timespec="seconds")
    if email := mapping.email():
        body["email"] = {"emailAddress": email}
    if address := mapping.address(form.home_fields):
        body["address"] = address
    if any(consent.given and consent.maps_to == "wishAdvertising" for consent in lead.consents):
        body["wishAdvertising"] = True
    if form.category_ids:
        body["categoryIds"] = list(form.category_ids)
    return Mapped(
        kind=form.contact_type, body=body, overflow=tuple(mapping.overflow), notes=tuple(mapping.notes)
    )


def is_matchable(body: Body) -> bool:
    """Whether Vitec finds the same contact when this body is sent again (its matching order, UpdatePerson).

    Without that, sending it twice makes two contacts.
    """
    if body.get("corporateNumber"):
        return True
    email = body.get("email", {}).get("emailAddress")
    if body.get("companyName"):
        return bool(email or body.get("switchPhone"))
    named = body.get("firstName") and body.get("lastName")
    return bool(named and (email or body.get("telePhone") or body.get("cellPhone")))


def list_typed(lead: Lead) -> tuple[str, ...]:
    """What the visitor typed about themselves: to be masked in whatever Vitec says of it."""
    typed = (*(getattr(lead.contact, part.name) for part in fields(lead.contact)), lead.unreadable_phone)
    return tuple(value for value in (*typed, lead.message) if value)


def write_address(street: str | None, zip_code: str | None, city: str | None) -> str:
    """An address on one line, as it is written in Sweden: `Storgatan 1, 111 22 Stockholm`."""
    spaced = re.sub(r"^([0-9]{3})([0-9]{2})$", r"\1 \2", _given(zip_code))
    town = " ".join(part for part in (spaced, _given(city)) if part)
    return ", ".join(part for part in (_given(street), town) if part)


class _Mapping:
    """One contact on its way into a body; gathers what overflowed as its parts are taken."""

    def __init__(self, contact: Contact) -> None:
        self._contact = contact
        self.overflow: list[Overflow] = []
        self.notes: list[Note] = []

    def person(self) -> Body:
        contact = self._contact
        first, last = _given(contact.first_name), _given(contact.last_name)
        parts = {"firstName": cut(first, limits.PERSON_NAME), "lastName": cut(last, limits.PERSON_NAME)}
        if parts != {"firstName": first, "lastName": last}:
            self._overflow("name", f"{first} {last}".strip(), code="name_cut")
        self._overflow("company", _given(contact.company_name))
        self._overflow("corporate_number", _given(contact.corporate_number))
        phone = self._phone()
        parts["cellPhone" if is_mobile(phone) else "telePhone"] = phone
        return _without_blanks(parts)

    def company(self) -> Body:
        contact = self._contact
        name, number = _given(contact.company_name), _given(contact.corporate_number)
        parts = {"companyName": cut(name, limits.COMPANY_NAME), "corporateNumber": number}
        if parts["companyName"] != name:
            self._overflow("company", name, code="company_name_cut")
        if utf16_length(number) > limits.CORPORATE_NUMBER:
            parts["corporateNumber"] = ""
            self._overflow("corporate_number", number, code="corporate_number_in_message")
        self._overflow("contact_person", f"{_given(contact.first_name)} {_given(contact.last_name)}".strip())
        parts["switchPhone"] = self._phone()
        return _without_blanks(parts)

    def email(self) -> str:
        email = _given(self._contact.email)
        if utf16_length(email) <= limits.EMAIL:
            return email
        self.notes.append(Note(code="email_in_message"))
        return ""

    def address(self, home_fields: tuple[str, ...]) -> Body:
        """The contact's own address: the parts that tell of a home for sale are none of it."""
        contact = self._contact
        own = {
            "streetAddress": (_given(contact.street_address), limits.STREET),
            "zipCode": (_given(contact.zip_code), limits.ZIP_CODE),
            "city": (_given(contact.city), limits.CITY),
        }
        full = {name: value for name, (value, _) in own.items() if name not in home_fields}
        fitted = {name: cut(value, own[name][1]) for name, value in full.items()}
        if fitted != full:
            line = write_address(full.get("streetAddress"), full.get("zipCode"), full.get("city"))
            self._overflow("address", line, code="address_cut")
        return _without_blanks(fitted)

    def _phone(self) -> str:
        phone = _given(self._contact.phone)
        if not phone or (_E164.fullmatch(phone) and utf16_length(phone) <= limits.PHONE):
            return phone
        self.notes.append(Note(code="phone_in_message"))
        return ""

    def _overflow(self, what: str, value: str, *, code: str | None = None) -> None:
        if value:
            self.overflow.append(Overflow(what=what, value=value))
        if code:
            self.notes.append(Note(code=code))


def _given(value: str | None) -> str:
    return (value or "").strip()


def _without_blanks(parts: Body) -> Body:
    return {name: value for name, value in parts.items() if value}
