"""The stand-in's page, its state for programs, and the switches on both."""

from collections import Counter
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from app.sandbox.config import LEAD_SOURCE, OFFICE, VALUATION_SOURCE
from app.sandbox.faults import KINDS
from tests.sandboxes import CUSTOMER, Clock, add_contact, add_lead, open_sandbox, set_fault

HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture
def vitec() -> httpx.Client:
    return open_sandbox()


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_lead_is_shown_with_everything_an_agent_needs(vitec: httpx.Client) -> None:
    contact = add_contact(
        vitec, cellPhone="+46701740605", address={"streetAddress": "Gatan 1", "city": "Solna"}
    )
    tags = [{"name": "utm_source", "value": "google"}]
    marketing = {"referrer": "https://example.se/hem", "utmTags": tags}
    add_lead(vitec, contact, message="Hej\n\nRef: 1", marketing=marketing, leadSourceId=VALUATION_SOURCE)
    text = Page(vitec.get("/").text).text
    for part in (
        "Astrid Sjögren",
        "astrid@example.se",
        "+46701740605",
        "Gatan 1, Solna",
        "Hej\n\nRef: 1",
        "Karin Ekdal, Tallvinden Hornviken",
        "Värdering på webben",
        "https://example.se/hem",
        "utm_source",
        "google",
        "11:46:09",
    ):
        assert part in text


def test_the_newest_lead_comes_first() -> None:
    clock = Clock()
    vitec = open_sandbox(clock=clock)
    contact = add_contact(vitec)
    leads = []
    for _ in range(3):
        leads.append(add_lead(vitec, contact, assignedToId=OFFICE))
        clock.pass_time(1)
    page = Page(vitec.get("/inbox").text)
    assert [article["id"] for article in page.all("article")] == leads[::-1]
    assert "3 leads" in page.text


def test_visitors_text_is_never_markup(vitec: httpx.Client) -> None:
    contact = add_contact(
        vitec, firstName=HOSTILE, lastName="", email={"emailAddress": HOSTILE}, cellPhone=HOSTILE[:17]
    )
    marketing = {"referrer": HOSTILE, "utmTags": [{"name": HOSTILE, "value": HOSTILE}]}
    add_lead(vitec, contact, message=HOSTILE, leadSourceId=HOSTILE, marketing=marketing)
    set_fault(vitec, "429", match=HOSTILE)
    page = Page(vitec.get("/").text)
    assert [script["src"] for script in page.all("script")] == [page.all("script")[0]["src"]]
    assert page.text.count(HOSTILE) >= 8
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_a_contact_is_shown_before_its_lead(vitec: httpx.Client) -> None:
    vitec.post("/Contacts/UpdateCompany", json={"customerId": CUSTOMER})
    text = Page(vitec.get("/").text).text
    assert "Utan namn" in text
    assert "Inget lead än" in text
    assert "Tomt så länge." in text


def test_the_page_asks_nobody_else_for_anything(vitec: httpx.Client) -> None:
    answer = vitec.get("/")
    page = Page(answer.text)
    addresses = [tag.get("src") or tag.get("href") for _, tag in page.tags if "src" in tag or "href" in tag]
    assert all(address and address.startswith(("/static/", "data:")) for address in addresses)
    for address in addresses:
        if address and address.startswith("/"):
            assert vitec.get(address).status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "same-origin"  # no-referrer turns the forms' Origin into null


@pytest.mark.parametrize("name", ["leadgate.css", "nothing.js", "..%2Fpyproject.toml"])
def test_nothing_else_is_served(vitec: httpx.Client, name: str) -> None:
    assert vitec.get(f"/static/{name}").status_code == 404


def test_every_fault_has_a_button_that_works_without_javascript(vitec: httpx.Client) -> None:
    buttons = [one["value"] for one in Page(vitec.get("/").text).all("button") if one.get("name") == "name"]
    assert Counter(buttons) == Counter(KINDS.keys())
    answer = vitec.post("/sandbox/faults", data={"name": "drop_after", "times": "5", "match": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = Page(vitec.get("/").text)
    assert "5 kvar" in page.text
    vitec.post("/sandbox/faults", data={"name": "slow", "times": "", "match": "Ref"})
    page = Page(vitec.get("/").text)
    assert "tills det tas bort" in page.text
    assert "”Ref”" in page.text
    (first, _) = [one["value"] for one in page.all("button") if one.get("name") == "id"]
    assert vitec.post("/sandbox/faults/clear", data={"id": first}).status_code == 303
    assert [fault["name"] for fault in vitec.get("/sandbox/faults").json()] == ["slow"]
    assert vitec.post("/sandbox/faults/clear", data={}).json() == []


def test_a_reset_forgets_everything(vitec: httpx.Client) -> None:
    add_lead(vitec, add_contact(vitec))
    set_fault(vitec, "429")
    assert vitec.post("/sandbox/reset").json() == {}
    state = vitec.get("/sandbox/state").json()
    assert state == {"contacts": [], "leads": [], "calls": [], "counts": {}, "faults": []}


def test_the_state_tells_every_call(vitec: httpx.Client) -> None:
    contact = add_contact(vitec)
    set_fault(vitec, "500_after", times=1)
    vitec.post(f"/CRM/Lead/{CUSTOMER}", json={"contactId": contact})
    state = vitec.get("/sandbox/state").json()
    assert state["counts"] == {"updatePerson": 1, "createLead": 1}
    assert state["calls"][-1] == {
        "at": "2026-08-31T09:46:09.650000+00:00",
        "operation": "createLead",
        "method": "POST",
        "path": f"/CRM/Lead/{CUSTOMER}",
        "status": 500,
        "faults": ["500_after"],
    }
    assert state["contacts"][0] == {
        "id": contact,
        "customerId": CUSTOMER,
        "type": "Person",
        "values": {
            "firstName": "Astrid",
            "lastName": "Sjögren",
            "email": {"emailAddress": "astrid@example.se"},
        },
        "tasks": [],
        "createdAt": "2026-08-31T09:46:09.650000+00:00",
        "changedAt": "2026-08-31T09:46:09.650000+00:00",
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sandbox/faults"),
        ("DELETE", "/sandbox/faults"),
        ("POST", "/sandbox/faults/clear"),
        ("POST", "/sandbox/reset"),
    ],
)
def test_another_sites_page_cannot_turn_the_switches(vitec: httpx.Client, method: str, path: str) -> None:
    set_fault(vitec, "429")
    content: dict[str, Any] = {"json": {"name": "401"}} if path == "/sandbox/faults" else {}
    answer = vitec.request(method, path, headers={"origin": "https://evil.example"}, **content)
    assert answer.status_code == 403
    assert [fault["name"] for fault in vitec.get("/sandbox/faults").json()] == ["429"]
    assert vitec.request(method, path, headers={"origin": "http://sandbox"}, **content).status_code == 200


def test_a_file_sent_as_a_switch_is_no_text(vitec: httpx.Client) -> None:
    assert vitec.post("/sandbox/faults", files={"name": b"429"}).status_code == 422


def test_a_known_lead_source_is_shown_by_its_name(vitec: httpx.Client) -> None:
    add_lead(vitec, add_contact(vitec), leadSourceId=LEAD_SOURCE)
    assert "Webbformulär" in vitec.get("/inbox").text
