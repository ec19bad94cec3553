"""UpdatePerson and UpdateCompany: a contact is found and overwritten, or made."""

from collections.abc import Mapping
from typing import Any

from app.sandbox.call import Call
from app.sandbox.models import COMPANY, PERSON
from app.sandbox.replies import Reply, refuse_content
from app.sandbox.world import Contact, ContactKind

_WAYS_TO_ANSWER = ("telePhone", "workPhone", "cellPhone")


def update_person(call: Call) -> Reply:
    values = call.read_json_model(PERSON, model="person")
    if not _can_be_answered(values):
        text = "Minst ett av e-post, hemtelefon, arbetstelefon och mobil måste anges."
        raise refuse_content({"person": [text]})
    return _update(call, ContactKind.PERSON, values)


def update_company(call: Call) -> Reply:
    return _update(call, ContactKind.COMPANY, call.read_json_model(COMPANY, model="company"))


def _update(call: Call, kind: ContactKind, values: Mapping[str, Any]) -> Reply:
    customer_id = call.caller.admit(values["customerId"]).id
    contact = _find_named(call, kind, values) or call.world.match_contact(customer_id, kind, values)
    contact = contact or call.world.add_contact(customer_id, kind)
    call.world.write_contact(contact, values)
    return Reply(value=contact.id)


def _find_named(call: Call, kind: ContactKind, values: Mapping[str, Any]) -> Contact | None:
    contact_id = values.get("contactId", "")
    if not contact_id.strip():
        return None
    contact = call.world.find_contact(values["customerId"], contact_id)
    if contact is None or contact.kind != kind:
        raise refuse_content({f"{kind.lower()}.ContactId": ["Kontakten finns inte."]})
    return contact


def _can_be_answered(values: Mapping[str, Any]) -> bool:
    email = values.get("email", {})
    ways = [values.get(name) for name in _WAYS_TO_ANSWER]
    ways += [email.get("emailAddress"), email.get("emailAddress2")]
    return any(way and way.strip() for way in ways)
