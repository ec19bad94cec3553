"""What a lead becomes on the wire: contact and lead bodies, within Vitec's limits and its document."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from app.forms.model import ContactType, Form, Privacy
from app.lead import Answer, Consent, Contact, Destination, Lead, Marketing, Note, Notice, UtmTag
from app.vitec.contact import Overflow, is_matchable, list_typed, map_contact, write_address
from app.vitec.limits import cut, utf16_length
from app.vitec.payload import MARKER, encode, map_lead

DOCUMENT = yaml.safe_load((Path(__file__).parent / "vitec-openapi.yaml").read_text(encoding="utf-8"))
DESTINATION = Destination(customer_id="M12345", assigned_to_id="HAN1", lead_source_id="LS1")
TEXT = {"sv": "Värdering", "en": "Valuation"}
FORM = Form(
    name="vardering",
    source="forms.toml",
    title=TEXT,
    intro=TEXT,
    submit_label=TEXT,
    thanks=TEXT,
    subject=TEXT,
    fields=(),
    destination=DESTINATION,
    privacy=Privacy(notice=TEXT, version="1"),
)
LEAD = Lead(
    id="0198c0de-0000-7000-8000-000000000001",
    reference="K7Q29XMF3H",
    form="vardering",
    language="sv",
    received_at=datetime(2026, 11, 24, 8, 0, tzinfo=UTC),
    contact=Contact(first_name="Anna", last_name="Åkesson", email="anna@example.se", phone="+46701234567"),
    message="Hej!",
)


def contact_of(lead: Lead = LEAD, form: Form = FORM) -> dict[str, Any]:
    return map_contact(lead, form, DESTINATION).body


def message_of(lead: Lead = LEAD, form: Form = FORM, *, possible_duplicate: bool = False) -> str:
    body = map_lead(lead, form, DESTINATION, contact_id="ADR1", possible_duplicate=possible_duplicate)
    message: str = body["message"]
    return message


def with_contact(**values: str | None) -> Lead:
    return replace(LEAD, contact=replace(LEAD.contact, **values))


def assert_valid(body: dict[str, Any], schema: str) -> None:
    reference = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(reference).validate(body)


def assert_nothing_blank(value: Any) -> None:
    assert value not in (None, "", [], {}, False)
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for member in members:
        assert_nothing_blank(member)


def test_a_person_is_told_in_vitecs_own_words() -> None:
    shown_at = datetime(2026, 7, 1, 8, 30, 15, 999, tzinfo=UTC)
    lead = replace(
        with_contact(street_address="Storgatan 1", zip_code="11122", city="Stockholm"),
        notice=Notice(version="1", text="…", language="sv", shown_at=shown_at),
        consents=(Consent(name="news", label="Nyheter", given=True, maps_to="wishAdvertising"),),
    )
    body = contact_of(lead, replace(FORM, category_ids=("C1", "C2")))
    assert body == {
        "customerId": "M12345",
        "firstName": "Anna",
        "lastName": "Åkesson",
        "cellPhone": "+46701234567",
        "email": {"emailAddress": "anna@example.se"},
        "address": {"streetAddress": "Storgatan 1", "zipCode": "11122", "city": "Stockholm"},
        "obtainThrough": "Interest",
        "gdprApprovalDate": "2026-07-01T10:30:15+02:00",
        "wishAdvertising": True,
        "categoryIds": ["C1", "C2"],
    }
    assert_valid(body, "UpdatePerson")


def test_a_company_is_told_by_its_own_fields_and_its_person_by_the_message() -> None:
    form = replace(FORM, contact_type=ContactType.COMPANY)
    lead = with_contact(company_name="Bygg AB", corporate_number="556000-0000", phone="+4681234567")
    mapped = map_contact(lead, form, DESTINATION)
    assert mapped.kind is ContactType.COMPANY
    assert mapped.body == {
        "customerId": "M12345",
        "companyName": "Bygg AB",
        "corporateNumber": "556000-0000",
        "switchPhone": "+4681234567",
        "email": {"emailAddress": "anna@example.se"},
    }
    assert mapped.notes == ()
    assert "Kontaktperson: Anna Åkesson" in message_of(lead, form)
    assert_valid(mapped.body, "UpdateCompany")


@pytest.mark.parametrize(
    ("phone", "field"),
    [
        ("+46701234567", "cellPhone"),
        ("+46812345678", "telePhone"),
        ("+4790612345", "cellPhone"),
        ("+12125550123", "telePhone"),  # mobile or not: no number tells there
        ("+99912345678", "telePhone"),  # no country at all
    ],
)
def test_a_mobile_number_is_a_cell_phone_and_any_other_a_telephone(phone: str, field: str) -> None:
    body = contact_of(with_contact(phone=phone))
    assert body[field] == phone
    assert len({"cellPhone", "telePhone"} & set(body)) == 1


@pytest.mark.parametrize(
    ("values", "sent", "code", "line"),
    [
        ({"first_name": "A" * 31}, {"firstName": "A" * 30}, "name_cut", f"Namn: {'A' * 31} Åkesson"),
        ({"last_name": "😀" * 16}, {"lastName": "😀" * 15}, "name_cut", f"Namn: Anna {'😀' * 16}"),
        ({"phone": "070-12 34 56"}, {"cellPhone": None}, "phone_in_message", "Telefon: 070-12 34 56"),
        ({"phone": "+" + "1" * 17}, {"telePhone": None}, "phone_in_message", "Telefon: +1111"),
        ({"email": "a" * 96 + "@x.se"}, {"email": None}, "email_in_message", "E-post: aaaa"),
        (
            {"street_address": "S" * 69, "zip_code": "11122", "city": "Solna"},
            {"address": {"streetAddress": "S" * 68, "zipCode": "11122", "city": "Solna"}},
            "address_cut",
            f"Adress: {'S' * 69}, 111 22 Solna",
        ),
        (
            {"zip_code": "1" * 16, "city": "C" * 26},
            {"address": {"zipCode": "1" * 15, "city": "C" * 25}},
            "address_cut",
            f"Adress: {'1' * 16} {'C' * 26}",
        ),
    ],
)
def test_what_does_not_fit_a_person_is_told_in_the_message(
    values: dict[str, str], sent: dict[str, Any], code: str, line: str
) -> None:
    lead = with_contact(**values)
    mapped = map_contact(lead, FORM, DESTINATION)
    assert {name: mapped.body.get(name) for name in sent} == sent
    assert mapped.notes == (Note(code=code),)
    assert line in message_of(lead)


@pytest.mark.parametrize(
    ("values", "sent", "code", "line"),
    [
        (
            {"company_name": "B" * 101},
            {"companyName": "B" * 100},
            "company_name_cut",
            f"Företag: {'B' * 101}",
        ),
        (
            {"company_name": "B", "corporate_number": "5" * 21},
            {"corporateNumber": None},
            "corporate_number_in_message",
            f"Organisationsnummer: {'5' * 21}",
        ),
    ],
)
def test_what_does_not_fit_a_company_is_told_in_the_message(
    values: dict[str, str], sent: dict[str, Any], code: str, line: str
) -> None:
    form = replace(FORM, contact_type=ContactType.COMPANY)
    lead = with_contact(**values)
    mapped = map_contact(lead, form, DESTINATION)
    assert {name: mapped.body.get(name) for name in sent} == sent
    assert mapped.notes == (Note(code=code),)
    assert line in message_of(lead, form)


def test_a_persons_company_has_no_field_and_is_told_in_the_message() -> None:
    lead = with_contact(company_name="Bygg AB", corporate_number="556000-0000")
    assert map_contact(lead, FORM, DESTINATION).overflow == (
        Overflow(what="company", value="Bygg AB"),
        Overflow(what="corporate_number", value="556000-0000"),
    )
    assert "Företag: Bygg AB\nOrganisationsnummer: 556000-0000" in message_of(lead)


def test_nothing_that_was_not_given_is_sent() -> None:
    lead = replace(
        LEAD,
        contact=Contact(first_name="Anna", last_name=" ", email="anna@example.se", city=""),
        consents=(Consent(name="news", label="Nyheter", given=False, maps_to="wishAdvertising"),),
        notice=Notice(version="1", text="…", language="sv"),
    )
    assert contact_of(lead) == {
        "customerId": "M12345",
        "firstName": "Anna",
        "email": {"emailAddress": "anna@example.se"},
        "obtainThrough": "Interest",
    }


def test_the_home_for_sale_is_the_messages_and_never_the_contacts_address() -> None:
    form = replace(FORM, home_fields=("streetAddress", "zipCode", "city"))
    lead = with_contact(street_address="Storgatan 1", zip_code="11122", city="Stockholm")
    assert "address" not in contact_of(lead, form)
    assert message_of(lead, form).splitlines()[0] == "Värdering: Storgatan 1, 111 22 Stockholm"


def test_a_listing_is_told_on_the_first_line_and_only_there() -> None:
    form = replace(FORM, subject={"sv": "Intresse"}, home_fields=("objectAddress", "objectReference"))
    answers = (
        Answer(name="objectReference", label="Objekt", value="OBJ1_2"),
        Answer(name="objectAddress", label="Adress", value="Villavägen 3"),
        Answer(name="when", label="När", value="I vår"),
        Answer(name="nothing", label="Inget", value=" "),
    )
    message = message_of(replace(LEAD, answers=answers), form)
    assert message.splitlines()[0] == "Intresse: Villavägen 3, OBJ1_2"
    assert "Objekt:" not in message
    assert "När: I vår" in message
    assert "Inget" not in message


def test_the_message_reads_from_what_is_wanted_to_the_reference() -> None:
    lead = replace(
        LEAD,
        message="Hej!\r\nRing mig.",
        answers=(Answer(name="rooms", label="Antal rum", value="4"),),
        unreadable_phone="ring 070",
        consents=(
            Consent(name="contact", label="Ni får ringa mig", given=True),
            Consent(name="sms", label="Ni får skicka sms", given=False),
            Consent(name="news", label="Nyheter", given=True, maps_to="wishAdvertising"),
        ),
        follows="ABCDEFGH12",
    )
    assert message_of(lead, possible_duplicate=True) == (
        "Möjlig dubblett: samma förfrågan kan redan ha kommit in.\n\n"
        "Värdering\n\n"
        "Hej!\nRing mig.\n\n"
        "Antal rum: 4\n\n"
        "Telefon: +46701234567\nTelefon, som den skrevs: ring 070\nE-post: anna@example.se\n\n"
        "Samma person skickade även ABCD-EFGH-12\nSamtycke: Ni får ringa mig\n\n"
        "Ref: K7Q2-9XMF-3H"
    )


@pytest.mark.parametrize(
    ("languages", "expected"),
    [(("en", "sv"), "Phone: +46"), (("fi",), "Phone: +46"), (("sv",), "Telefon: +46")],
)
def test_the_message_speaks_the_agencys_language(languages: tuple[str, ...], expected: str) -> None:
    assert expected in message_of(form=replace(FORM, languages=languages))


def test_a_message_is_never_empty() -> None:
    form = replace(FORM, subject={}, reference_in_message=False)
    assert message_of(replace(LEAD, contact=Contact(), message=""), form) == "Förfrågan från webben"


def test_the_reference_can_be_left_out_but_the_marker_never() -> None:
    form = replace(FORM, reference_in_message=False, extra_tags=False)
    body = map_lead(LEAD, form, DESTINATION, contact_id="ADR1")
    assert "Ref:" not in body["message"]
    assert body["marketing"] == {"utmTags": [{"name": MARKER, "value": LEAD.id}]}


@pytest.mark.parametrize(("extra_tags", "names"), [(True, ["utm_source", "gclid"]), (False, ["utm_source"])])
def test_tags_go_as_they_are_and_no_visitor_passes_for_a_marker(extra_tags: bool, names: list[str]) -> None:
    tags = (
        UtmTag(name="utm_source", value="google"),
        UtmTag(name="gclid", value="abc"),
        UtmTag(name="Leadgate", value="another lead"),
        UtmTag(name="utm_term", value=" "),
    )
    marketing = Marketing(referrer="https://example.se/villa", utm_tags=tags)
    body = map_lead(
        replace(LEAD, marketing=marketing),
        replace(FORM, extra_tags=extra_tags),
        DESTINATION,
        contact_id="ADR1",
    )
    assert body["marketing"]["referrer"] == "https://example.se/villa"
    assert [tag["name"] for tag in body["marketing"]["utmTags"]] == [*names, MARKER]
    assert_valid(body, "Lead")


def test_a_receiving_user_has_an_office_and_a_home_lead_its_source() -> None:
    destination = replace(DESTINATION, office_id="FIR1", assignment_source_id="IS1")
    body = map_lead(LEAD, FORM, destination, contact_id="ADR1")
    assert (body["officeId"], body["assignmentSourceId"]) == ("FIR1", "IS1")
    assert {"contactId": "ADR1", "assignedToId": "HAN1", "leadSourceId": "LS1"}.items() <= body.items()


@pytest.mark.parametrize(
    ("body", "matchable"),
    [
        ({"firstName": "A", "lastName": "B", "cellPhone": "+46"}, True),
        ({"firstName": "A", "lastName": "B", "telePhone": "+46"}, True),
        ({"firstName": "A", "lastName": "B", "email": {"emailAddress": "a@b"}}, True),
        ({"firstName": "A", "lastName": "B"}, False),
        ({"firstName": "A", "cellPhone": "+46"}, False),
        ({"lastName": "B", "cellPhone": "+46"}, False),
        ({"corporateNumber": "5"}, True),
        ({"companyName": "C", "switchPhone": "+46"}, True),
        ({"companyName": "C", "email": {"emailAddress": "a@b"}}, True),
        ({"companyName": "C"}, False),
        ({"switchPhone": "+46", "email": {"emailAddress": "a@b"}}, False),
    ],
)
def test_vitec_can_match_by_names_and_a_way_to_answer(body: dict[str, Any], matchable: bool) -> None:
    assert is_matchable({"customerId": "M1"} | body) is matchable


def test_a_frozen_body_is_the_same_bytes_whatever_the_order() -> None:
    body = contact_of()
    assert encode(body) == encode(dict(reversed(body.items())))
    assert json.loads(encode(body)) == body
    assert "Åkesson".encode() in encode(body)


def test_what_the_visitor_typed_is_listed_for_masking() -> None:
    lead = replace(LEAD, unreadable_phone="ring 070")
    assert list_typed(lead) == ("Anna", "Åkesson", "anna@example.se", "+46701234567", "ring 070", "Hej!")


def test_an_address_is_written_as_in_sweden() -> None:
    assert write_address("Storgatan 1", "11122", "Lund") == "Storgatan 1, 111 22 Lund"
    assert write_address(None, "SW1A 1AA", None) == "SW1A 1AA"
    assert write_address(None, None, None) == ""


@given(st.text(), st.integers(0, 40))
def test_a_cut_keeps_characters_whole(text: str, limit: int) -> None:
    kept = cut(text, limit)
    assert utf16_length(kept) == len(kept.encode("utf-16-le")) // 2 <= limit
    assert text.startswith(kept)


words = st.none() | st.text(max_size=120) | st.just("Å😀" * 60)
contacts = st.builds(
    Contact,
    first_name=words,
    last_name=words,
    email=words | st.just("anna@example.se"),
    phone=words | st.sampled_from(["+46701234567", "+4681234567", "+999999999999999"]),
    company_name=words,
    corporate_number=words,
    street_address=words,
    zip_code=words,
    city=words,
)
leads = st.builds(
    replace,
    st.just(LEAD),
    contact=contacts,
    message=st.text(),
    unreadable_phone=words,
    answers=st.lists(
        st.builds(Answer, name=st.sampled_from(["rooms", "city"]), label=st.text(), value=st.text())
    ).map(tuple),
    consents=st.lists(
        st.builds(
            Consent,
            name=st.just("c"),
            label=st.text(),
            given=st.booleans(),
            maps_to=st.sampled_from([None, "wishAdvertising"]),
        )
    ).map(tuple),
    marketing=st.builds(
        Marketing,
        referrer=words,
        utm_tags=st.lists(st.builds(UtmTag, name=st.text(), value=st.text())).map(tuple),
    ),
    follows=st.sampled_from([None, "ABCDEFGH12"]),
)
forms = st.builds(
    replace,
    st.just(FORM),
    contact_type=st.sampled_from(ContactType),
    home_fields=st.sampled_from([(), ("streetAddress", "zipCode", "city"), ("city", "rooms")]),
    extra_tags=st.booleans(),
    reference_in_message=st.booleans(),
    subject=st.sampled_from([TEXT, {"sv": " "}]),
)


@given(leads, forms)
def test_any_lead_fits_and_blanks_nothing(lead: Lead, form: Form) -> None:
    mapped = map_contact(lead, form, DESTINATION)
    body = map_lead(lead, form, DESTINATION, contact_id="ADR1")
    company = form.contact_type is ContactType.COMPANY
    assert_valid(_in_utf16_units(mapped.body), "UpdateCompany" if company else "UpdatePerson")
    assert_valid(body, "Lead")
    for one in (mapped.body, body):
        assert_nothing_blank(one)
    assert not {"contactId", "userId", "note", "task", "leadScore"} & set(mapped.body)
    assert body["marketing"]["utmTags"][-1] == {"name": MARKER, "value": lead.id}
    for typed in (lead.contact.email, lead.contact.phone, lead.unreadable_phone):
        assert (typed or "").strip().replace("\r\n", "\n").replace("\r", "\n") in body["message"]


def _in_utf16_units(value: Any) -> Any:
    """JSON Schema counts code points; this makes it count as Vitec does."""
    if isinstance(value, dict):
        return {name: _in_utf16_units(member) for name, member in value.items()}
    return "x" * utf16_length(value) if isinstance(value, str) and value != "Interest" else value
