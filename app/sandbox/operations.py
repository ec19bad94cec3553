"""The calls of Vitec Connect that stand here, named as in its OpenAPI document."""

from collections.abc import Callable
from dataclasses import dataclass

from app.sandbox.call import Call
from app.sandbox.config import CallGroup
from app.sandbox.contacts import update_company, update_person
from app.sandbox.leads import create_lead, get_incoming_lead, list_leads_of_contacts
from app.sandbox.lookups import (
    get_contacts_sync_list,
    get_contacts_with_phonenumber,
    get_offices,
    get_public_users,
    list_user_groups,
)
from app.sandbox.replies import Reply


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    group: CallGroup
    method: str
    path: str
    run: Callable[[Call], Reply]
    """Raises Refusal."""


CREATE_LEAD = "createLead"
LIST_LEADS = "listLeadsOfContacts"

OPERATIONS = (
    Operation("updatePerson", CallGroup.CONTACT, "POST", "/Contacts/UpdatePerson", update_person),
    Operation("updateCompany", CallGroup.CONTACT, "POST", "/Contacts/UpdateCompany", update_company),
    Operation(CREATE_LEAD, CallGroup.CREATE, "POST", "/CRM/Lead/{customerId}", create_lead),
    Operation(
        LIST_LEADS,
        CallGroup.READ,
        "GET",
        "/CRM/Contact/{customerId}/{contactIds}/{objectLeadType}/{contactLeadType}/{logLeadType}"
        "/{outgoingLeadType}/Lead",
        list_leads_of_contacts,
    ),
    Operation(
        "getIncomingLead",
        CallGroup.READ,
        "GET",
        "/CRM/Lead/{customerId}/Incoming/{id}",
        get_incoming_lead,
    ),
    Operation("getOffices", CallGroup.READ, "GET", "/Office/GetOffice", get_offices),
    Operation("getPublicUsers", CallGroup.READ, "GET", "/User/GetUser", get_public_users),
    Operation("listUserGroups", CallGroup.READ, "GET", "/CRM/Usergroups/{customerId}", list_user_groups),
    Operation(
        "getContactsSyncList",
        CallGroup.READ,
        "POST",
        "/Contacts/GetContactsSyncList",
        get_contacts_sync_list,
    ),
    Operation(
        "getContactsWithPhonenumber",
        CallGroup.READ,
        "GET",
        "/Contacts/GetContactsWithPhonenumber",
        get_contacts_with_phonenumber,
    ),
)
