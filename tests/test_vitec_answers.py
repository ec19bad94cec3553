"""What Vitec's answers mean, and what may be kept of their words."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms.model import ContactType
from app.lead import UtmTag
from app.vitec.answers import (
    Answer,
    ContactOutcome,
    Created,
    CreateOutcome,
    Forbidden,
    Found,
    Misdirected,
    NotSent,
    NotTaken,
    Readable,
    Refused,
    Unauthorized,
    Unknown,
    classify_contact,
    classify_create,
    classify_read,
    parse_retry_after,
)
from app.vitec.bodies import EXCERPT, read_refusal, scrub
from app.vitec.readings import (
    Incoming,
    Listed,
    carries_marker,
    parse_contact_ids,
    parse_incoming,
    parse_lead_ids,
    parse_listing,
)

XML_STRING = b'<string xmlns="http://schemas.microsoft.com/2003/10/Serialization/">LED1</string>'


def answer(status: int | None = 200, body: object = b"", **values: Any) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(**{"sent": True, "status": status, "body": content} | values)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, "LED1", Created(id="LED1")),
        (201, "LED7216862FF0AD4AE38061A04A9AC4D60D", Created(id="LED7216862FF0AD4AE38061A04A9AC4D60D")),
        (200, b'\xef\xbb\xbf"LED1"', Created(id="LED1")),
        (200, {"id": "LED1"}, Created(id="LED1")),
        (200, {"LeadId": " LED1 ", "id": "other"}, Created(id="LED1")),
        (200, XML_STRING, Created(id="LED1")),
        # An id nobody can be sure of is none.
        (200, {"contactId": "ADR1"}, Unknown(status=200, cause="NoReadableId")),
        (200, b"", Unknown(status=200, cause="NoReadableId")),
        (204, b"", Unknown(status=204, cause="NoReadableId")),
        (200, "", Unknown(status=200, cause="NoReadableId")),
        (200, "null", Unknown(status=200, cause="NoReadableId")),
        (200, None, Unknown(status=200, cause="NoReadableId")),
        (200, 17, Unknown(status=200, cause="NoReadableId")),
        (200, "L" * 41, Unknown(status=200, cause="NoReadableId")),
        (200, "Ett fel uppstod", Unknown(status=200, cause="NoReadableId")),
        (200, b"LED1", Unknown(status=200, cause="NoReadableId")),
        (200, b"<html>LED1</html>", Unknown(status=200, cause="NoReadableId")),
        (200, b"<Error><string>LED1</string><a>b</a></Error>", Unknown(status=200, cause="NoReadableId")),
        (200, b"[" * 60000, Unknown(status=200, cause="NoReadableId")),
        (400, "Fel", Refused(status=400, words="Fel")),
        (413, b"", Refused(status=413, words="")),
        (415, b"", Refused(status=415, words="")),
        (422, {"message": "Fel"}, Refused(status=422, words="Fel")),
        (401, b"", Unauthorized()),
        (403, {"message": "Nej"}, Forbidden(words="Nej")),
        (404, b"<h1>Not found</h1>", Misdirected(status=404, words="Not found")),
        (405, b"", Misdirected(status=405)),
        (410, b"", Misdirected(status=410)),
        (301, b"", Misdirected(status=301)),
        (308, b"", Misdirected(status=308)),
        (302, b"", Unknown(status=302, cause="")),
        (307, b"", Unknown(status=307, cause="")),
        (408, b"", Unknown(status=408, cause="")),
        (409, b"", Unknown(status=409, cause="")),
        (500, {"message": "Oj"}, Unknown(status=500, cause="Oj")),
        (502, b"", Unknown(status=502, cause="")),
        (101, b"", Unknown(status=101, cause="NoReadableId")),
    ],
)
def test_a_create_is_classified_by_its_answer(status: int, body: object, expected: CreateOutcome) -> None:
    assert classify_create(answer(status, body)) == expected


@pytest.mark.parametrize(
    ("given_answer", "expected"),
    [
        (Answer(sent=False, error="ConnectError"), NotSent(cause="ConnectError")),
        (answer(None, error="TimeoutError"), Unknown(status=None, cause="TimeoutError")),
        (answer(200, "LED1", error="ReadError"), Unknown(status=200, cause="ReadError")),
        (answer(500, b"x", error="ReadError"), Unknown(status=500, cause="ReadError")),
        (answer(400, b"Fel", error="AnswerTooLarge"), Refused(status=400, words="Fel")),
        (answer(429, retry_after=timedelta(seconds=7)), NotTaken(retry_after=timedelta(seconds=7))),
        (
            answer(503, retry_after=timedelta(seconds=7)),
            Unknown(status=503, cause="", retry_after=timedelta(seconds=7)),
        ),
    ],
)
def test_what_was_sent_decides_before_what_broke(given_answer: Answer, expected: CreateOutcome) -> None:
    assert classify_create(given_answer) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("ADR1", Found(id="ADR1")),
        ({"contactId": "ADR1"}, Found(id="ADR1")),
        ({"id": "ADR1"}, Found(id="ADR1")),
        (XML_STRING.replace(b"LED1", b"ADR1"), Found(id="ADR1")),
        ({"leadId": "LED1"}, Unknown(status=200, cause="NoReadableId")),
    ],
)
def test_a_contact_is_found_by_its_id(body: object, expected: ContactOutcome) -> None:
    assert classify_contact(answer(200, body)) == expected


def test_a_reading_is_whole_or_a_failure() -> None:
    assert classify_read(answer(200, [])) == Readable()
    assert classify_read(answer(200, [], error="AnswerTooLarge")) == Unknown(
        status=200, cause="AnswerTooLarge"
    )
    assert classify_read(answer(403)) == Forbidden()
    assert classify_read(Answer(sent=False, error="ConnectError")) == NotSent(cause="ConnectError")


def test_an_answers_body_is_in_no_repr() -> None:
    assert "Hemligsson" not in repr(answer(400, "Hemligsson"))
    assert "Hemligsson" not in repr(Incoming(message="Hemligsson"))


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ({"modelState": {"lead.ContactId": ["Ogiltigt värde."]}}, "contact"),
        ({"message": "Fel", "modelState": {"lead.AssignedToId": ["Finns inte."]}}, "receiver"),
        ({"ModelState": {"officeId": ["Kontakten saknas på kontoret"]}}, "receiver"),
        ({"modelState": {"contactId": ["x"], "assignedToId": ["x"]}}, None),
        ({"modelState": {"leadSourceId": ["Leadskällan finns inte för kontoret."]}}, None),
        ({"message": "Kontakten finns inte."}, "contact"),
        ({"message": "Användaren finns inte."}, "receiver"),
        ({"message": "Kontakten och mottagaren hör inte ihop."}, None),
        ("Oväntat fel, kontakta Vitec", None),
        (b"<Error><Message>Kontakten finns inte</Message></Error>", "contact"),
        (b"<html>Bad Request</html>", None),
    ],
)
def test_a_refusal_is_about_whom_it_names(body: object, about: str | None) -> None:
    outcome = classify_create(answer(400, body))
    assert isinstance(outcome, Refused)
    assert outcome.about == about


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'"Fel"', "Fel"),
        (
            b'{"message":"Fel.","modelState":{"lead.message":["Saknas","Kort"]}}',
            "Fel.; lead.message: Saknas; lead.message: Kort",
        ),
        (b'[{"code":7,"ok":null},"x"]', "code: 7; x"),
        (b"<Error><Message>Fel</Message><Detail>A</Detail></Error>", "Fel; A"),
        (b"<!DOCTYPE html><p>Fel", "<!DOCTYPE html><p>Fel"),
        (b"F\xe5l", "F\ufffdl"),
        (b"[[[[[[[[[1]]]]]]]]]", ""),
    ],
)
def test_a_refusal_is_read_whatever_its_shape(body: bytes, words: str) -> None:
    assert read_refusal(body).text == words


@pytest.mark.parametrize(
    ("text", "values", "kept"),
    [
        ("Ogiltig e-post anna@example.se.", (), "Ogiltig e-post […]"),
        ("Telefon 070-123 45 67 är fel", (), "Telefon […] är fel"),
        ("1234 och a123456", (), "1234 och a[…]"),
        ("<b>Fel</b>&nbsp;&lt;i&gt;här", (), "Fel här"),
        ("a\x00b\u202ec\r\nd", (), "a b c d"),
        (
            "ANNA ÅKESSON finns på Storgatan 1",
            ("Anna", "Åkesson", "Storgatan  1", ""),
            "[…] […] finns på […]",
        ),
        ("Bo bor i Boden", ("Bo",), "[…] bor i Boden"),
        ("Anna-Karin", ("Anna", "Anna-Karin"), "[…]"),
        ("(.*) x", ("(.*)",), "[…] x"),
        ("å" * 501, (), "å" * 499 + "…"),
        ("å" * 500, (), "å" * 500),
    ],
)
def test_what_is_kept_holds_nothing_personal(text: str, values: tuple[str, ...], kept: str) -> None:
    assert scrub(text, values) == kept


@given(st.text(alphabet=st.sampled_from("<>&@ab 12345-.\x00\n") | st.characters(exclude_categories=["Cs"])))
def test_scrubbing_leaves_no_address_and_no_long_number(text: str) -> None:
    kept = scrub(text)
    assert len(kept) <= EXCERPT
    assert "@" not in kept
    assert not any(run.isdigit() and len(run) >= 5 for run in kept.split())


def test_a_refusal_repeats_no_visitor() -> None:
    body = {"message": "Namnet Åkesson, anna@example.se, 0701234567 är ogiltigt"}
    assert classify_contact(answer(400, body), values=("Åkesson",)) == Refused(
        status=400, words="Namnet […], […] […] är ogiltigt"
    )
    hostile = answer(500, b"<" * 30_000 + b"@" + b"1" * 30_000)
    assert isinstance(classify_create(hostile), Unknown)


DATE = "Tue, 24 Nov 2026 08:00:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "expected"),
    [
        (None, DATE, None),
        ("", None, None),
        ("120", None, timedelta(minutes=2)),
        (" 0 ", None, timedelta()),
        ("99999999999", None, timedelta(hours=6)),
        ("Tue, 24 Nov 2026 08:05:00 GMT", DATE, timedelta(minutes=5)),
        ("Tue, 24 Nov 2026 07:00:00 GMT", DATE, timedelta()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DATE, timedelta(hours=6)),
        ("Tue, 24 Nov 2026 08:05:00 GMT", None, None),
        ("Tue, 24 Nov 2026 08:05:00 -0000", DATE, None),
        ("-5", None, None),
        ("1.5", None, None),
        ("soon", DATE, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_replys_own_clock(
    value: str | None, date: str | None, expected: timedelta | None
) -> None:
    assert parse_retry_after(value, date=date) == expected


@given(st.text() | st.integers().map(str), st.none() | st.text() | st.just(DATE))
def test_retry_after_never_fails_and_never_waits_long(value: str, date: str | None) -> None:
    wait = parse_retry_after(value, date=date)
    assert wait is None or timedelta() <= wait <= timedelta(hours=6)


LEADS = {"contactId": "ADR1", "leads": [{"id": "LED1", "createdAt": "2026-01-01T00:00:00"}, {"id": "LED2"}]}


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ([LEADS], ("LED1", "LED2")),
        (LEADS, ("LED1", "LED2")),
        ([], ()),
        ([{"ContactId": "ADR1", "Leads": [{"Id": "LED3"}]}], ("LED3",)),
        ({"contactId": "ADR1", "leads": []}, ()),
        ({"contactId": "ADR1", "leads": None}, None),
        ({"message": "nej"}, None),
        ([LEADS, {"leads": [{"id": ""}]}], None),
        ([{"leads": ["LED1"]}], None),
        (["LED1"], None),
        ("LED1", None),
        (b"", None),
    ],
)
def test_a_contacts_leads_are_listed_or_unknown(body: object, ids: tuple[str, ...] | None) -> None:
    assert parse_lead_ids(answer(200, body)) == ids


def test_only_a_whole_answer_is_evidence() -> None:
    for broken in (answer(404, [LEADS]), answer(200, [LEADS], error="TimeoutError"), Answer(sent=False)):
        assert parse_lead_ids(broken) is None
        assert parse_incoming(broken) is None
        assert parse_contact_ids(broken, ContactType.PERSON) is None
        assert parse_listing(broken) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"contactId": "ADR1", "message": "Hej", "utmTags": [{"name": "a", "value": "b"}]},
            Incoming(utm_tags=(UtmTag(name="a", value="b"),), message="Hej"),
        ),
        (
            {"Message": None, "UtmTags": [{"Name": "a", "Value": None}, "odd"]},
            Incoming(utm_tags=(UtmTag(name="a", value=""), UtmTag(name="", value=""))),
        ),
        ({"contactId": "ADR1", "utmTags": None}, Incoming()),
        ({"message": "Hej", "isAnonymized": False}, Incoming(message="Hej")),
        ({"IsAnonymized": True}, Incoming(is_anonymized=True)),
        ({"error": "x"}, None),
        ([], None),
    ],
)
def test_an_incoming_lead_is_read_in_any_case(body: object, expected: Incoming | None) -> None:
    assert parse_incoming(answer(200, body)) == expected


@pytest.mark.parametrize(
    ("tags", "message", "ours"),
    [
        ((("leadgate", "id-1"),), "", True),
        ((("Leadgate", " id-1 "), ("utm_source", "x")), "", True),
        ((("leadgate", "id-2"),), "Ref: K7Q2-9XMF-3H", False),
        ((("utm_source", "id-1"),), "Hej\n\nRef: K7Q2-9XMF-3H", True),
        ((), "Hej\n\nRef: K7Q2-9XMF-3H\n\nRingt, återkommer", True),
        ((), "Mitt ärende har Ref: K7Q2-9XMF-3H\n\nRef: ABCD-EFGH-12", False),
        ((), "Samma person skickade även K7Q2-9XMF-3H", False),
        ((), "", False),
    ],
)
def test_a_lead_is_recognised_by_its_tag_then_by_its_closing_line(
    tags: tuple[tuple[str, str], ...], message: str, ours: bool
) -> None:
    incoming = Incoming(utm_tags=tuple(UtmTag(name=n, value=v) for n, v in tags), message=message)
    assert carries_marker(incoming, lead_id="id-1", reference="K7Q29XMF3H") is ours


@pytest.mark.parametrize(
    ("body", "kind", "ids"),
    [
        (
            [{"customerId": "M1", "persons": [{"contactId": "P1"}], "companies": [{"contactId": "C1"}]}],
            ContactType.PERSON,
            ("P1",),
        ),
        ([{"persons": None, "companies": [{"contactId": "C1"}, {}]}], ContactType.COMPANY, ("C1",)),
        (
            [{"customerId": "M1", "contactIds": ["P1", "P2"]}, {"contactIds": ["P1"]}],
            ContactType.PERSON,
            ("P1", "P2"),
        ),
        ([], ContactType.PERSON, ()),
        ([{"customerId": "M1"}], ContactType.PERSON, None),
        (["P1"], ContactType.PERSON, None),
        ("P1", ContactType.PERSON, None),
    ],
)
def test_a_search_finds_contacts_or_is_no_evidence(
    body: object, kind: ContactType, ids: tuple[str, ...] | None
) -> None:
    assert parse_contact_ids(answer(200, body), kind) == ids


def test_a_listing_names_users_groups_and_offices_and_nothing_more() -> None:
    body = [
        {"userId": "HAN1", "userName": "Karin", "archived": False, "customerId": ["M1"], "bankAccount": "1"},
        {"UserId": "HAN2", "Archived": True},
        {"userGroupId": "GRP1", "name": "Gruppen", "users": [{"userId": "HAN9"}]},
        {"officeId": "FIR1", "name": "Kontoret", "customerId": "M1", "primaryLeadReceiverId": "HAN8"},
        {"userId": " "},
        "odd",
    ]
    assert parse_listing(answer(200, body)) == (
        Listed(id="HAN1", kind="user", name="Karin"),
        Listed(id="HAN2", kind="user", archived=True),
        Listed(id="GRP1", kind="group", name="Gruppen"),
        Listed(id="FIR1", kind="office", name="Kontoret", customer_id="M1", primary_receiver_id="HAN8"),
    )
