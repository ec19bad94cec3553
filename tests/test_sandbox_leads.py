"""The stand-in makes a lead of every call, and tells it again."""

import re
from typing import Any

import httpx
import pytest

from app.sandbox.config import (
    AGENT,
    ARCHIVED_AGENT,
    LEAD_SOURCE,
    OFFICE,
    SOLVIKEN_AGENT,
    SOLVIKEN_OFFICE,
    USER_GROUP,
    SandboxConfig,
)
from app.sandbox.xml import LEAD, MARKETING
from tests.sandboxes import CUSTOMER, Clock, add_contact, add_lead, list_leads, make_lead, open_sandbox

FULL = {
    "officeId": OFFICE,
    "assignmentSourceId": "INT1",
    "message": "Hej åäö",
    "marketing": {
        "referrer": "https://example.se/hem?a=1&b=2",
        "utmTags": [{"name": "leadgate", "value": "018f"}, {"name": "utm_source", "value": "x"}],
    },
}


@pytest.fixture
def vitec() -> httpx.Client:
    return open_sandbox()


@pytest.fixture
def contact(vitec: httpx.Client) -> str:
    return add_contact(vitec)


def post_xml(vitec: httpx.Client, content: str, *, accept: str = "application/xml") -> Any:
    headers = {"content-type": "application/xml; charset=utf-8", "accept": accept}
    return vitec.post(f"/CRM/Lead/{CUSTOMER}", content=content.encode(), headers=headers)


def write_xml(*members: str, namespace: str = LEAD) -> str:
    return f'<Lead xmlns="{namespace}" xmlns:m="{MARKETING}">{"".join(members)}</Lead>'


def stored(vitec: httpx.Client) -> dict[str, Any]:
    lead: dict[str, Any] = vitec.get("/sandbox/state").json()["leads"][-1]
    return lead


def test_a_lead_is_kept_with_all_that_was_sent(vitec: httpx.Client, contact: str) -> None:
    lead = add_lead(vitec, contact, **FULL)
    assert re.fullmatch(r"LED[0-9A-F]{32}", lead)
    assert stored(vitec) == {
        "id": lead,
        "customerId": CUSTOMER,
        "contactId": contact,
        "assignedToId": AGENT,
        "leadSourceId": LEAD_SOURCE,
        "officeId": OFFICE,
        "assignmentSourceId": "INT1",
        "message": "Hej åäö",
        "referrer": "https://example.se/hem?a=1&b=2",
        "utmTags": FULL["marketing"]["utmTags"],  # type: ignore[index]
        "createdAt": "2026-08-31T09:46:09.650000+00:00",
    }


def test_every_call_makes_another_lead(vitec: httpx.Client, contact: str) -> None:
    assert add_lead(vitec, contact, **FULL) != add_lead(vitec, contact, **FULL)
    assert len(vitec.get("/sandbox/state").json()["leads"]) == 2


@pytest.mark.parametrize("receiver", [AGENT, USER_GROUP, OFFICE])
def test_users_groups_and_offices_can_receive(vitec: httpx.Client, contact: str, receiver: str) -> None:
    assert add_lead(vitec, contact, assignedToId=receiver)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"contactId": "ADR0"}, "lead.ContactId"),
        ({"contactId": "A" * 41}, "lead.ContactId"),
        ({"contactId": None}, "lead.ContactId"),
        ({"assignedToId": "HAN0"}, "lead.AssignedToId"),
        ({"assignedToId": ARCHIVED_AGENT}, "lead.AssignedToId"),
        ({"assignedToId": SOLVIKEN_AGENT}, "lead.AssignedToId"),
        ({"assignedToId": " "}, "lead.AssignedToId"),
        ({"officeId": SOLVIKEN_OFFICE}, "lead.OfficeId"),
        ({"leadSourceId": ""}, "lead.LeadSourceId"),
        ({"marketing": {"utmTags": "x"}}, "lead.Marketing.UtmTags"),
        ({"marketing": {"utmTags": [{"name": 1}]}}, "lead.Marketing.UtmTags[0].Name"),
    ],
)
def test_a_lead_that_does_not_fit_is_refused(
    vitec: httpx.Client, contact: str, values: dict[str, Any], field: str
) -> None:
    answer = vitec.post(f"/CRM/Lead/{CUSTOMER}", json={**make_lead(contact), **values})
    assert (answer.status_code, list(answer.json()["modelState"])) == (400, [field])
    assert vitec.get("/sandbox/state").json()["leads"] == []


def test_a_contact_of_another_customer_is_unknown(vitec: httpx.Client) -> None:
    contact = add_contact(vitec, customerId="M30011")
    assert vitec.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact)).status_code == 400


def test_lead_sources_can_be_a_closed_list() -> None:
    vitec = open_sandbox(SandboxConfig(only_known_lead_sources=True))
    contact = add_contact(vitec)
    assert add_lead(vitec, contact)
    answer = vitec.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact, leadSourceId="other"))
    assert list(answer.json()["modelState"]) == ["lead.LeadSourceId"]


def test_xml_is_taken_as_the_help_page_shows_it(vitec: httpx.Client, contact: str) -> None:
    answer = post_xml(
        vitec,
        f"""<Lead xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="{LEAD}">
          <AssignedToId>{AGENT}</AssignedToId>
          <AssignmentSourceId i:nil="true"/>
          <ContactId>{contact}</ContactId>
          <LeadSourceId>LKA1</LeadSourceId>
          <Marketing xmlns:d2p1="{MARKETING}">
            <d2p1:Referrer>https://example.se/?a=1&amp;b=2</d2p1:Referrer>
            <d2p1:UtmTags>
              <d2p1:FormMarketingUtmTags><d2p1:Name>n1</d2p1:Name><d2p1:Value>v1</d2p1:Value></d2p1:FormMarketingUtmTags>
              <d2p1:FormMarketingUtmTags><d2p1:Name>n2</d2p1:Name><d2p1:Value/></d2p1:FormMarketingUtmTags>
            </d2p1:UtmTags>
          </Marketing>
          <Message>Hej &lt;åäö&gt;</Message>
          <OfficeId>{OFFICE}</OfficeId>
        </Lead>""",
    )
    lead = stored(vitec)
    assert answer.text == (
        f'<string xmlns="http://schemas.microsoft.com/2003/10/Serialization/">{lead["id"]}</string>'
    )
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    assert (lead["message"], lead["officeId"], lead["assignmentSourceId"]) == ("Hej <åäö>", OFFICE, None)
    assert lead["referrer"] == "https://example.se/?a=1&b=2"
    assert lead["utmTags"] == [{"name": "n1", "value": "v1"}, {"name": "n2", "value": ""}]


def test_elements_out_of_order_are_dropped_without_a_word(vitec: httpx.Client, contact: str) -> None:
    receiver, source = f"<AssignedToId>{AGENT}</AssignedToId>", "<LeadSourceId>LKA1</LeadSourceId>"
    person = f"<ContactId>{contact}</ContactId>"
    office = f"<OfficeId>{OFFICE}</OfficeId>"
    late = write_xml(receiver, person, source, office, "<Message>Hej</Message>")
    assert post_xml(vitec, late).status_code == 200
    assert stored(vitec)["message"] == ""
    answer = post_xml(vitec, write_xml(person, receiver, source))
    assert answer.status_code == 400
    assert answer.text == (
        "<Error><Message>Begäran är ogiltig.</Message><ModelState>"
        "<lead.AssignedToId>Måste anges.</lead.AssignedToId></ModelState></Error>"
    )


def test_elements_of_another_namespace_are_dropped(vitec: httpx.Client, contact: str) -> None:
    required = (
        f"<AssignedToId>{AGENT}</AssignedToId><ContactId>{contact}</ContactId><LeadSourceId>L</LeadSourceId>"
    )
    wrong = "<Marketing><Referrer>https://example.se</Referrer></Marketing>"
    assert post_xml(vitec, write_xml(required, wrong)).status_code == 200
    assert stored(vitec)["referrer"] is None
    disordered = (
        "<Marketing><m:UtmTags><m:FormMarketingUtmTags><m:Value>v</m:Value><m:Name>n</m:Name>"
        "</m:FormMarketingUtmTags></m:UtmTags><m:Referrer>https://example.se</m:Referrer></Marketing>"
    )
    assert post_xml(vitec, write_xml(required, disordered)).status_code == 200
    assert (stored(vitec)["referrer"], stored(vitec)["utmTags"]) == (None, [{"name": "", "value": "v"}])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<Lead>",
        "<Lead/>",
        '<?xml version="1.0" encoding="nonsense"?><Lead/>',
        write_xml(namespace="urn:other"),
        f'<!DOCTYPE Lead [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>{write_xml("<Message>&b;</Message>")}',
    ],
)
def test_xml_that_is_no_lead_is_refused(vitec: httpx.Client, content: str) -> None:
    answer = post_xml(vitec, content)
    assert (answer.status_code, "<lead>Innehållet går inte att läsa.</lead>" in answer.text) == (400, True)


def test_names_that_xml_does_not_allow_are_escaped(vitec: httpx.Client, contact: str) -> None:
    lead = make_lead(contact, marketing={"utmTags": [{"name": 1}]})
    answer = vitec.post(f"/CRM/Lead/{CUSTOMER}", json=lead, headers={"accept": "text/xml"})
    assert "<lead.Marketing.UtmTags_x005B_0_x005D_.Name>" in answer.text


def test_another_media_type_is_refused(vitec: httpx.Client) -> None:
    assert vitec.post(f"/CRM/Lead/{CUSTOMER}", content=b"a=b").status_code == 415


@pytest.mark.parametrize(
    ("accept", "in_xml"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/xml", True),
        ("text/html, application/xml;q=0.9, */*;q=0.8", True),
        ("application/xml;q=0.5, application/json", False),
        ("application/xml;q=0, text/plain;q=x", False),
    ],
)
def test_the_answer_is_in_what_is_accepted(
    vitec: httpx.Client, contact: str, accept: str, *, in_xml: bool
) -> None:
    answer = vitec.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact), headers={"accept": accept})
    assert answer.text.startswith("<string") == in_xml
    assert in_xml or answer.json().startswith("LED")


def test_a_contacts_leads_are_listed_with_bare_swedish_times() -> None:
    clock = Clock()
    vitec = open_sandbox(clock=clock)
    contact, other = add_contact(vitec), add_contact(vitec, firstName="Anna")
    first = add_lead(vitec, contact)
    clock.pass_time(90 * 24 * 3600)
    second = add_lead(vitec, contact)
    rows = [
        {
            "id": first,
            "createdAt": "2026-08-31T11:46:09.65",
            "leadType": "Contact",
            "leadTypeId": LEAD_SOURCE,
        },
        {
            "id": second,
            "createdAt": "2026-11-29T10:46:09.65",
            "leadType": "Contact",
            "leadTypeId": LEAD_SOURCE,
        },
    ]
    assert list_leads(vitec, f"{contact},{other},ADR0") == [
        {"contactId": contact, "leads": rows},
        {"contactId": other, "leads": []},
    ]


def test_leads_are_listed_only_when_their_type_is_asked_for(vitec: httpx.Client, contact: str) -> None:
    add_lead(vitec, contact)
    answer = vitec.get(f"/CRM/Contact/{CUSTOMER}/{contact}/True/False/True/True/Lead")
    assert answer.json() == [{"contactId": contact, "leads": []}]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("ADR0/yes/true/true/true", "objectLeadType"),
        (",".join(["A"] * 21) + "/true/true/true/true", "contactIds"),
    ],
)
def test_a_listing_that_does_not_fit_is_refused(vitec: httpx.Client, path: str, field: str) -> None:
    answer = vitec.get(f"/CRM/Contact/{CUSTOMER}/{path}/Lead")
    assert (answer.status_code, list(answer.json()["modelState"])) == (400, [field])


def test_an_incoming_lead_is_told_in_full(vitec: httpx.Client, contact: str) -> None:
    lead = add_lead(vitec, contact, **FULL)
    assert vitec.get(f"/CRM/Lead/{CUSTOMER}/Incoming/{lead}").json() == {
        "contactId": contact,
        "leadSource": {"id": LEAD_SOURCE},
        "sentAt": "2026-08-31T11:46:09.65",
        "receiver": {"id": AGENT},
        "buyingEstateId": None,
        "sellingEstateId": None,
        "state": "New",
        "message": "Hej åäö",
        "isAnonymized": False,
        "utmTags": FULL["marketing"]["utmTags"],  # type: ignore[index]
    }


@pytest.mark.parametrize("customer", [CUSTOMER, "M30011"])
def test_an_unknown_lead_is_not_found(vitec: httpx.Client, contact: str, customer: str) -> None:
    lead = add_lead(vitec, contact) if customer == "M30011" else "LED0"
    answer = vitec.get(f"/CRM/Lead/{customer}/Incoming/{lead}")
    assert (answer.status_code, answer.json()) == (404, {"message": "Hittades inte."})
