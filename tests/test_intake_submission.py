"""One definition of a form's fields: what is a lead, what is refused, and what is dropped with a note."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.errors import SubmissionRefused
from app.intake.submission import choose_form_language
from app.lead import Answer, Consent, Contact, Notice
from tests.submissions import ANNA, NOW, check, codes, definition, errors, form


def test_the_least_that_is_a_lead() -> None:
    enquiry = check(ANNA)

    assert enquiry.contact == Contact(first_name="Anna", last_name="Svensson", email="anna@example.se")
    assert enquiry.language == "sv"
    assert enquiry.message == ""
    assert enquiry.answers == ()
    assert enquiry.notice is None
    assert enquiry.notes == ()
    assert enquiry.receiver is None
    assert enquiry.receiver_reason == "the form's own assigned_to_id"


def test_every_built_in_field_is_taken_though_the_page_does_not_show_it() -> None:
    enquiry = check(
        {
            **ANNA,
            "phone": "070-174 06 05",
            "message": " Hej!\r\nRing mig. ",
            "streetAddress": "Storgatan 1",
            "zipCode": "11122",
            "city": "Stockholm",
            "companyName": "Firman AB",
            "corporateNumber": "556036-0793",
        }
    )

    assert enquiry.contact == Contact(
        first_name="Anna",
        last_name="Svensson",
        email="anna@example.se",
        phone="+46701740605",
        company_name="Firman AB",
        corporate_number="556036-0793",
        street_address="Storgatan 1",
        zip_code="111 22",
        city="Stockholm",
    )
    assert enquiry.message == "Hej!\nRing mig."


def test_answers_are_as_the_agent_reads_them_in_the_form_s_order() -> None:
    enquiry = check(
        {
            **ANNA,
            "language": "en",
            "object": " OBJ1 ",
            "call": True,
            "when": "nu",
            "kind": "ga\u030ard",
            "otherZip": "se11122",
            "budget": "1 200,5",
            "otherPhone": "växeln",
            "otherEmail": "Bo@Example.se",
            "wishes": "a\r\nb",
            "nickname": "An\nna",
        }
    )

    assert [(answer.label, answer.value) for answer in enquiry.answers] == [
        ("Smeknamn", "An na"),
        ("Önskemål", "a\nb"),
        ("Annan e-post", "Bo@example.se"),
        ("Annan telefon", "växeln"),
        ("Budget", "1200.5"),
        ("Annat postnummer", "111 22"),
        ("Sort", "Gård"),
        ("När", "nu"),
        ("Ring mig", "Ja"),
        ("Objekt", "OBJ1"),
    ]


def test_a_box_not_ticked_and_a_blank_are_no_answers() -> None:
    enquiry = check({**ANNA, "call": False, "nickname": " ", "wishes": "\x00", "kind": "", "when": None})

    assert enquiry.answers == ()


ACCEPTED: list[tuple[str, Any, str | None]] = [
    ("budget", 0, "0"),
    ("budget", 75, "75"),
    ("budget", -5, "-5"),
    ("budget", 92.0, "92"),
    ("budget", 92.5, "92.5"),
    ("budget", 0.00001, "0.00001"),
    ("budget", "76", "76"),
    ("budget", " 4\u00a0500 000 ", "4500000"),
    ("budget", "1 200,50", "1200.50"),
    ("budget", "1.200", "1.200"),
    ("budget", "\u22125", "-5"),
    ("budget", "", None),
    ("budget", None, None),
    ("nickname", "å" * 10, "å" * 10),
    ("nickname", "a\u030a" * 10, "å" * 10),
    ("nickname", "  " + "a" * 10 + "\u200b\n", "a" * 10),
    ("nickname", "👩" * 10, "👩" * 10),
    ("call", True, "Ja"),
    ("call", False, None),
    ("call", None, None),
    ("otherEmail", "  ", None),
    ("when", None, None),
]


@pytest.mark.parametrize(("field", "value", "answer"), ACCEPTED)
def test_a_right_value_is_taken(field: str, value: Any, answer: str | None) -> None:
    answers = check({**ANNA, field: value}).answers

    assert [one.value for one in answers] == ([] if answer is None else [answer])


REFUSED = [
    ("budget", "sju", "invalid_number"),
    ("budget", "75 kvm", "invalid_number"),
    ("budget", "1e5", "invalid_number"),
    ("budget", "1_000", "invalid_number"),
    ("budget", "٣", "invalid_number"),
    ("budget", "NaN", "invalid_number"),
    ("budget", "1,2,3", "invalid_number"),
    ("budget", float("inf"), "invalid_number"),
    ("budget", float("nan"), "invalid_number"),
    pytest.param("budget", 10**400, "too_long", id="a number of 400 digits"),
    pytest.param("budget", 10**5000, "too_long", id="a number of 5,000 digits"),
    ("budget", 1e300, "too_long"),
    ("budget", "1" * 13, "too_long"),
    ("rooms", "0", "too_small"),
    ("rooms", -3, "too_small"),
    ("rooms", "\u22123", "too_small"),
    ("rooms", 0.9, "too_small"),
    ("rooms", "tre", "invalid_number"),
    ("budget", True, "invalid_type"),
    ("budget", [1], "invalid_type"),
    ("nickname", "a" * 11, "too_long"),
    ("nickname", 5, "invalid_type"),
    ("nickname", True, "invalid_type"),
    ("nickname", ["a"], "invalid_type"),
    ("nickname", {"a": 1}, "invalid_type"),
    ("otherEmail", "bo", "invalid_email"),
    ("otherEmail", 5, "invalid_type"),
    ("otherZip", "x", "invalid_postcode"),
    ("otherZip", 11122, "invalid_type"),
    ("kind", "Villa", "invalid_option"),
    pytest.param("kind", "x" * 60000, "invalid_option", id="a long option"),
    ("kind", 5, "invalid_type"),
    ("when", "aldrig", "invalid_option"),
    ("call", 1, "invalid_type"),
    ("call", "true", "invalid_type"),
    ("call", "", "invalid_type"),
    ("object", 5, "invalid_type"),
    pytest.param("message", "a" * 5001, "too_long", id="a long message"),
    ("firstName", "a" * 101, "too_long"),
    ("companyName", "a" * 201, "too_long"),
    ("zipCode", "Stockholm", "invalid_postcode"),
    ("email", "anna", "invalid_email"),
    ("email", "a" * 250 + "@x.se", "too_long"),
    ("email", 5, "invalid_type"),
    ("phone", 701740605, "invalid_type"),
    ("phone", "1" * 41, "too_long"),
    ("unknown", "x", "unknown_field"),
    ("unknown", None, "unknown_field"),
    ("Email", "anna@example.se", "unknown_field"),
    ("utm_secret", "x", "unknown_field"),
    ("consents.newsletter", True, "unknown_field"),
    ("token", "x", "unknown_field"),
]


@pytest.mark.parametrize(("field", "value", "code"), REFUSED)
def test_a_wrong_value_is_refused_by_its_field_and_code(field: str, value: Any, code: str) -> None:
    assert errors({**ANNA, field: value}) == [("#/" + field, code)]


def test_all_errors_come_at_once_in_the_order_of_the_page() -> None:
    raw = {
        "unknown": 1,
        "consents": {"newsletter": "ja", "other": True},
        "notice": {"shownAt": "igår"},
        "object": 5,
        "budget": "x",
        "email": "anna",
        "phone": "hej",
        "zipCode": "x",
        "message": "a" * 5001,
    }

    assert errors(raw) == [
        ("#/firstName", "required"),
        ("#/lastName", "required"),
        ("#/email", "invalid_email"),
        ("#/phone", "invalid_phone"),
        ("#/budget", "invalid_number"),
        ("#/object", "invalid_type"),
        ("#/message", "too_long"),
        ("#/zipCode", "invalid_postcode"),
        ("#/consents/newsletter", "invalid_consent"),
        ("#/consents/other", "unknown_field"),
        ("#/notice/shownAt", "invalid_notice"),
        ("#/unknown", "unknown_field"),
    ]


def test_a_dot_in_a_name_is_no_step_of_the_pointer() -> None:
    raw = {**ANNA, "consents.newsletter": True, "a/b": 1, "consents": {"x.y": True}}
    assert errors(raw) == [
        ("#/consents/x.y", "unknown_field"),
        ("#/consents.newsletter", "unknown_field"),
        ("#/a~1b", "unknown_field"),
    ]


def test_a_number_that_is_too_small_is_told_the_least() -> None:
    with pytest.raises(SubmissionRefused) as refused:
        check({**ANNA, "rooms": "0"})
    assert refused.value.errors[0].detail == "”Antal rum” ska vara minst 1."


def test_a_refusal_is_told_in_the_visitor_s_language_and_repeats_nothing_that_was_typed() -> None:
    with pytest.raises(SubmissionRefused) as swedish:
        check({**ANNA, "email": "hemlig-anna", "kind": "hemlig-sort"})
    with pytest.raises(SubmissionRefused) as english:
        check({**ANNA, "email": "hemlig-anna", "language": "en"})

    assert [error.detail for error in swedish.value.errors] == [
        "Kontrollera e-postadressen. Den ska se ut som namn@exempel.se.",
        "Välj ett av alternativen för ”Sort”.",
    ]
    assert english.value.errors[0].detail == (
        "Please check the email address. It should look like name@example.com."
    )
    assert "hemlig" not in str(swedish.value) + repr(swedish.value.errors)
    assert swedish.value.__cause__ is None


def test_a_consent_s_error_names_its_label() -> None:
    with pytest.raises(SubmissionRefused) as refused:
        check({**ANNA, "consents": {"newsletter": 1}})

    assert refused.value.errors[0].detail == "Svara ja eller nej på ”Nyhetsbrev”."


def test_a_key_that_is_no_text_is_named_without_what_breaks_the_answer() -> None:
    raw = {**ANNA, "a\ud800": 1, "consents": {"b\udfff": True}, "notice": {"c\x00": 1}}

    assert errors(raw) == [
        ("#/consents", "invalid_consent"),
        ("#/notice/c%00", "unknown_field"),
        ("#/a%3F", "unknown_field"),
    ]


def test_of_thousands_of_unknown_fields_fifty_are_told() -> None:
    assert len(errors({**ANNA, **{f"x{number}": 1 for number in range(5000)}})) == 50


@pytest.mark.parametrize(
    ("given", "contact"),
    [
        ({"firstName": "Anna", "lastName": "Ek"}, ("Anna", "Ek")),
        ({"name": "Anna Ek"}, ("Anna", "Ek")),
        ({"name": "Anna"}, ("Anna", None)),
        ({"name": "Anna Ek", "firstName": "Bo", "lastName": "Al"}, ("Bo", "Al")),
        ({"name": "Anna Ek", "firstName": "Bo"}, ("Anna", "Ek")),
        ({"name": "Anna Ek", "firstName": " ", "lastName": None}, ("Anna", "Ek")),
    ],
)
def test_a_full_name_stands_for_its_parts(given: dict[str, Any], contact: tuple[str, str | None]) -> None:
    read = check({"email": "anna@example.se", **given}).contact

    assert (read.first_name, read.last_name) == contact


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, [("#/firstName", "required"), ("#/lastName", "required")]),
        ({"firstName": "Anna"}, [("#/lastName", "required")]),
        ({"lastName": " \n"}, [("#/firstName", "required"), ("#/lastName", "required")]),
        (
            {"firstName": "\ud800", "lastName": "\u200b"},
            [("#/firstName", "required"), ("#/lastName", "required")],
        ),
        ({"name": 5}, [("#/name", "invalid_type")]),
    ],
)
def test_a_name_is_required(given: dict[str, Any], told: list[tuple[str, str]]) -> None:
    assert errors({"email": "anna@example.se", **given}) == told


def test_a_part_stands_for_a_name_where_the_form_asks_for_that() -> None:
    rest = {"email": "anna@example.se", "budget": 1, "kind": "a", "agree": True}

    assert errors({**rest, "firstName": "Anna"}, name="strict") == []
    assert errors(rest, name="strict") == [("#/name", "required")]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"email": "anna@example.se"}, []),
        ({"phone": "0701740605"}, []),
        ({"phone": "0701\x0074\u200b0605"}, []),
        ({}, [("#/email", "email_or_phone_required")]),
        ({"email": " ", "phone": None}, [("#/email", "email_or_phone_required")]),
        ({"email": "anna@example.se", "phone": "hej"}, []),
        ({"phone": "hej"}, [("#/phone", "invalid_phone")]),
        ({"email": "x", "phone": "0701740605"}, [("#/email", "invalid_email")]),
        ({"email": "x", "phone": "hej"}, [("#/email", "invalid_email"), ("#/phone", "invalid_phone")]),
        ({"email": 5, "phone": 5}, [("#/email", "invalid_type"), ("#/phone", "invalid_type")]),
        # Another field's fault changes nothing about the phone.
        ({"phone": "070\x00-174 06 05", "budget": "x"}, [("#/budget", "invalid_number")]),
    ],
)
def test_an_email_or_a_phone_is_needed(given: dict[str, Any], told: list[tuple[str, str]]) -> None:
    assert errors({"firstName": "Anna", "lastName": "Ek", **given}) == told


def test_a_phone_that_is_no_number_is_kept_when_there_is_an_email() -> None:
    enquiry = check({**ANNA, "phone": "0701740605 efter kl 17"})

    assert enquiry.contact.phone is None
    assert enquiry.unreadable_phone == "0701740605 efter kl 17"
    assert codes(enquiry) == ["phone_unreadable"]


def test_a_phone_is_read_by_the_form_s_region() -> None:
    assert check({**ANNA, "phone": "22 12 34 56"}, name="norwegian").contact.phone == "+4722123456"


def test_what_a_form_requires_is_missed() -> None:
    told = errors({"name": "Anna", "email": "anna@example.se", "agree": False}, name="strict")

    assert told == [("#/budget", "required"), ("#/kind", "required"), ("#/agree", "required")]


def test_a_wrong_value_is_not_missed_as_well() -> None:
    raw = {"name": "Anna", "email": "a@example.se", "budget": "x", "kind": "c", "agree": "ja"}

    assert errors(raw, name="strict") == [
        ("#/budget", "invalid_number"),
        ("#/kind", "invalid_option"),
        ("#/agree", "invalid_type"),
    ]


def test_a_built_in_field_of_options_is_told_by_its_label() -> None:
    raw = {
        "name": "Anna",
        "email": "a@example.se",
        "budget": 1,
        "kind": "a",
        "agree": True,
        "message": "sell",
    }

    assert check(raw, name="strict").message == "Vill sälja"


def test_a_yes_is_written_in_the_agency_s_language() -> None:
    answers = check({**ANNA, "call": True}).answers

    assert answers == (Answer(name="call", label="Ring mig", value="Ja"),)


def test_a_hidden_value_is_cut_where_no_visitor_could_shorten_it() -> None:
    enquiry = check({**ANNA, "object": "x" * 300})

    assert [answer.value for answer in enquiry.answers] == ["x" * 20]
    assert codes(enquiry) == ["hidden_field_cut"]


@pytest.mark.parametrize(
    "field", ["message", "wishes", "nickname", "firstName", "streetAddress", "city", "name"]
)
def test_a_personnummer_in_free_text_is_masked_and_noted(field: str) -> None:
    raw = ANNA if field != "name" else {"email": "anna@example.se"}
    enquiry = check({**raw, field: "1212121212"})

    assert "1212121212" not in repr(enquiry)
    assert "******-****" in repr(enquiry)
    assert codes(enquiry) == ["personnummer_masked"]


def test_a_personnummer_for_a_phone_is_masked() -> None:
    enquiry = check({**ANNA, "phone": "121212-1212"})

    assert enquiry.unreadable_phone == "******-****"
    assert codes(enquiry) == ["personnummer_masked", "phone_unreadable"]


def test_a_company_s_number_may_be_its_owner_s() -> None:
    assert check({**ANNA, "corporateNumber": "121212-1212"}).contact.corporate_number == "121212-1212"


def test_a_likely_slip_in_the_address_is_noted_without_the_address() -> None:
    [note] = check({**ANNA, "email": "anna@gmial.com"}).notes

    assert (note.code, note.detail) == ("email_typo_likely", "gmail.com")


NAMES = ("pageUrl", "language", "marketing", "receiver")
WRONG: dict[str, tuple[str, list[Any]]] = {
    "pageUrl": ("page_url_dropped", [5, True, [], {}, "x", "javascript:x"]),
    "language": ("language_dropped", [5, True, [], {}, "de", "*"]),
    "marketing": ("marketing_dropped", [5, True, [], "utm_source=a"]),
    "receiver": ("receiver_dropped", [5, True, [], {}]),
}
CONTEXT: list[Any] = [
    *((name, blank, []) for name in NAMES for blank in (None, " \x00")),
    *((name, value, [code]) for name, (code, wrong) in WRONG.items() for value in wrong),
    pytest.param("language", "x" * 60000, ["language_dropped"], id="a long language"),
    ("receiver", "nobody", ["receiver_unknown"]),
    ("marketing", {"utmTags": 5}, ["utm_tags_dropped"]),
]


@pytest.mark.parametrize(("name", "value", "notes"), CONTEXT)
def test_context_that_is_not_valid_is_dropped_and_noted_never_refused(
    name: str, value: Any, notes: list[str]
) -> None:
    enquiry = check({**ANNA, name: value})

    assert codes(enquiry) == notes
    assert enquiry.page_url is None
    assert enquiry.language == "sv"
    assert enquiry.receiver is None


@pytest.mark.parametrize(
    ("body", "wish", "header", "language"),
    [
        ("en", "sv", "sv", "en"),
        ("en-GB", None, None, "en"),
        ("EN_us", None, None, "en"),
        ("de", "en", "sv", "en"),
        (None, "en", "sv", "en"),
        (None, None, "de, en;q=0.5", "en"),
        (None, "de", "de", "sv"),
        (None, None, None, "sv"),
    ],
)
def test_the_language_is_the_body_s_then_the_wish_then_the_browser_s(
    body: str | None, wish: str | None, header: str | None, language: str
) -> None:
    enquiry = check({**ANNA, "language": body}, language=wish, accept_language=header)

    assert enquiry.language == language


def test_a_page_s_language_is_chosen_the_same_way() -> None:
    assert choose_form_language(form(), wanted="en", accept_language="sv") == "en"


@pytest.mark.parametrize("name", ["utm_source", "UTM_Source", "hsa_cam", "HSA_CAM", "gclid", "first_gclid"])
def test_campaign_parameters_are_taken_at_the_top_level_in_any_case(name: str) -> None:
    [tag] = check({**ANNA, name: "x"}).marketing.utm_tags

    assert (tag.name, tag.value) == (name.lower(), "x")


def test_marketing_is_put_together_from_every_place() -> None:
    enquiry = check(
        {
            **ANNA,
            "marketing": {"utmTags": [{"name": "utm_source", "value": "a"}]},
            "utm_medium": "b",
            "pageUrl": "https://www.maklare.se/?utm_term=d&token=x",
            "landing_referrer": "https://forms.example.se/",
        },
        query=[("utm_content", "c")],
        referer="https://www.maklare.se/?utm_id=e",
        own_hosts=frozenset({"forms.example.se"}),
    )

    assert [(tag.name, tag.value) for tag in enquiry.marketing.utm_tags] == [
        ("utm_source", "a"),
        ("utm_medium", "b"),
        ("utm_term", "d"),
        ("utm_content", "c"),
        ("utm_id", "e"),
    ]
    assert enquiry.marketing.referrer == enquiry.page_url == "https://www.maklare.se/?utm_term=d"


def test_a_field_goes_before_a_parameter_of_its_name() -> None:
    assert "email" not in definition().parameter_names
    assert {"utm_source", "hsa_cam", "first_hsa_cam"} <= definition().parameter_names


@pytest.mark.parametrize(
    ("given", "newsletter"),
    [
        ({}, False),
        ({"consents": None}, False),
        ({"consents": {}}, False),
        ({"consents": {"newsletter": None}}, False),
        ({"consents": {"newsletter": False}}, False),
        ({"consents": {"newsletter": True}}, True),
    ],
)
def test_a_consent_is_given_by_a_clear_yes_alone(given: dict[str, Any], newsletter: bool) -> None:
    assert check({**ANNA, "language": "en", **given}).consents == (
        Consent(name="newsletter", label="Newsletter", given=newsletter, maps_to="wishAdvertising"),
        Consent(name="partners", label="Partners", given=False),
    )


@pytest.mark.parametrize("value", ["ja", "", 1, 0, [], {}])
def test_anything_but_yes_or_no_is_no_answer(value: Any) -> None:
    assert errors({**ANNA, "consents": {"newsletter": value}}) == [
        ("#/consents/newsletter", "invalid_consent")
    ]


@pytest.mark.parametrize("value", ["ja", "", True, [], 5])
def test_consents_are_a_table(value: Any) -> None:
    assert errors({**ANNA, "consents": value}) == [("#/consents", "invalid_consent")]


HOUR = timedelta(hours=1)


def unnamed(**values: Any) -> Notice:
    """One that was shown, nobody says which."""
    return notice(version="", text="", **values)


def notice(**values: Any) -> Notice:
    privacy = form().privacy
    usual = {"version": privacy.version, "text": privacy.notice["sv"], "language": "sv"}
    return Notice(**{**usual, **values})


@pytest.mark.parametrize(
    ("given", "expected", "notes"),
    [
        (None, None, []),
        ({}, None, []),
        ({"version": None, "shownAt": " "}, None, []),
        ({"version": "7"}, notice(version="7", text=""), []),
        ({"version": form().privacy.version}, notice(), []),
        ({"shownAt": "2026-11-24T08:30:00Z"}, unnamed(shown_at=NOW - HOUR), []),
        ({"shownAt": "2026-11-24T09:30:00.000+01:00"}, unnamed(shown_at=NOW - HOUR), []),
        ({"shownAt": "2026-11-24T09:34:59Z"}, unnamed(shown_at=NOW), []),
        ({"shownAt": "2026-11-24T09:36:00Z"}, unnamed(), ["notice_time_dropped"]),
        ({"shownAt": "2020-01-01T00:00:00Z"}, unnamed(), ["notice_time_dropped"]),
    ],
)
def test_the_notice_that_was_shown_is_kept(given: Any, expected: Notice | None, notes: list[str]) -> None:
    enquiry = check({**ANNA, "notice": given})

    assert enquiry.notice == expected
    assert codes(enquiry) == notes


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ("7", "#/notice"),
        ([], "#/notice"),
        ({"version": 7}, "#/notice/version"),
        ({"shownAt": 5}, "#/notice/shownAt"),
        ({"shownAt": "igår"}, "#/notice/shownAt"),
        ({"shownAt": "2026-11-24"}, "#/notice/shownAt"),
        ({"shownAt": "2026-11-24T08:30:00"}, "#/notice/shownAt"),
        ({"shownAt": "9999-12-31T23:59:59-12:00"}, "#/notice/shownAt"),
        ({"shownAt": "0001-01-01T00:00:00+12:00"}, "#/notice/shownAt"),
    ],
)
def test_a_notice_of_a_wrong_kind_is_refused(value: Any, pointer: str) -> None:
    assert errors({**ANNA, "notice": value}) == [(pointer, "invalid_notice")]


def test_our_own_page_vouches_for_its_notice() -> None:
    shown_at = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

    assert check(ANNA, page_shown_at=shown_at).notice == notice(shown_at=shown_at)
    told = check({**ANNA, "notice": {"shownAt": "2030-01-01T00:00:00Z"}}, page_shown_at=shown_at)
    assert told.notice == notice(shown_at=shown_at)
    assert told.notes == ()


HOME = {**ANNA, "streetAddress": "Storgatan 1", "propertyType": "villa"}


@pytest.mark.parametrize(
    ("given", "receiver"),
    [
        ({"zipCode": "111 22"}, "solna"),
        ({"zipCode": "169 55"}, "city"),
        ({"zipCode": "169 55", "urgent": True}, "duty"),
        ({"zipCode": "169 55", "urgent": False}, "city"),
        ({"zipCode": "111 22", "receiver": " duty "}, "duty"),
        ({"zipCode": "111 22", "receiver": "nobody"}, "solna"),
    ],
)
def test_the_receiver_is_chosen_from_what_was_answered(given: dict[str, Any], receiver: str) -> None:
    assert check({**HOME, **given}, name="routed").receiver == receiver
