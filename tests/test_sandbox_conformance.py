"""The stand-in against Vitec's OpenAPI document: the bodies it takes, their limits, and what it answers."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator

from app.sandbox import models
from app.sandbox.config import AGENT, OFFICE
from app.sandbox.operations import OPERATIONS
from app.sandbox.shapes import Choice, Flag, Kind, Many, Moment, Number, Shape, Text
from tests.sandboxes import CUSTOMER, add_contact, add_lead, make_lead, make_person, open_sandbox, set_fault

DOCUMENT: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "vitec-openapi.yaml").read_text("utf-8"))
MODELS = {
    "UpdatePerson": models.PERSON,
    "UpdateCompany": models.COMPANY,
    "Lead": models.LEAD,
    "ContactCriteria": models.CRITERIA,
}
PATHS = {"UpdatePerson": "/Contacts/UpdatePerson", "UpdateCompany": "/Contacts/UpdateCompany"}
FULL_MARKETING = {"referrer": "https://example.se", "utmTags": [{"name": "leadgate", "value": "1"}]}


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without references and allOf, at its top."""
    if "$ref" in schema:
        return resolve(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "allOf" in schema:
        merged: dict[str, Any] = {"properties": {}, "required": []}
        for part in map(resolve, schema["allOf"]):
            merged["properties"] |= part["properties"]
            merged["required"] += part.get("required", [])
        return {**schema, "type": "object", **merged}
    return schema


def outline_schema(schema: dict[str, Any]) -> Any:
    """A schema as plain values that can be held against a model's."""
    schema = resolve(schema)
    if "properties" in schema:
        members = {name: outline_schema(member) for name, member in schema["properties"].items()}
        return members, sorted(schema.get("required", []))
    if schema["type"] == "array":
        return [outline_schema(schema["items"])]
    detail = schema.get("enum") or schema.get("format") or schema.get("maxLength")
    return schema["type"], detail


def outline_model(kind: Kind) -> Any:
    match kind:
        case Shape(members, required):
            return {name: outline_model(member) for name, member in members.items()}, sorted(required)
        case Many(item):
            return [outline_model(item)]
        case Text(limit):
            return "string", limit
        case Choice(names):
            return "string", list(names)
        case Moment():
            return "string", "date-time"
        case Number(whole):
            return "integer" if whole else "number", None
        case Flag():
            return "boolean", None


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_that_of_the_document(name: str) -> None:
    assert outline_model(MODELS[name]) == outline_schema(DOCUMENT["components"]["schemas"][name])


def walk(
    schema: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    schema = resolve(schema)
    for name, member in schema.get("properties", {}).items():
        yield (*path, name), resolve(member)
        yield from walk(member, (*path, name))


LEAVES = [
    (name, path, schema)
    for name in ("UpdatePerson", "UpdateCompany", "Lead")
    for path, schema in walk(DOCUMENT["components"]["schemas"][name])
]


def nest(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    return {path[0]: nest(path[1:], value) if path[1:] else value}


def name_field(model: str, path: tuple[str, ...]) -> str:
    prefix = {"UpdatePerson": "person", "UpdateCompany": "company", "Lead": "lead"}[model]
    return ".".join((prefix, *(part[0].upper() + part[1:] for part in path)))


def ask_refusal(model: str, path: tuple[str, ...], value: Any) -> list[str]:
    """What is said about the field, when anything is."""
    body = {**make_person(), **(make_lead("ADR0") if model == "Lead" else {}), **nest(path, value)}
    answer = open_sandbox().post(PATHS.get(model, f"/CRM/Lead/{CUSTOMER}"), json=body)
    state = answer.json().get("modelState", {}) if answer.status_code == 400 else {}
    texts: list[str] = state.get(name_field(model, path), [])
    return texts


@pytest.mark.parametrize(("model", "path", "schema"), [leaf for leaf in LEAVES if "maxLength" in leaf[2]])
def test_a_limit_is_that_of_the_document(model: str, path: tuple[str, ...], schema: dict[str, Any]) -> None:
    limit = schema["maxLength"]
    assert f"Får vara högst {limit} tecken." not in ask_refusal(model, path, "1" * limit)
    assert f"Får vara högst {limit} tecken." in ask_refusal(model, path, "1" * (limit + 1))


@pytest.mark.parametrize(("model", "path", "schema"), LEAVES)
def test_another_type_is_refused(model: str, path: tuple[str, ...], schema: dict[str, Any]) -> None:
    wrong: Any = "text" if schema["type"] != "string" else 1
    assert ask_refusal(model, path, wrong) == ["Värdet har fel typ."]


@pytest.mark.parametrize(
    ("model", "path", "schema"), [leaf for leaf in LEAVES if leaf[2].get("format") or "enum" in leaf[2]]
)
def test_a_text_that_is_no_such_value_is_refused(
    model: str, path: tuple[str, ...], schema: dict[str, Any]
) -> None:
    assert ask_refusal(model, path, "i går") == ["Värdet har fel typ."]


Ask = Callable[[httpx.Client], httpx.Response]


def _create(vitec: httpx.Client, **values: Any) -> httpx.Response:
    lead = make_lead(add_contact(vitec), message="Hej", officeId=OFFICE, marketing=FULL_MARKETING)
    return vitec.post(f"/CRM/Lead/{CUSTOMER}", json={**lead, **values})


def _list(vitec: httpx.Client, customer: str = CUSTOMER) -> httpx.Response:
    contact = add_contact(vitec)
    add_lead(vitec, contact)
    return vitec.get(f"/CRM/Contact/{customer}/{contact}/true/true/true/true/Lead")


def _list_as_object(vitec: httpx.Client) -> httpx.Response:
    set_fault(vitec, "list_as_object")
    return _list(vitec)


def _incoming(vitec: httpx.Client, **values: Any) -> httpx.Response:
    lead = add_lead(vitec, add_contact(vitec), **values)
    return vitec.get(f"/CRM/Lead/{CUSTOMER}/Incoming/{lead}")


def _person(vitec: httpx.Client, **values: Any) -> httpx.Response:
    return vitec.post("/Contacts/UpdatePerson", json=make_person(**values))


def _company(vitec: httpx.Client, **values: Any) -> httpx.Response:
    return vitec.post("/Contacts/UpdateCompany", json={"customerId": CUSTOMER, "companyName": "AB", **values})


def _search(vitec: httpx.Client, customer: str = CUSTOMER) -> httpx.Response:
    add_contact(vitec, cellPhone="0701")
    return vitec.post("/Contacts/GetContactsSyncList", json={"customerId": customer})


def _search_by_phone(vitec: httpx.Client) -> httpx.Response:
    add_contact(vitec, cellPhone="0701")
    return vitec.get("/Contacts/GetContactsWithPhonenumber", params={"phoneNumber": "0701"})


ANSWERS: list[tuple[str, int, Ask]] = [
    ("createLead", 200, _create),
    ("createLead", 400, lambda vitec: _create(vitec, assignedToId="HAN0")),
    ("createLead", 403, lambda vitec: vitec.post("/CRM/Lead/M1", json=make_lead("ADR0"))),
    ("getIncomingLead", 200, _incoming),
    ("getIncomingLead", 200, lambda vitec: _incoming(vitec, message="Hej", marketing=FULL_MARKETING)),
    ("getIncomingLead", 404, lambda vitec: vitec.get(f"/CRM/Lead/{CUSTOMER}/Incoming/LED0")),
    ("getIncomingLead", 403, lambda vitec: vitec.get("/CRM/Lead/M1/Incoming/LED0")),
    ("listLeadsOfContacts", 200, _list),
    ("listLeadsOfContacts", 200, _list_as_object),
    ("listLeadsOfContacts", 403, lambda vitec: _list(vitec, "M1")),
    ("updatePerson", 200, _person),
    ("updatePerson", 400, lambda vitec: _person(vitec, firstName="a" * 31)),
    ("updatePerson", 403, lambda vitec: _person(vitec, customerId="M1")),
    ("updateCompany", 200, _company),
    ("updateCompany", 400, lambda vitec: _company(vitec, homePage="a" * 61)),
    ("updateCompany", 403, lambda vitec: _company(vitec, customerId="M1")),
    ("getContactsSyncList", 200, _search),
    ("getContactsSyncList", 403, lambda vitec: _search(vitec, "M1")),
    ("getContactsWithPhonenumber", 200, _search_by_phone),
    ("getOffices", 200, lambda vitec: vitec.get("/Office/GetOffice", params={"CustomerId": CUSTOMER})),
    ("getPublicUsers", 200, lambda vitec: vitec.get("/User/GetUser", params={"UserId": AGENT})),
    ("listUserGroups", 200, lambda vitec: vitec.get(f"/CRM/Usergroups/{CUSTOMER}")),
]


def find_operation(name: str) -> tuple[str, str, dict[str, Any]]:
    """Its path, its method and its description."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            if method in {"get", "post"} and operation["operationId"] == name:
                return path, method.upper(), operation
    raise LookupError(name)


def close(schema: Any) -> Any:
    """The schema with no room for members it does not name."""
    if isinstance(schema, list):
        return [close(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: close(member) for name, member in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    return closed


def check_answer(name: str, answer: httpx.Response) -> None:
    response = find_operation(name)[2]["responses"][str(answer.status_code)]
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    if "content" in response:
        schema = deepcopy(response["content"]["application/json"]["schema"])
        components = {"schemas": close(DOCUMENT["components"]["schemas"])}
        Draft202012Validator({**close(schema), "components": components}).validate(answer.json())


def test_the_operations_are_those_of_the_document() -> None:
    for operation in OPERATIONS:
        assert find_operation(operation.name)[:2] == (operation.path, operation.method)
    assert {name for name, _, _ in ANSWERS} == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize(("name", "status", "ask"), ANSWERS)
def test_an_answer_is_that_of_the_document(name: str, status: int, ask: Ask) -> None:
    answer = ask(open_sandbox())
    assert answer.status_code == status
    check_answer(name, answer)


@pytest.mark.parametrize("name", [operation.name for operation in OPERATIONS])
def test_a_wrong_login_is_answered_as_the_document_has_it(name: str) -> None:
    vitec = open_sandbox()
    set_fault(vitec, "401", operation=name)
    ask = next(ask for named, status, ask in ANSWERS if (named, status) == (name, 200))
    answer = ask(vitec)
    assert answer.status_code == 401
    check_answer(name, answer)
