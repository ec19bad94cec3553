"""The look-ups: offices, users and user groups to check receivers by, and the searches for contacts."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from app.sandbox.call import Call, hear_time, tell_time
from app.sandbox.config import Customer
from app.sandbox.matching import has_email, has_phone, shares_number
from app.sandbox.models import CRITERIA, RELATIONS
from app.sandbox.replies import Reply
from app.sandbox.world import Contact, ContactKind


def get_offices(call: Call) -> Reply:
    """By OfficeId too. No office here belongs to a group, so a GroupId finds none."""
    customer = call.caller.admit(call.require_query("CustomerId"))
    wanted = call.query.get("officeid")
    rows = [
        {
            "officeId": office.id,
            "customerId": customer.id,
            "name": office.name,
            "customerName": customer.name,
            "archived": False,
            "subOffice": False,
            "primaryLeadReceiverId": office.primary_lead_receiver_id,
            "emailAddress": office.email,
            "groups": [],
        }
        for office in customer.offices
        if wanted in {None, "", office.id} and not call.query.get("groupid")
    ]
    return Reply(value=rows)


def get_public_users(call: Call) -> Reply:
    """By UserId, SearchText (name or e-mail) and CustomerId; archived users are among them."""
    rows = [row for customer in _find_customers(call) for row in _describe_users(customer)]
    if wanted := call.query.get("userid"):
        rows = [row for row in rows if row["userId"] == wanted]
    if text := call.query.get("searchtext", "").casefold():
        rows = [row for row in rows if text in f"{row['userName']} {row['emailAddress']}".casefold()]
    return Reply(value=rows)


def list_user_groups(call: Call) -> Reply:
    customer = call.caller.admit(call.parameters["customerId"])
    rows = [
        {
            "userGroupId": group.id,
            "customerIds": [customer.id],
            "name": group.name,
            "users": [{"userId": user_id} for user_id in group.user_ids],
        }
        for group in customer.groups
    ]
    return Reply(value=rows)


def get_contacts_sync_list(call: Call) -> Reply:
    """The contacts that meet every criterion, grouped by customer."""
    criteria = call.read_json_model(CRITERIA, model="criteria")
    wanted = criteria.get("customerId")
    customers = [call.caller.admit(wanted)] if wanted else call.caller.customers
    groups = []
    for customer in customers:
        found = [one for one in _see_contacts(call, customer) if _meets(one, criteria)]
        if found:
            persons = _list_changes(one for one in found if one.kind is ContactKind.PERSON)
            companies = _list_changes(one for one in found if one.kind is ContactKind.COMPANY)
            row = {"customerId": customer.id, "persons": persons, "companies": companies, "estates": []}
            groups.append(row)
    return Reply(value=groups)


def get_contacts_with_phonenumber(call: Call) -> Reply:
    number = call.require_query("phoneNumber")
    groups = []
    for customer in _find_customers(call):
        found = [one.id for one in _see_contacts(call, customer) if has_phone(one.values, number)]
        if found:
            groups.append({"customerId": customer.id, "contactIds": found})
    return Reply(value=groups)


def _find_customers(call: Call) -> tuple[Customer, ...]:
    wanted = call.query.get("customerid")
    return (call.caller.admit(wanted),) if wanted else call.caller.customers


def _see_contacts(call: Call, customer: Customer) -> list[Contact]:
    if "reads_blind" in call.alterations:
        return []
    return [one for one in call.world.contacts if one.customer_id == customer.id]


def _describe_users(customer: Customer) -> list[dict[str, Any]]:
    return [
        {
            "userId": user.id,
            "userName": user.name,
            "title": "Fastighetsmäklare",
            "emailAddress": user.email,
            "archived": user.archived,
            "public": not user.archived,
            "allowLogOn": not user.archived,
            "customerId": [customer.id],
            "publishedOnOffice": [user.office_id],
            "customerIdsWithSortOrder": [
                {
                    "customerId": customer.id,
                    "officeId": user.office_id,
                    "orderNumber": order,
                    "mainBusiness": True,
                }
            ],
        }
        for order, user in enumerate(customer.users, start=1)
    ]


def _list_changes(contacts: Iterable[Contact]) -> list[dict[str, str]]:
    return [{"contactId": one.id, "dateChanged": tell_time(one.changed_at)} for one in contacts]


def _meets(contact: Contact, criteria: Mapping[str, Any]) -> bool:
    values = contact.values
    if any(name.startswith(RELATIONS) for name in criteria):
        return False
    tests: dict[str, Callable[[Any], bool]] = {
        "contactId": lambda ids: contact.id in ids,
        "userId": lambda user_id: values.get("userId") == user_id,
        "categories": lambda ids: not set(ids).isdisjoint(values.get("categoryIds", [])),
        "emailAddresses": lambda addresses: has_email(values, addresses),
        "customField": lambda custom: values.get("customField") == custom,
        "socialSecurityNumber": lambda _: shares_number(values, criteria, "socialSecurityNumber"),
    }
    dates = {"created": contact.created_at, "changed": contact.changed_at}
    return all(test(criteria[name]) for name, test in tests.items() if name in criteria) and all(
        _is_within(moment, criteria, name) for name, moment in dates.items()
    )


def _is_within(moment: datetime, criteria: Mapping[str, Any], name: str) -> bool:
    start, end = criteria.get(f"{name}DateFrom"), criteria.get(f"{name}DateTo")
    return not (start and moment < hear_time(start)) and not (end and moment > hear_time(end))
