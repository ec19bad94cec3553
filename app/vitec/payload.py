"""From a lead to the body of POST CRM/Lead, and how bodies are frozen."""

import json

from app.forms.model import Form
from app.lead import Destination, Lead
from app.vitec.contact import Body, map_contact
from app.vitec.message import compose_message

PAYLOAD_VERSION = 1
"""Of the mapping: counts up when the same lead would give other bytes."""

MARKER = "leadgate"
"""The tag whose value is the lead's id: what a lead is found by when the answer was lost."""


def map_lead(
    lead: Lead,
    form: Form,
    destination: Destination,
    *,
    contact_id: str,
    possible_duplicate: bool = False,
) -> Body:
    """The lead for a contact that exists in Vitec. What `map_contact` left over stands in its message."""
    overflow = map_contact(lead, form, destination).overflow
    body: Body = {
        "contactId": contact_id,
        "assignedToId": destination.assigned_to_id,
        "leadSourceId": destination.lead_source_id,
        "officeId": destination.office_id,
        "assignmentSourceId": destination.assignment_source_id,
        "marketing": _map_marketing(lead, form),
        "message": compose_message(lead, form, overflow=overflow, possible_duplicate=possible_duplicate),
    }
    return {name: value for name, value in body.items() if value}


def encode(body: Body) -> bytes:
    """A body as JSON that is the same bytes for the same content: what is kept, and resent as it is."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _map_marketing(lead: Lead, form: Form) -> Body:
    tags = [
        {"name": tag.name, "value": tag.value}
        for tag in lead.marketing.utm_tags
        # No visitor may pass for a marker.
        if tag.name.strip() and tag.value.strip() and tag.name.strip().lower() != MARKER
        if form.extra_tags or tag.name.startswith("utm_")
    ]
    referrer = (lead.marketing.referrer or "").strip()
    marketing: Body = {"referrer": referrer} if referrer else {}
    return marketing | {"utmTags": [*tags, {"name": MARKER, "value": lead.id}]}
