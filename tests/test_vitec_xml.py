"""DataContract XML: as the document has it on the way out, with suspicion on the way back."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.vitec.xml import ANSWER_CAP, encode_lead, read_texts

LEAD = "{http://schemas.datacontract.org/2004/07/Vitec.Housing.Connect.Api.Models.Lead}"
MARKETING = "{http://schemas.datacontract.org/2004/07/Express.Connect.Api.Services.Advertising}"

SAMPLE = """
<Lead xmlns:i="http://www.w3.org/2001/XMLSchema-instance"
      xmlns="http://schemas.datacontract.org/2004/07/Vitec.Housing.Connect.Api.Models.Lead">
  <AssignedToId>sample string 2</AssignedToId>
  <AssignmentSourceId>sample string 4</AssignmentSourceId>
  <ContactId>sample string 1</ContactId>
  <LeadSourceId>sample string 5</LeadSourceId>
  <Marketing xmlns:d2p1="http://schemas.datacontract.org/2004/07/Express.Connect.Api.Services.Advertising">
    <d2p1:Referrer>sample string 1</d2p1:Referrer>
    <d2p1:UtmTags>
      <d2p1:FormMarketingUtmTags>
        <d2p1:Name>sample string 1</d2p1:Name>
        <d2p1:Value>sample string 2</d2p1:Value>
      </d2p1:FormMarketingUtmTags>
      <d2p1:FormMarketingUtmTags>
        <d2p1:Name>sample string 1</d2p1:Name>
        <d2p1:Value>sample string 2</d2p1:Value>
      </d2p1:FormMarketingUtmTags>
    </d2p1:UtmTags>
  </Marketing>
  <Message>sample string 6</Message>
  <OfficeId>sample string 3</OfficeId>
</Lead>
"""


def outline(element: ET.Element) -> tuple[str, str, list[object]]:
    return element.tag, (element.text or "").strip(), [outline(child) for child in element]


def parse(body: bytes) -> ET.Element:
    return ET.fromstring(body)


def test_a_lead_is_encoded_as_the_documents_sample() -> None:
    tag = {"name": "sample string 1", "value": "sample string 2"}
    body = {
        "contactId": "sample string 1",
        "assignedToId": "sample string 2",
        "officeId": "sample string 3",
        "assignmentSourceId": "sample string 4",
        "leadSourceId": "sample string 5",
        "marketing": {"referrer": "sample string 1", "utmTags": [tag, tag]},
        "message": "sample string 6",
    }
    assert outline(parse(encode_lead(body))) == outline(ET.fromstring(SAMPLE))


def test_what_is_absent_has_no_element() -> None:
    required = {"contactId": "C", "assignedToId": "A", "leadSourceId": "L"}
    names = [child.tag for child in parse(encode_lead(required))]
    assert names == [f"{LEAD}AssignedToId", f"{LEAD}ContactId", f"{LEAD}LeadSourceId"]
    with_referrer = parse(encode_lead(required | {"marketing": {"referrer": "r"}}))
    assert [child.tag for child in with_referrer.iter() if MARKETING in child.tag] == [f"{MARKETING}Referrer"]


def test_text_survives_but_for_what_xml_cannot_hold() -> None:
    message = "Å & <b> 😀 \"'\r\n\ttab ]]> \x00\x0b\ufffe\ud800slut"
    element = parse(encode_lead({"message": message})).find(f"{LEAD}Message")
    assert element is not None
    assert element.text == "Å & <b> 😀 \"'\r\n\ttab ]]> slut"


@given(st.text())
def test_any_text_is_well_formed(text: str) -> None:
    body = {"message": text, "marketing": {"referrer": text, "utmTags": [{"name": text, "value": text}]}}
    assert parse(encode_lead(body)).tag == f"{LEAD}Lead"


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        (
            b'<string xmlns="http://schemas.microsoft.com/2003/10/Serialization/">LED1</string>',
            (("string", "LED1"),),
        ),
        (b"<Error><Message>Fel &amp; fel</Message></Error>", (("Message", "Fel & fel"),)),
        (b"<a><b/> <c>1</c>tail<d>2</d></a>", (("c", "1"), ("d", "2"))),
        ("<a>å</a>".encode("utf-16"), (("a", "å"),)),
        (b"<a>", None),
        (b"", None),
        (b"plain", None),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', None),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', None),
        ('<?xml version="1.0"?><!DOCTYPE a><a>b</a>'.encode("utf-16"), None),
        (b"<a>&undefined;</a>", None),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', None),
        (b"<a>" + b" " * ANSWER_CAP + b"</a>", None),
    ],
)
def test_answers_are_read_without_entities(body: bytes, texts: tuple[tuple[str, str], ...] | None) -> None:
    assert read_texts(body) == texts


@given(st.binary())
def test_no_bytes_break_the_reading(body: bytes) -> None:
    read_texts(body)
