"""The whole state as JSON, for tests and other programs."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from app.sandbox.faults import Fault, FaultBoard
from app.sandbox.world import CallRecord, Contact, StoredLead, World


def describe_world(world: World, board: FaultBoard) -> dict[str, Any]:
    """Times are UTC with an offset here, unlike those that Vitec tells."""
    calls = list(world.calls)
    return {
        "contacts": [describe_contact(contact) for contact in world.contacts],
        "leads": [describe_lead(lead) for lead in world.leads],
        "calls": [_describe_call(call) for call in calls],
        "counts": dict(Counter(call.operation for call in calls)),
        "faults": [describe_fault(fault) for fault in board.faults],
    }


def describe_contact(contact: Contact) -> dict[str, Any]:
    return {
        "id": contact.id,
        "customerId": contact.customer_id,
        "type": contact.kind,
        "values": contact.values,
        "tasks": contact.tasks,
        "createdAt": contact.created_at.isoformat(),
        "changedAt": contact.changed_at.isoformat(),
    }


def describe_lead(lead: StoredLead) -> dict[str, Any]:
    return {
        "id": lead.id,
        "customerId": lead.customer_id,
        "contactId": lead.contact_id,
        "assignedToId": lead.assigned_to_id,
        "leadSourceId": lead.lead_source_id,
        "officeId": lead.office_id,
        "assignmentSourceId": lead.assignment_source_id,
        "message": lead.message,
        "referrer": lead.referrer,
        "utmTags": [{"name": name, "value": value} for name, value in lead.utm_tags],
        "createdAt": lead.created_at.isoformat(),
    }


def describe_fault(fault: Fault) -> dict[str, Any]:
    sent = fault.order.model_dump(by_alias=True)
    effective = {"operation": fault.operation, "seconds": fault.seconds}
    return {"id": fault.id, **sent, **effective, "used": fault.used, "remaining": fault.remaining}


def _describe_call(call: CallRecord) -> dict[str, Any]:
    return {**asdict(call), "at": call.at.isoformat()}
