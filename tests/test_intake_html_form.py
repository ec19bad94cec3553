"""An HTML form's flat fields become the API's body."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake.html_form import Unfolded, parse_urlencoded, unfold
from tests.submissions import check, definition

ANNA = [("firstName", "Anna"), ("lastName", "Ek"), ("email", "anna@example.se")]


def unfolded(*pairs: tuple[str, str]) -> Unfolded:
    return unfold(pairs, definition())


def ignored(sent: Unfolded) -> str:
    return "".join(note.detail for note in sent.notes if note.code == "fields_ignored")


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        (b"", []),
        (b"a=1&b=2", [("a", "1"), ("b", "2")]),
        (b"a=1&&b", [("a", "1"), ("b", "")]),
        (b"a=x+y%20z%2B&a=", [("a", "x y z+"), ("a", "")]),
        (b"a=b=c", [("a", "b=c")]),
        (b"m=h%C3%A4st", [("m", "häst")]),
        (b"m=h%E4st+%80", [("m", "häst €")]),
        ("m=häst".encode(), [("m", "häst")]),
        ("m=häst".encode("cp1252"), [("m", "häst")]),
        (b"m=%81", [("m", "\ufffd")]),
        (b"m=%ED%A0%80", [("m", "í\xa0€")]),
        (b"m=100%&n=%zz", [("m", "100%"), ("n", "%zz")]),
        (b"m=a%0D%0Ab%00", [("m", "a\r\nb\x00")]),
    ],
)
def test_an_urlencoded_body_is_parsed(body: bytes, pairs: list[tuple[str, str]]) -> None:
    assert parse_urlencoded(body) == pairs


@given(st.lists(st.tuples(st.text(), st.text())))
def test_what_a_browser_writes_is_read_back(pairs: list[tuple[str, str]]) -> None:
    assert parse_urlencoded(urlencode(pairs).encode()) == pairs


@given(st.binary(max_size=200))
def test_any_bytes_are_pairs_of_text(body: bytes) -> None:
    for name, value in parse_urlencoded(body):
        (name + value).encode()


def test_known_fields_stand_in_the_body_by_their_own_names() -> None:
    sent = unfolded(
        *ANNA, ("object", "O1"), ("budget", "75"), ("pageUrl", "https://a.se/"), ("language", "en"),
        ("receiver", "anna"), ("utm_source", "x"), ("GCLID", "y"), ("hsa_cam", "z"), ("landing_referrer", "r"),
        ("marketing.referrer", "https://b.se/"), ("notice.version", "7"),
        ("notice.shownAt", "2026-11-24T08:30:00Z"), ("consents.newsletter", "on"), ("call", "on"),
    )  # fmt: skip

    assert sent.body == {
        **dict(ANNA), "object": "O1", "budget": "75", "pageUrl": "https://a.se/", "language": "en",
        "receiver": "anna", "utm_source": "x", "GCLID": "y", "hsa_cam": "z", "landing_referrer": "r",
        "marketing": {"referrer": "https://b.se/"}, "consents": {"newsletter": True}, "call": True,
        "notice": {"version": "7", "shownAt": "2026-11-24T08:30:00Z"},
    }  # fmt: skip
    assert sent.notes == ()


@pytest.mark.parametrize(
    "name",
    ["submit", "_gotcha", "Email", "consents", "consents.other", "consents.newsletter.x", "marketing",
     "marketing.utmTags", "notice", "notice.text", "a.b", ".", "", "\x00"],
)  # fmt: skip
def test_what_the_form_does_not_know_is_ignored_and_counted(name: str) -> None:
    sent = unfolded(*ANNA, (name, "x"))

    assert sent.body == dict(ANNA)
    assert ignored(sent) == "1"
    assert check(sent.body, notes=sent.notes).notes == sent.notes


@pytest.mark.parametrize("name", ["submit", "consents.newsletter", "call", "email"])
def test_what_is_blank_is_not_there(name: str) -> None:
    sent = unfolded((name, " \r\n"))

    assert sent.body == {}
    assert sent.notes == ()


def test_of_a_repeated_field_the_last_that_is_not_empty_counts() -> None:
    sent = unfolded(("email", "a@a.se"), ("email", "b@b.se"), ("email", " "), ("call", "0"), ("call", "on"))

    assert sent.body == {"email": "b@b.se", "call": True}
    assert sent.typed == {"email": "b@b.se", "call": "on"}


TICKED = ("on", "true", "1", "Ja", " YES ", "ring mig gärna")
UNTICKED = ("off", "false", "0", "Nej", "no")


@pytest.mark.parametrize(("value", "ticked"), [(one, one in TICKED) for one in (*TICKED, *UNTICKED)])
def test_a_box_is_ticked_unless_it_says_no(value: str, ticked: bool) -> None:
    assert unfolded(("call", value)).body == {"call": ticked}


@pytest.mark.parametrize(("value", "given_"), [("on", True), ("JA", True), ("nej", False), ("0", False)])
def test_a_consent_is_a_clear_yes_or_no(value: str, given_: bool) -> None:
    assert unfolded(("consents.newsletter", value)).body == {"consents": {"newsletter": given_}}


def test_any_other_answer_to_a_consent_is_none() -> None:
    sent = unfolded(("consents.newsletter", "Nej tack"), ("consents.partners", "on"))

    assert sent.body == {"consents": {"partners": True}}
    assert ignored(sent) == "1"


@pytest.mark.parametrize("value", ["igår", "{{ now }}", "2026-11-24", "9999-12-31T23:59:59-12:00"])
def test_no_visitor_is_refused_for_a_time_her_page_got_wrong(value: str) -> None:
    sent = unfolded(*ANNA, ("notice.version", "7"), ("notice.shownAt", value))

    assert sent.body["notice"] == {"version": "7"}
    assert ignored(sent) == "1"


def test_line_ends_are_as_a_visitor_counts_them() -> None:
    sent = unfolded(("message", "a\r\nb\rc\nd"))

    assert sent.typed == {"message": "a\nb\nc\nd"}


def test_the_token_is_the_page_s_own() -> None:
    sent = unfolded(*ANNA, ("token", "t"))

    assert sent.token == "t"
    assert sent.body == dict(ANNA)
    assert sent.notes == ()
    assert unfolded().token is None
