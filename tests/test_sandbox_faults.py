"""The stand-in fails on request: by name, for so many calls, before its commit and after it."""

from typing import Any

import httpx
import pytest
from starlette.responses import Response

from app.sandbox.app import create_sandbox
from app.sandbox.breakage import Dripping, Hanging
from app.sandbox.desk import REDIRECT_TARGET
from app.sandbox.faults import KINDS
from tests.sandboxes import (
    CUSTOMER,
    Clock,
    add_contact,
    add_lead,
    list_leads,
    make_lead,
    make_person,
    open_sandbox,
    set_fault,
)


@pytest.fixture
def vitec() -> httpx.Client:
    return open_sandbox()


@pytest.fixture
def contact(vitec: httpx.Client) -> str:
    return add_contact(vitec)


def create(vitec: httpx.Client, contact: str, **values: Any) -> httpx.Response:
    return vitec.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact, **values))


def count_leads(vitec: httpx.Client) -> int:
    return len(vitec.get("/sandbox/state").json()["leads"])


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"name": "500_before"}, 500),
        ({"name": "500_before", "status": 503}, 503),
        ({"name": "500_before", "status": 599}, 599),
        ({"name": "429"}, 429),
        ({"name": "400"}, 400),
        ({"name": "401"}, 401),
        ({"name": "403"}, 403),
        ({"name": "404"}, 404),
        ({"name": "redirect_302"}, 302),
    ],
)
def test_nothing_is_kept_when_it_fails_before(
    vitec: httpx.Client, contact: str, order: dict[str, Any], status: int
) -> None:
    set_fault(vitec, **order)
    assert create(vitec, contact).status_code == status
    assert count_leads(vitec) == 0


@pytest.mark.parametrize(
    ("order", "status", "body"),
    [
        ({"name": "500_after"}, 500, '{"message"'),
        ({"name": "500_after", "status": 502}, 502, '{"message": "Bad Gateway"}'),
        ({"name": "empty_200_after"}, 200, ""),
        ({"name": "html_200_after"}, 200, "<!doctype html>"),
        ({"name": "drip", "seconds": 0}, 200, '"LED'),
        ({"name": "slow", "seconds": 0.01}, 200, '"LED'),
    ],
)
def test_the_lead_is_kept_when_it_fails_after(
    vitec: httpx.Client, contact: str, order: dict[str, Any], status: int, body: str
) -> None:
    set_fault(vitec, **order)
    answer = create(vitec, contact)
    assert (answer.status_code, answer.text[: len(body)], bool(answer.text)) == (status, body, bool(body))
    assert count_leads(vitec) == 1


@pytest.mark.parametrize(("name", "kept"), [("drop_before", 0), ("drop_after", 1), ("truncated_after", 1)])
def test_in_the_same_process_a_broken_connection_is_an_error(
    vitec: httpx.Client, contact: str, name: str, kept: int
) -> None:
    set_fault(vitec, name)
    with pytest.raises(ConnectionResetError):
        create(vitec, contact)
    assert count_leads(vitec) == kept


@pytest.mark.parametrize(("name", "kept"), [("hang_before", 0), ("hang_after", 1)])
def test_a_hanging_answer_ends_with_its_time(vitec: httpx.Client, contact: str, name: str, kept: int) -> None:
    set_fault(vitec, name, seconds=0.01)
    with pytest.raises(ConnectionResetError):
        create(vitec, contact)
    assert count_leads(vitec) == kept


@pytest.mark.anyio
async def test_nobody_is_kept_waiting_who_has_left() -> None:
    sent: list[Any] = []
    messages = iter(["http.request"])

    async def receive() -> dict[str, Any]:
        return {"type": next(messages, "http.disconnect")}

    async def send(message: Any) -> None:
        sent.append(message)

    await Hanging(600)({}, receive, send)
    assert sent == []
    await Dripping(Response(b"abc"), pause=600)({}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]


@pytest.mark.parametrize(
    ("order", "status"), [({}, None), ({"status": 500}, 500)], ids=["without an answer", "with a 500"]
)
def test_a_late_commit_is_there_after_a_while(order: dict[str, Any], status: int | None) -> None:
    clock = Clock()
    vitec = open_sandbox(clock=clock)
    contact = add_contact(vitec)
    set_fault(vitec, "late_commit", seconds=60, **order)
    if status:
        assert create(vitec, contact).status_code == status
    else:
        with pytest.raises(ConnectionResetError):
            create(vitec, contact)
    clock.pass_time(59)
    assert list_leads(vitec, contact) == [{"contactId": contact, "leads": []}]
    clock.pass_time(1)
    ((lead,),) = [row["leads"] for row in list_leads(vitec, contact)]
    assert lead["createdAt"] == "2026-08-31T11:47:09.65"
    assert vitec.get(f"/CRM/Lead/{CUSTOMER}/Incoming/{lead['id']}").status_code == 200


@pytest.mark.parametrize("wait", [120, "Wed, 21 Oct 2026 07:28:00 GMT", "soon"])
def test_a_retry_after_is_sent_as_it_was_set(vitec: httpx.Client, contact: str, wait: int | str) -> None:
    set_fault(vitec, "429", retryAfter=wait)
    assert create(vitec, contact).headers["retry-after"] == str(wait)


def test_a_validation_error_may_repeat_what_was_sent(vitec: httpx.Client, contact: str) -> None:
    set_fault(vitec, "400")
    answer = create(vitec, contact, message="ring 0701740605", officeId="FIR0")
    told = {"lead.Message": ["Värdet 'ring 0701740605' är inte giltigt."]}
    assert answer.json()["modelState"] == told
    headers = {"content-type": "text/xml"}
    content = "<Lead><Message>ring 0701740605</Message></Lead>"
    assert vitec.post(f"/CRM/Lead/{CUSTOMER}", content=content, headers=headers).json()["modelState"] == told
    silent = create(vitec, contact).json()["modelState"]
    assert silent == {"lead.Message": ["Värdet i fältet är inte giltigt."]}


def test_a_failure_is_in_xml_for_those_who_ask(vitec: httpx.Client, contact: str) -> None:
    set_fault(vitec, "500_after")
    headers = {"accept": "application/xml"}
    answer = vitec.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact), headers=headers)
    expected = "<Error><Message>Ett oväntat fel har inträffat, kontakta Vitec.</Message></Error>"
    assert answer.text == expected


def test_a_redirect_leads_to_where_visits_are_noticed(vitec: httpx.Client, contact: str) -> None:
    set_fault(vitec, "redirect_302")
    assert create(vitec, contact).headers["location"] == REDIRECT_TARGET
    assert "redirected" not in vitec.get("/sandbox/state").json()["counts"]
    vitec.get(REDIRECT_TARGET)
    assert vitec.get("/sandbox/state").json()["counts"]["redirected"] == 1


def test_reads_can_be_forbidden(vitec: httpx.Client, contact: str) -> None:
    set_fault(vitec, "reads_forbidden")
    lead = add_lead(vitec, contact)
    assert vitec.get(f"/CRM/Lead/{CUSTOMER}/Incoming/{lead}").status_code == 403
    assert vitec.get("/Office/GetOffice", params={"CustomerId": CUSTOMER}).status_code == 403


def test_reads_can_be_blind(vitec: httpx.Client, contact: str) -> None:
    add_lead(vitec, contact)
    set_fault(vitec, "reads_blind")
    assert list_leads(vitec, contact) == [{"contactId": contact, "leads": []}]
    assert vitec.post("/Contacts/GetContactsSyncList", json={"customerId": CUSTOMER}).json() == []
    add_contact(vitec, cellPhone="0701")
    assert vitec.get("/Contacts/GetContactsWithPhonenumber", params={"phoneNumber": "0701"}).json() == []


def test_tags_can_be_dropped(vitec: httpx.Client, contact: str) -> None:
    set_fault(vitec, "tags_dropped")
    marketing = {"referrer": "https://example.se", "utmTags": [{"name": "leadgate", "value": "1"}]}
    lead = add_lead(vitec, contact, marketing=marketing, message="Hej")
    incoming = vitec.get(f"/CRM/Lead/{CUSTOMER}/Incoming/{lead}").json()
    assert (incoming["utmTags"], incoming["message"]) == ([], "Hej")


def test_a_list_of_one_can_be_an_object(vitec: httpx.Client, contact: str) -> None:
    set_fault(vitec, "list_as_object")
    assert list_leads(vitec, contact) == {"contactId": contact, "leads": []}
    other = add_contact(vitec, firstName="Anna")
    assert len(list_leads(vitec, f"{contact},{other}")) == 2


def test_a_fault_lasts_for_so_many_calls(vitec: httpx.Client, contact: str) -> None:
    set_fault(vitec, "500_before", times=2)
    assert [create(vitec, contact).status_code for _ in range(3)] == [500, 500, 200]
    assert vitec.get("/sandbox/faults").json() == []


def test_a_fault_lasts_until_it_is_cleared(vitec: httpx.Client, contact: str) -> None:
    set_fault(vitec, "500_before")
    assert [create(vitec, contact).status_code for _ in range(3)] == [500, 500, 500]
    assert vitec.delete("/sandbox/faults").json() == []
    assert create(vitec, contact).status_code == 200


def test_a_fault_can_be_for_one_lead_alone(vitec: httpx.Client, contact: str) -> None:
    set_fault(vitec, "500_after", match="Ref: åäö-1", times=1)
    assert create(vitec, contact, message="Hej\n\nRef: åäö-2").status_code == 200
    assert create(vitec, contact, message="Hej\n\nRef: åäö-1").status_code == 500


def test_a_fault_finds_its_lead_in_xml_too(vitec: httpx.Client) -> None:
    set_fault(vitec, "500_before", match="a<ö&b")
    headers = {"content-type": "application/xml"}
    content = "<Lead><Message>a&lt;&#246;&amp;b</Message></Lead>"
    answer = vitec.post(f"/CRM/Lead/{CUSTOMER}", content=content, headers=headers)
    assert answer.status_code == 500


def test_a_fault_finds_its_call_by_the_address(vitec: httpx.Client) -> None:
    set_fault(vitec, "500_before", operation="read", match="SearchText=Karin Ek")
    assert vitec.get("/User/GetUser", params={"SearchText": "Karin Ek"}).status_code == 500
    assert vitec.get("/User/GetUser").status_code == 200


@pytest.mark.parametrize(
    ("operation", "met"),
    [("updatePerson", (500, 400)), ("contact", (500, 400)), ("create", (200, 500)), ("*", (500, 500))],
)
def test_a_fault_is_for_an_operation_a_group_or_everything(
    vitec: httpx.Client, operation: str, met: tuple[int, int]
) -> None:
    set_fault(vitec, "500_before", operation=operation)
    person = vitec.post("/Contacts/UpdatePerson", json=make_person())
    assert (person.status_code, create(vitec, "ADR0").status_code) == met


def test_the_oldest_fault_strikes_first_and_altering_ones_go_along(vitec: httpx.Client, contact: str) -> None:
    orders = [{"name": "500_after", "times": 1}, {"name": "429", "times": 1}, {"name": "tags_dropped"}]
    assert vitec.post("/sandbox/faults", json=orders).status_code == 200
    tags = {"utmTags": [{"name": "a", "value": "b"}]}
    assert [create(vitec, contact, marketing=tags).status_code for _ in range(3)] == [500, 429, 200]
    assert [lead["utmTags"] for lead in vitec.get("/sandbox/state").json()["leads"]] == [[], []]


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"name": "no such fault"},
        {"name": "429", "operation": "deleteLead"},
        {"name": "429", "times": 0},
        {"name": "429", "retryAfter": "1\r\nX: y"},
        {"name": "429", "status": 200},
        {"name": "slow", "seconds": -1},
        {"name": "late_commit", "operation": "updatePerson"},
        {"name": "429", "unknown": 1},
        [{"name": "429"}, 1],
    ],
)
def test_a_fault_that_does_not_exist_is_refused(vitec: httpx.Client, order: Any) -> None:
    answer = vitec.post("/sandbox/faults", json=order)
    assert (answer.status_code, bool(answer.json()["errors"])) == (422, True)
    assert vitec.get("/sandbox/faults").json() == []


def test_every_fault_can_be_set_by_its_name_alone(vitec: httpx.Client) -> None:
    for name in KINDS:
        set_fault(vitec, name)
    faults = vitec.get("/sandbox/faults").json()
    assert [fault["name"] for fault in faults] == list(KINDS)
    assert faults[0] == {
        "id": 1,
        "name": "500_before",
        "operation": "createLead",
        "times": None,
        "match": "",
        "seconds": 0,
        "status": None,
        "retryAfter": None,
        "used": 0,
        "remaining": None,
    }


def test_one_fault_can_be_cleared_by_its_id(vitec: httpx.Client) -> None:
    set_fault(vitec, "429")
    set_fault(vitec, "401")
    assert vitec.post("/sandbox/faults/clear", data={"id": "1"}).headers["location"] == "/"
    assert [fault["name"] for fault in vitec.get("/sandbox/faults").json()] == ["401"]


@pytest.mark.anyio
async def test_half_a_request_is_none() -> None:
    app = create_sandbox()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/CRM/Lead/{CUSTOMER}",
        "query_string": b"",
        "headers": [],
    }
    await app(scope, receive, send)
    assert not app.state.world.calls
