"""The stand-in finds, overwrites and makes contacts by Vitec's rules."""

import re
from typing import Any

import httpx
import pytest

from tests.sandboxes import CUSTOMER, add_contact, make_person, open_sandbox


@pytest.fixture
def vitec() -> httpx.Client:
    return open_sandbox()


def stored(vitec: httpx.Client, contact_id: str) -> dict[str, Any]:
    contacts = vitec.get("/sandbox/state").json()["contacts"]
    values: dict[str, Any] = next(one["values"] for one in contacts if one["id"] == contact_id)
    return values


def add_company(vitec: httpx.Client, **values: Any) -> str:
    answer = vitec.post("/Contacts/UpdateCompany", json={"customerId": CUSTOMER, **values})
    assert answer.status_code == 200, answer.text
    return str(answer.json())


def test_a_new_person_gets_an_id_as_a_bare_string(vitec: httpx.Client) -> None:
    assert re.fullmatch(r"ADR[0-9A-F]{32}", add_contact(vitec))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {}),
        ({}, {"firstName": "ASTRID ", "email": {"emailAddress": "Astrid@Example.SE"}}),
        ({"cellPhone": "+46701740605"}, {"email": None, "cellPhone": "070-174 06 05"}),
        ({"telePhone": "08-465 004 41"}, {"email": None, "telePhone": "0046846500441"}),
        (
            {"socialSecurityNumber": "19800101-1234"},
            {"socialSecurityNumber": "198001011234", "lastName": "Ek"},
        ),
    ],
)
def test_the_same_person_is_found_again(
    vitec: httpx.Client, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert add_contact(vitec, **first) == add_contact(vitec, **second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"firstName": "Anna"}),
        ({}, {"lastName": ""}),
        ({}, {"email": {"emailAddress": "other@example.se"}}),
        ({"email": None, "workPhone": "0701"}, {"email": None, "workPhone": "0701"}),
        ({"cellPhone": "0701"}, {"email": None, "telePhone": "0701"}),
        ({"email": {"emailAddress2": "a@example.se"}}, {"email": {"emailAddress2": "a@example.se"}}),
        ({"firstName": None}, {"firstName": None}),
    ],
)
def test_anyone_else_is_another_person(
    vitec: httpx.Client, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert add_contact(vitec, **first) != add_contact(vitec, **second)


def test_the_number_goes_before_the_name(vitec: httpx.Client) -> None:
    named = add_contact(vitec)
    numbered = add_contact(vitec, firstName="Anna", socialSecurityNumber="198001011234")
    assert add_contact(vitec, socialSecurityNumber="198001011234") == numbered != named


def test_an_id_goes_before_everything(vitec: httpx.Client) -> None:
    first = add_contact(vitec)
    other = add_contact(vitec, firstName="Anna")
    assert add_contact(vitec, contactId=other) == other != first
    assert stored(vitec, other)["firstName"] == "Astrid"


@pytest.mark.parametrize("contact_id", ["ADR0", "a company's"])
def test_an_unknown_id_is_refused(vitec: httpx.Client, contact_id: str) -> None:
    company = add_company(vitec, companyName="Bolaget AB")
    wanted = company if contact_id == "a company's" else contact_id
    answer = vitec.post("/Contacts/UpdatePerson", json=make_person(contactId=wanted))
    assert answer.status_code == 400
    assert list(answer.json()["modelState"]) == ["person.ContactId"]


def test_what_is_sent_overwrites_and_the_rest_stays(vitec: httpx.Client) -> None:
    contact = add_contact(vitec, cellPhone="0701", note="old", address={"city": "Solna", "zipCode": "169 55"})
    add_contact(vitec, note="new", address={"city": "Kista"})
    assert stored(vitec, contact) == {
        "firstName": "Astrid",
        "lastName": "Sjögren",
        "email": {"emailAddress": "astrid@example.se"},
        "cellPhone": "0701",
        "note": "new",
        "address": {"city": "Kista", "zipCode": "169 55"},
    }


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_blank_names_leave_the_stored_ones_alone(vitec: httpx.Client, blank: str | None) -> None:
    contact = add_contact(vitec)
    add_contact(vitec, contactId=contact, firstName=blank, lastName=blank)
    assert (stored(vitec, contact)["firstName"], stored(vitec, contact)["lastName"]) == ("Astrid", "Sjögren")


def test_other_empty_texts_blank_out_what_was_stored_and_null_does_not(vitec: httpx.Client) -> None:
    contact = add_contact(vitec, cellPhone="0701", note="kept")
    add_contact(vitec, cellPhone="", note=None)
    assert (stored(vitec, contact)["cellPhone"], stored(vitec, contact)["note"]) == ("", "kept")


def test_every_call_with_a_task_makes_a_task(vitec: httpx.Client) -> None:
    for _ in range(2):
        add_contact(vitec, task={"predefinedTaskId": "T1"})
    assert len(vitec.get("/sandbox/state").json()["contacts"][0]["tasks"]) == 2


def test_names_of_properties_come_in_any_case(vitec: httpx.Client) -> None:
    body = {"CustomerId": CUSTOMER, "FIRSTNAME": "Astrid", "Email": {"EmailAddress": "astrid@example.se"}}
    contact = vitec.post("/Contacts/UpdatePerson", json=body).json()
    assert stored(vitec, contact) == {"firstName": "Astrid", "email": {"emailAddress": "astrid@example.se"}}


@pytest.mark.parametrize("way", ["telePhone", "workPhone", "cellPhone"])
def test_one_way_to_answer_is_enough(vitec: httpx.Client, way: str) -> None:
    assert add_contact(vitec, email=None, **{way: "0701"})


@pytest.mark.parametrize(
    "values", [{}, {"otherPhone": "0701"}, {"cellPhone": " ", "email": {"emailAddress": ""}}]
)
def test_nobody_who_cannot_be_answered_is_taken(vitec: httpx.Client, values: dict[str, Any]) -> None:
    answer = vitec.post("/Contacts/UpdatePerson", json={**make_person(email=None), **values})
    assert answer.status_code == 400
    assert answer.json()["message"] == "Begäran är ogiltig."
    assert list(answer.json()["modelState"]) == ["person"]


def test_every_error_is_told_at_once(vitec: httpx.Client) -> None:
    body = {"firstName": "a" * 31, "email": {"emailAddress": 1}, "leadScore": 1.5, "categoryIds": ["a", None]}
    answer = vitec.post("/Contacts/UpdatePerson", json=body)
    assert answer.status_code == 400
    assert set(answer.json()["modelState"]) == {
        "person.CustomerId",
        "person.FirstName",
        "person.Email.EmailAddress",
        "person.LeadScore",
        "person.CategoryIds[1]",
    }


def test_everything_that_can_be_said_of_a_person_is_kept(vitec: httpx.Client) -> None:
    values = {
        "isForeignSocialSecurityNumber": False,
        "approval": True,
        "approvalDate": "2026-08-31T11:46:09.65+02:00",
        "gdprApprovalDate": "2026-08-31T09:46:09Z",
        "obtainThrough": "Interest",
        "wishAdvertising": True,
        "categoryIds": ["K1", "K2"],
        "coordinate": {"longitud": 18.06, "latitud": 59},
        "leadScore": 3,
    }
    kept = stored(vitec, add_contact(vitec, **values))
    assert {name: kept[name] for name in values} == values


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_a_number_that_is_none_is_refused(vitec: httpx.Client, number: str) -> None:
    content = f'{{"customerId": "M12345", "cellPhone": "1", "coordinate": {{"latitud": {number}}}}}'
    headers = {"content-type": "application/json"}
    answer = vitec.post("/Contacts/UpdatePerson", content=content, headers=headers)
    assert list(answer.json()["modelState"]) == ["person.Coordinate.Latitud"]


def test_lengths_are_counted_in_utf_16_units(vitec: httpx.Client) -> None:
    assert add_contact(vitec, firstName="🏠" * 15)
    assert vitec.post("/Contacts/UpdatePerson", json=make_person(firstName="🏠" * 16)).status_code == 400


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"text"', b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(vitec: httpx.Client, content: bytes) -> None:
    answer = vitec.post(
        "/Contacts/UpdatePerson", content=content, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, list(answer.json()["modelState"])) == (400, ["person"])


def test_only_json_is_taken(vitec: httpx.Client) -> None:
    assert vitec.post("/Contacts/UpdatePerson", content=b"<Person/>").status_code == 415


def test_a_lone_surrogate_does_no_harm(vitec: httpx.Client) -> None:
    body = b'{"customerId": "M12345", "cellPhone": "1", "firstName": "A\\ud800"}'
    headers = {"content-type": "application/json"}
    contact = vitec.post("/Contacts/UpdatePerson", content=body, headers=headers).json()
    assert stored(vitec, contact)["firstName"] == "A\N{REPLACEMENT CHARACTER}"
    assert vitec.get("/").status_code == 200


def test_customers_do_not_share_contacts(vitec: httpx.Client) -> None:
    assert add_contact(vitec) != add_contact(vitec, customerId="M30011")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            {"companyName": "Bolaget AB", "switchPhone": "08-1"},
            {"companyName": "BOLAGET AB", "switchPhone": "081"},
        ),
        (
            {"companyName": "Bolaget AB", "email": {"emailAddress": "a@example.se"}},
            {"companyName": "Bolaget AB", "email": {"emailAddress": "A@example.se"}},
        ),
        ({"corporateNumber": "556000-0000"}, {"corporateNumber": "5560000000", "companyName": "Other"}),
    ],
)
def test_the_same_company_is_found_again(
    vitec: httpx.Client, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert add_company(vitec, **first) == add_company(vitec, **second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"companyName": "Bolaget AB"}, {"companyName": "Bolaget AB"}),
        ({"companyName": "Bolaget AB", "otherPhone": "1"}, {"companyName": "Bolaget AB", "otherPhone": "1"}),
        ({"switchPhone": "1"}, {"switchPhone": "1"}),
        ({"companyName": "A", "switchPhone": "1"}, {"companyName": "B", "switchPhone": "1"}),
    ],
)
def test_any_other_company_is_another(
    vitec: httpx.Client, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert add_company(vitec, **first) != add_company(vitec, **second)


def test_a_blank_company_name_leaves_the_stored_one_alone(vitec: httpx.Client) -> None:
    company = add_company(vitec, companyName="Bolaget AB")
    assert add_company(vitec, contactId=company, companyName=" ", homePage="https://example.se") == company
    assert stored(vitec, company) == {"companyName": "Bolaget AB", "homePage": "https://example.se"}
