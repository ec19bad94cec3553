"""POST CRM/Lead, and the two ways to read leads back."""

from collections.abc import Mapping
from typing import Any

from app.sandbox import xml
from app.sandbox.call import Call, tell_time
from app.sandbox.config import Customer
from app.sandbox.models import LEAD
from app.sandbox.replies import Reply, refuse_content, refuse_media_type, refuse_unknown
from app.sandbox.shapes import read_json, read_model
from app.sandbox.world import StoredLead

_CONTACTS_AT_ONCE = 20
_FLAGS = ("objectLeadType", "contactLeadType", "logLeadType", "outgoingLeadType")


def create_lead(call: Call) -> Reply:
    """Every success makes another lead."""
    customer = call.caller.admit(call.parameters["customerId"])
    values = read_model(LEAD, _read_lead(call), model="lead")
    if errors := _check_references(call, customer, values):
        raise refuse_content(errors)
    tags = [(tag.get("name", ""), tag.get("value", "")) for tag in _read_tags(values)]
    kept = [] if "tags_dropped" in call.alterations else tags
    return Reply(value=call.world.add_lead(customer.id, values, utm_tags=kept, delay=call.delay).id)


def list_leads_of_contacts(call: Call) -> Reply:
    """A list, or one object where that fault is set: Vitec's pages describe both at the same address."""
    customer_id = call.caller.admit(call.parameters["customerId"]).id
    ids = [one for one in call.parameters["contactIds"].split(",") if one]
    flags = {name: call.parameters[name].lower() for name in _FLAGS}
    errors = {
        name: ["Måste vara true eller false."] for name in _FLAGS if flags[name] not in {"true", "false"}
    }
    if len(ids) > _CONTACTS_AT_ONCE:
        errors["contactIds"] = [f"Högst {_CONTACTS_AT_ONCE} kontakter."]
    if errors:
        raise refuse_content(errors)
    # What comes through POST CRM/Lead is taken to be of the type Contact.
    hidden = flags["contactLeadType"] == "false" or "reads_blind" in call.alterations
    leads = [] if hidden else call.world.leads
    rows = [_describe_leads(one, leads) for one in ids if call.world.find_contact(customer_id, one)]
    return Reply(value=rows[0] if "list_as_object" in call.alterations and len(rows) == 1 else rows)


def get_incoming_lead(call: Call) -> Reply:
    customer_id = call.caller.admit(call.parameters["customerId"]).id
    lead = call.world.find_lead(customer_id, call.parameters["id"])
    if lead is None:
        raise refuse_unknown()
    incoming = {
        "contactId": lead.contact_id,
        "leadSource": {"id": lead.lead_source_id},
        "sentAt": tell_time(lead.created_at),
        "receiver": {"id": lead.assigned_to_id},
        "buyingEstateId": None,
        "sellingEstateId": None,
        "state": "New",
        "message": lead.message,
        "isAnonymized": lead.is_anonymized,
        "utmTags": [{"name": name, "value": value} for name, value in lead.utm_tags],
    }
    return Reply(value=incoming)


def _read_lead(call: Call) -> Any:
    if call.content_type in {"application/json", "text/json"}:
        return read_json(call.content, model="lead")
    if call.content_type not in {"application/xml", "text/xml"}:
        raise refuse_media_type()
    try:
        return xml.decode_lead(call.content)
    except ValueError:
        raise refuse_content({"lead": ["Innehållet går inte att läsa."]}) from None


def _read_tags(values: Mapping[str, Any]) -> list[dict[str, str]]:
    tags: list[dict[str, str]] = values.get("marketing", {}).get("utmTags", [])
    return tags


def _check_references(call: Call, customer: Customer, values: Mapping[str, Any]) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if call.world.find_contact(customer.id, values["contactId"]) is None:
        errors["lead.ContactId"] = ["Kontakten finns inte."]
    if customer.name_receiver(values["assignedToId"]) is None:
        errors["lead.AssignedToId"] = ["Mottagaren finns inte eller är arkiverad."]
    if (office := values.get("officeId")) and office not in {one.id for one in customer.offices}:
        errors["lead.OfficeId"] = ["Kontoret finns inte."]
    if call.config.only_known_lead_sources and values["leadSourceId"] not in call.config.lead_sources:
        errors["lead.LeadSourceId"] = ["Leadskällan finns inte."]
    return errors


def _describe_leads(contact_id: str, leads: list[StoredLead]) -> dict[str, Any]:
    rows = [
        {
            "id": lead.id,
            "createdAt": tell_time(lead.created_at),
            "leadType": "Contact",
            "leadTypeId": lead.lead_source_id,
        }
        for lead in leads
        if lead.contact_id == contact_id
    ]
    return {"contactId": contact_id, "leads": rows}
