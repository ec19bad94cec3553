"""The stand-in's look-ups: receivers to check by, and searches for contacts."""

from typing import Any

import httpx
import pytest

from app.sandbox.config import (
    AGENT,
    ARCHIVED_AGENT,
    OFFICE,
    SECOND_AGENT,
    SOLVIKEN_AGENT,
    SOLVIKEN_OFFICE,
    USER_GROUP,
)
from tests.sandboxes import CUSTOMER, Clock, add_contact, open_sandbox


@pytest.fixture
def vitec() -> httpx.Client:
    return open_sandbox()


def search(vitec: httpx.Client, **criteria: Any) -> list[str]:
    groups = vitec.post("/Contacts/GetContactsSyncList", json=criteria).json()
    return [row["contactId"] for group in groups for row in group["persons"] + group["companies"]]


def test_an_office_names_its_primary_receiver(vitec: httpx.Client) -> None:
    (office,) = vitec.get("/Office/GetOffice", params={"CustomerId": CUSTOMER}).json()
    assert (office["officeId"], office["customerId"]) == (OFFICE, CUSTOMER)
    assert (office["primaryLeadReceiverId"], office["archived"]) == (AGENT, False)


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"customerid": "M30011"}, [SOLVIKEN_OFFICE]),
        ({"CustomerId": CUSTOMER, "OfficeId": OFFICE}, [OFFICE]),
        ({"CustomerId": CUSTOMER, "OfficeId": CUSTOMER}, []),
        ({"CustomerId": CUSTOMER, "GroupId": "G1"}, []),
    ],
)
def test_offices_are_found_by(vitec: httpx.Client, params: dict[str, str], found: list[str]) -> None:
    assert [one["officeId"] for one in vitec.get("/Office/GetOffice", params=params).json()] == found


def test_offices_are_asked_for_by_customer(vitec: httpx.Client) -> None:
    assert vitec.get("/Office/GetOffice").status_code == 400


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, [AGENT, SECOND_AGENT, ARCHIVED_AGENT, SOLVIKEN_AGENT]),
        ({"CustomerId": "M30011"}, [SOLVIKEN_AGENT]),
        ({"UserId": AGENT}, [AGENT]),
        ({"SearchText": "WIIK"}, [SECOND_AGENT]),
        ({"SearchText": "sara@"}, [SOLVIKEN_AGENT]),
    ],
)
def test_users_are_found_by(vitec: httpx.Client, params: dict[str, str], found: list[str]) -> None:
    assert [one["userId"] for one in vitec.get("/User/GetUser", params=params).json()] == found


def test_an_archived_user_is_told_as_such(vitec: httpx.Client) -> None:
    users = vitec.get("/User/GetUser", params={"CustomerId": CUSTOMER}).json()
    assert [one["userId"] for one in users if one["archived"]] == [ARCHIVED_AGENT]


def test_user_groups_name_their_users(vitec: httpx.Client) -> None:
    (group,) = vitec.get(f"/CRM/Usergroups/{CUSTOMER}").json()
    assert group["userGroupId"] == USER_GROUP
    assert group["users"] == [{"userId": AGENT}, {"userId": SECOND_AGENT}]
    assert vitec.get("/CRM/Usergroups/M30011").json() == []


def test_contacts_are_grouped_by_customer_and_kind(vitec: httpx.Client) -> None:
    person = add_contact(vitec)
    company = vitec.post("/Contacts/UpdateCompany", json={"customerId": CUSTOMER, "companyName": "AB"}).json()
    other = add_contact(vitec, customerId="M30011")
    changed = "2026-08-31T11:46:09.65"
    assert vitec.post("/Contacts/GetContactsSyncList", json={}).json() == [
        {
            "customerId": CUSTOMER,
            "persons": [{"contactId": person, "dateChanged": changed}],
            "companies": [{"contactId": company, "dateChanged": changed}],
            "estates": [],
        },
        {
            "customerId": "M30011",
            "persons": [{"contactId": other, "dateChanged": changed}],
            "companies": [],
            "estates": [],
        },
    ]
    assert search(vitec, customerId="M30011") == [other]


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"emailAddresses": ["ASTRID@example.se", "x@example.se"]}, True),
        ({"emailAddresses": ["second@example.se"]}, True),
        ({"emailAddresses": ["strid@example.se"]}, False),
        ({"emailAddresses": [""]}, False),
        ({"socialSecurityNumber": "198001011234"}, True),
        ({"socialSecurityNumber": "198001011235"}, False),
        ({"userId": AGENT, "categories": ["K1", "K2"], "customField": {"name": "a", "value": "b"}}, True),
        ({"userId": "HAN0"}, False),
        ({"categories": ["K2"]}, False),
        ({"customField": {"name": "a", "value": "c"}}, False),
        ({"contactId": ["ADR0"]}, False),
        ({"createdDateFrom": "2026-08-31T11:46:09"}, True),
        ({"createdDateFrom": "2026-08-31T11:46:10"}, False),
        ({"changedDateTo": "2026-08-31T09:46:10Z"}, True),
        ({"changedDateTo": "2026-08-31T09:46:09+00:00"}, False),
        ({"viewingDateFrom": "2020-01-01T00:00:00"}, False),
    ],
)
def test_a_contact_is_found_by(vitec: httpx.Client, criteria: dict[str, Any], *, found: bool) -> None:
    contact = add_contact(
        vitec,
        socialSecurityNumber="19800101-1234",
        userId=AGENT,
        categoryIds=["K1"],
        customField={"name": "a", "value": "b"},
        email={"emailAddress": "astrid@example.se", "emailAddress2": "second@example.se"},
    )
    assert search(vitec, **criteria) == ([contact] if found else [])


def test_a_change_is_dated() -> None:
    clock = Clock()
    vitec = open_sandbox(clock=clock)
    contact = add_contact(vitec)
    clock.pass_time(3600)
    add_contact(vitec, note="new")
    assert search(vitec, changedDateFrom="2026-08-31T12:00:00") == [contact]
    assert search(vitec, createdDateFrom="2026-08-31T12:00:00") == []


def test_contacts_are_found_by_any_of_their_phones(vitec: httpx.Client) -> None:
    first = add_contact(vitec, cellPhone="+46701740605")
    other = add_contact(vitec, customerId="M30011", otherPhone="070-174 06 05")
    path = "/Contacts/GetContactsWithPhonenumber"
    everywhere = vitec.get(path, params={"phoneNumber": "0046 701 74 06 05"}).json()
    assert everywhere == [
        {"customerId": CUSTOMER, "contactIds": [first]},
        {"customerId": "M30011", "contactIds": [other]},
    ]
    here = vitec.get(path, params={"phoneNumber": "0701740605", "customerId": CUSTOMER}).json()
    assert here == everywhere[:1]
    assert vitec.get(path, params={"phoneNumber": "+45701740605"}).json() == []
    assert vitec.get(path, params={"phoneNumber": " "}).status_code == 400
