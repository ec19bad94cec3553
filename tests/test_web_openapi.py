"""The API's description against the API: nothing is documented that does not happen, and the other way round."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from app.forms.model import Forms
from app.web.openapi import describe_api
from tests.gateways import ANNA, LEADS, NOBODY, STRANGER, Gateway, build, open_gateway
from tests.test_web_security import OFFICES, ROUTES, list_public

Document = dict[str, Any]
METHODS = {"get", "post", "options"}
JSON = {"Content-Type": "application/json"}
LIMIT = 10


async def fetch(gateway: Gateway) -> Document:
    found: Document = (await gateway.client.get("/openapi.json")).json()
    return found


@pytest.fixture
def document(tmp_path: Path) -> Document:
    app, _, _ = build(tmp_path)
    return app.openapi()


def operations(document: Document) -> Iterator[tuple[str, str, Document, Document]]:
    for path, item in document["paths"].items():
        yield from ((path, method, item[method], item) for method in item.keys() & METHODS)


def walk(node: Any) -> Iterator[Any]:
    yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from walk(child)


def validator(document: Document, schema: Document) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def test_it_is_openapi_3_1(document: Document) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"].keys() >= {"title", "version"}
    identities = [operation["operationId"] for _, _, operation, _ in operations(document)]
    assert len(identities) == len(set(identities))
    for path, _, operation, item in operations(document):
        parameters = [*item["parameters"], *operation.get("parameters", ())] if "parameters" in item else []
        names = [(one["name"], one["in"]) for one in parameters]
        assert len(names) == len(set(names))
        assert {name for name, place in names if place == "path"} == set(re.findall(r"{(\w+)}", path))
        assert all(one["required"] is (one["in"] == "path") for one in parameters)
        assert operation["summary"]
        for status, answer in operation["responses"].items():
            assert re.fullmatch("[2345][0-9]{2}", status)
            assert answer["description"]


def test_every_schema_is_one_and_every_reference_leads_somewhere(document: Document) -> None:
    for node in walk(document):
        if isinstance(node, dict) and isinstance(node.get("schema"), dict) and "type" not in node:
            Draft202012Validator.check_schema(node["schema"])
        if isinstance(node, dict) and "$ref" in node:
            name = node["$ref"].removeprefix("#/components/schemas/")
            assert name in document["components"]["schemas"]
    for name, schema in document["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
        Draft202012Validator.check_schema(schema)


def test_every_route_is_documented_and_every_documented_one_is_there(document: Document) -> None:
    documented = {(path, method.upper()) for path, method, _, _ in operations(document)}
    undocumented = {("/openapi.json", "GET"), ("/static", "GET"), ("/metrics", "GET")}
    undocumented |= {route for route, audience in ROUTES.items() if audience is OFFICES}
    assert documented == set(list_public()) - undocumented


def test_the_public_address_is_the_server(tmp_path: Path) -> None:
    app, _, _ = build(tmp_path, public_url="https://forms.byran.se")
    assert app.openapi()["servers"] == [{"url": "https://forms.byran.se"}]
    assert describe_api(Forms(forms={}), public_url=None)["servers"] == [{"url": "/"}]


@pytest.mark.anyio
async def test_the_examples_are_valid_and_accepted(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        document = await fetch(gateway)
        content = document["paths"]["/api/v1/forms/{form}/leads"]["post"]["requestBody"]["content"]
        examples = content["application/json"]["examples"]
        assert set(examples) == set(gateway.forms.current.forms)
        for name, example in examples.items():
            schema = {"$ref": f"#/components/schemas/Lead.{name}"}
            validator(document, schema).validate(example["value"])
            answer = await gateway.client.post(f"/api/v1/forms/{name}/leads", json=example["value"])
            assert answer.status_code == 202, answer.text


@pytest.mark.anyio
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "Anna Bergström", "firstName": None, "lastName": None},
        {"phone": "0701740605", "email": None},
        {"email": None},
        {"lastName": None},
        {"okand": "x"},
        {"consents": {"newsletter": True}},
        {"consents": {"newsletter": "ja"}},
        {"consents": {"annat": True}},
        {"notice": {"version": "1", "shownAt": "2026-11-01T12:00:00Z"}},
        {"notice": {"when": "1"}},
        {"companyName": "Firman", "city": "Solna"},
        {"message": 5},
        {"message": "x" * 5001},
        {"pageUrl": 5, "language": 5, "receiver": [], "marketing": "x", "utm_source": 5},
        {"first_utm_source": "x", "gclid": "y", "first_landing_referrer": "https://x.se/"},
        {"objectReference": "x" * 300},
        {"objectReference": 3},
    ],
)
async def test_the_schema_says_what_is_accepted(tmp_path: Path, changes: Document) -> None:
    async with open_gateway(tmp_path) as gateway:
        document = await fetch(gateway)
        body = {name: value for name, value in (ANNA | changes).items() if value is not None}
        valid = validator(document, {"$ref": "#/components/schemas/Lead.kontakt"}).is_valid(body)
        answer = await gateway.client.post(LEADS, json=body)
        assert valid is (answer.status_code == 202), answer.text


@pytest.mark.anyio
async def test_the_forms_own_schema_says_what_it_requires(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        document = await fetch(gateway)
        for name in gateway.forms.current.forms:
            schema = (await gateway.client.get(f"/api/v1/forms/{name}")).json()["schema"]
            Draft202012Validator.check_schema(schema)
            post = document["paths"]["/api/v1/forms/{form}/leads"]["post"]
            example = post["requestBody"]["content"]["application/json"]["examples"][name]["value"]
            assert Draft202012Validator(schema).is_valid(example)
            for wanted in ("email", "lastName", "name"):
                less = {key: value for key, value in example.items() if key not in {wanted, "phone"}}
                kept = (
                    await gateway.client.post(f"/api/v1/forms/{name}/leads", json=less)
                ).status_code == 202
                assert Draft202012Validator(schema).is_valid(less) is kept


async def drive(gateway: Gateway) -> list[tuple[str, str, httpx.Response]]:
    """Every operation in every way that it is known to answer, by its path in the document."""
    client, produced = gateway.client, []

    async def ask(template: str, method: str, path: str, **options: Any) -> httpx.Response:
        answer = await client.request(method, path, **options)
        produced.append((template, method.lower(), answer))
        return answer

    leads, lead = "/api/v1/forms/{form}/leads", "/api/v1/leads/{id}"
    kept = await ask(leads, "POST", LEADS, json=ANNA, headers={"Idempotency-Key": "a", "Prefer": "wait=0"})
    refused: list[Document] = [
        {"json": ANNA, "headers": {"Idempotency-Key": "a"}},
        {"json": ANNA | {"message": "y"}, "headers": {"Idempotency-Key": "a"}},
        {"json": {}},
        {"json": ANNA, "headers": {"Idempotency-Key": ""}},
        {"json": ANNA, "headers": {"Origin": STRANGER}},
        {"content": b"{", "headers": JSON},
        {"content": b" " * 70_000, "headers": JSON},
        {"content": b""},
    ]
    for options in refused:
        await ask(leads, "POST", LEADS, **options)
    await ask(leads, "POST", LEADS.replace("kontakt", "okand"), json=ANNA)
    await ask(leads, "OPTIONS", LEADS)
    await ask(leads, "POST", LEADS, json=ANNA, headers={"Authorization": "Bearer x"})
    await ask(leads, "POST", LEADS, json=ANNA | {"firstName": "www.x.se"}, headers={"Prefer": "challenge"})
    for number in range(LIMIT + 1):
        await ask(leads, "POST", LEADS.replace("kontakt", "prov"), json=ANNA | {"message": str(number)})
    await ask("/f/{form}", "POST", "/f/prov", data=ANNA)
    for name in ("kontakt", "okand"):
        await ask("/api/v1/forms/{form}", "GET", f"/api/v1/forms/{name}")
        await ask("/f/{form}", "GET", f"/f/{name}")
        await ask("/f/{form}", "POST", f"/f/{name}", data=ANNA)
        await ask("/f/{form}/theme.css", "GET", f"/f/{name}/theme.css")
    await ask("/api/v1/forms/{form}", "OPTIONS", "/api/v1/forms/kontakt")
    await ask(lead, "OPTIONS", kept.headers["location"])
    for lead_id in (kept.json()["id"], NOBODY, "x"):
        await ask(lead, "GET", f"/api/v1/leads/{lead_id}")
        await ask("/f/{form}/thanks/{id}", "GET", f"/f/kontakt/thanks/{lead_id}")
    refused = [
        {"data": {"email": "x"}},
        {"json": ANNA},
        {"data": ANNA, "headers": {"Origin": STRANGER}},
        {"data": {"message": "x" * 70_000}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
    ]
    for options in refused:
        await ask("/f/{form}", "POST", "/f/kontakt", **options)
        as_json = {"Accept": "application/json"} | options.get("headers", {})
        await ask("/f/{form}", "POST", "/f/kontakt", **options | {"headers": as_json})
    await ask("/f/{form}", "POST", "/f/kontakt", data=ANNA, headers={"Accept": "application/json"})
    for file in ("v1.json", "v1.js", "okand.js"):
        script = await ask("/embed/{file}", "GET", f"/embed/{file}")
        known = {"If-None-Match": script.headers.get("etag", "")}
        await ask("/embed/{file}", "GET", f"/embed/{file}", headers=known)
    await ask("/embed/v1/{form}", "GET", "/embed/v1/kontakt")
    for path in ("/healthz", "/readyz"):
        await ask(path, "GET", path)
    gateway.store.close()
    await ask("/readyz", "GET", "/readyz")
    await ask(leads, "POST", LEADS, json=ANNA)
    await ask(lead, "GET", kept.headers["location"])
    await ask("/f/{form}", "POST", "/f/kontakt", data=ANNA)
    await ask("/f/{form}/thanks/{id}", "GET", f"/f/kontakt/thanks/{NOBODY}")
    return produced


@pytest.mark.anyio
async def test_what_is_documented_is_what_happens(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, rate_limit=f"{LIMIT}/hour") as gateway:
        document = await fetch(gateway)
        produced = await drive(gateway)
    # Of a defect there is no honest way to make one in every operation.
    documented = {
        (path, method, status)
        for path, method, operation, _ in operations(document)
        for status in operation["responses"].keys() - {"500"}
    }
    assert {(path, method, str(answer.status_code)) for path, method, answer in produced} == documented
    for path, method, answer in produced:
        described = document["paths"][path][method]["responses"][str(answer.status_code)]
        content = described.get("content", {})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        assert kind in content or (not content and not answer.content)
        if kind.endswith("json"):
            validator(document, content[kind]["schema"]).validate(answer.json())
        for name in (
            "Location",
            "Retry-After",
            "Idempotent-Replayed",
            "Preference-Applied",
            "Leadgate-Conversion",
        ):
            assert (name not in answer.headers) or name in described["headers"]
