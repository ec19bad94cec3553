"""The stand-in knows who may call what, for whom."""

import base64
from dataclasses import replace

import httpx
import pytest

from app.sandbox.config import SOLVIKEN, TALLVINDEN, CallGroup, SandboxConfig, SandboxLogin
from tests.sandboxes import CUSTOMER, make_lead, make_person, open_sandbox

LOGIN = SandboxLogin(
    username="mäklare",
    password="lösenord:1",
    passwords={CallGroup.CREATE: "create", CallGroup.READ: "läsa"},
)
CONFIG = SandboxConfig(customers=(replace(TALLVINDEN, login=LOGIN), SOLVIKEN))


def encode(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def call(group: str, authorization: str, *, customer: str = CUSTOMER) -> httpx.Response:
    vitec = open_sandbox(CONFIG)
    vitec.auth = httpx.Auth()
    headers = {"authorization": authorization}
    if group == "contact":
        return vitec.post("/Contacts/UpdatePerson", json=make_person(customerId=customer), headers=headers)
    if group == "create":
        return vitec.post(f"/CRM/Lead/{customer}", json=make_lead("ADR0"), headers=headers)
    return vitec.get("/Office/GetOffice", params={"CustomerId": customer}, headers=headers)


@pytest.mark.parametrize(
    ("group", "password", "status"),
    [("contact", "lösenord:1", 200), ("create", "create", 400), ("read", "läsa", 200)],
)
def test_each_group_of_calls_has_its_password(group: str, password: str, status: int) -> None:
    assert call(group, encode("mäklare", password)).status_code == status


@pytest.mark.parametrize("group", ["contact", "create", "read"])
@pytest.mark.parametrize("password", ["", "wrong", "LÄSA"])
def test_a_wrong_password_is_401(group: str, password: str) -> None:
    answer = call(group, encode("mäklare", password))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="Vitec"'
    assert answer.json() == {"message": "Auktorisering har nekats för den här begäran."}


def test_the_password_of_another_group_is_401() -> None:
    assert call("create", encode("mäklare", "läsa")).status_code == 401


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ???",
        "Basic bm9jb2xvbg==",
        "Basic /w==",
        encode("mäklare", "läsa").replace("Basic", "Bearer"),
        "Basic " + base64.b64encode("mäklare:läsa".encode("latin-1")).decode(),
    ],
)
def test_what_is_no_login_is_401(authorization: str) -> None:
    assert call("read", authorization).status_code == 401


@pytest.mark.parametrize("customer", ["M30011", "M1", "FIR12345"])
@pytest.mark.parametrize("group", ["contact", "create", "read"])
def test_a_known_login_without_access_is_403(group: str, customer: str) -> None:
    password = LOGIN.passwords.get(CallGroup(group), LOGIN.password)
    assert call(group, encode("mäklare", password), customer=customer).status_code == 403


def test_a_partner_with_a_password_per_customer_gets_401_where_it_is_the_wrong_one() -> None:
    other = replace(SOLVIKEN, login=SandboxLogin(password="another"))
    vitec = open_sandbox(SandboxConfig(customers=(TALLVINDEN, other)))
    assert vitec.get("/Office/GetOffice", params={"CustomerId": "M30011"}).status_code == 401
    assert [one["customerId"] for one in vitec.get("/User/GetUser").json()] == [[CUSTOMER]] * 3


def test_passwords_are_not_shown() -> None:
    assert "lösenord" not in repr(CONFIG)
    assert "create" not in repr(LOGIN)
