"""Whatever is sent: a lead that is kept and read back as it was, or a refusal with a reason for each field."""

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.errors import SubmissionRefused
from app.forms.model import BUILT_IN_FIELDS
from app.intake.html_form import unfold
from app.lead import Enquiry
from app.store.leads import write_body
from tests.submissions import ANNA, NOW, definition, errors, form, send

# Thousands of examples of what other tests cover, each traced, would take twice as long.
pytestmark = pytest.mark.no_cover

ENQUIRY = TypeAdapter(Enquiry)
CODES = {
    "required", "email_or_phone_required", "too_long", "too_small", "invalid_email", "invalid_phone",
    "invalid_postcode", "invalid_number", "invalid_option",
    "invalid_type", "unknown_field", "invalid_notice", "invalid_consent",
}  # fmt: skip

hostile = st.text(st.characters(exclude_categories=()), max_size=30)
likely = st.sampled_from(
    ["anna@example.se", "0701740605", "111 22", "75", "villa", "nu", "sv", "2026-11-24T08:30:00Z", "1212121212",
     "https://www.maklare.se/?utm_source=a", "on", "", " ", "\x00", "\ud800", "duty"]
)  # fmt: skip
leaves = st.none() | st.booleans() | st.integers() | st.floats() | likely | hostile
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["referrer", "utmTags", "name", "value", "version", "shownAt", "newsletter"])
            | hostile,
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
NAMES = (
    *BUILT_IN_FIELDS,
    *(field.name for field in form().fields),
    *("consents", "notice", "receiver", "pageUrl", "language", "marketing"),
    *("utm_source", "UTM_MEDIUM", "landing_referrer", "first_gclid", "hsa_cam"),
)
bodies = st.dictionaries(st.sampled_from(NAMES), values, max_size=8)


def find_texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in find_texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in find_texts(one)]
    return [value] if isinstance(value, str) else []


def assert_kept_or_refused(body: dict[str, Any]) -> None:
    enquiry = send(body, referer="https://a.se/", query=[("gclid", "x")])
    if isinstance(enquiry, SubmissionRefused):
        assert enquiry.errors
        for error in enquiry.errors:
            assert error.code in CODES
            (error.pointer + error.detail).encode()
        return
    written = write_body(enquiry)
    content = json.loads(written)["enquiry"]
    assert ENQUIRY.validate_python(content) == enquiry
    for text in find_texts(content):
        text.encode()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert enquiry.contact.email or enquiry.contact.phone
    assert enquiry.notice is None or enquiry.notice.shown_at is None or enquiry.notice.shown_at <= NOW


@settings(max_examples=400)
@given(bodies)
@example({"notice": {"shownAt": 5}})
@example({"notice": {"shownAt": "9999-12-31T23:59:59-12:00"}})
@example({"budget": 10**5000})
def test_any_value_in_any_field_is_a_lead_or_a_refusal(body: dict[str, Any]) -> None:
    assert_kept_or_refused({**ANNA, **body})


@given(st.dictionaries(hostile | st.sampled_from(NAMES), values, max_size=5))
def test_any_object_is_a_lead_or_a_refusal(body: dict[str, Any]) -> None:
    assert_kept_or_refused(body)


@given(bodies)
def test_a_wrong_value_hides_no_other_error(body: dict[str, Any]) -> None:
    alone = {pair for name, value in body.items() for pair in errors({**ANNA, name: value})}
    together = set(errors({**ANNA, **body}))
    # A phone is only refused where no e-mail is left, and a full name makes up for its parts.
    forgiven = {("#/phone", "invalid_phone"), ("#/email", "email_or_phone_required")}
    forgiven |= {(f"#/{name}", "required") for name in ("firstName", "lastName")}
    assert alone - forgiven <= together


def resolve(pointer: str, document: Any) -> Any:
    """What an RFC 6901 pointer in a URI fragment leads to."""
    for token in unquote(pointer.removeprefix("#/")).split("/"):
        document = document[token.replace("~1", "/").replace("~0", "~")]
    return document


keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text("./~%#", max_size=6)


@given(st.dictionaries(keys, st.just("x"), max_size=4), st.dictionaries(keys, st.just("x"), max_size=4))
@example({"a.b": "x"}, {"c.d/e~f": "x"})
def test_a_pointer_leads_to_what_was_sent_whatever_it_is_called(
    top: dict[str, str], nested: dict[str, str]
) -> None:
    body = {**top, **ANNA, "consents": nested}
    told = [pointer for pointer, code in errors(body) if code == "unknown_field"]
    assert all(resolve(pointer, body) == "x" for pointer in told)
    assert len(told) >= len(top.keys() - set(NAMES))


pairs = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, "consents.newsletter", "notice.shownAt", "marketing.referrer", "token"])
        | hostile,
        likely | hostile,
    ),
    max_size=8,
)


@given(pairs)
def test_any_html_form_is_a_lead_or_a_refusal_of_what_a_visitor_can_mend(sent: list[tuple[str, str]]) -> None:
    unfolded = unfold([*ANNA.items(), *sent], definition())

    assert_kept_or_refused(unfolded.body)
    told = errors(unfolded.body)
    assert {pointer for pointer, _ in told} <= {
        f"#/{name}" for name in (*BUILT_IN_FIELDS, *definition().fields)
    }
    assert {code for _, code in told}.isdisjoint({"unknown_field", "invalid_type"})


@given(st.timedeltas(min_value=timedelta(days=-4000), max_value=timedelta(days=4000)))
def test_a_notice_is_never_said_to_be_shown_later_than_now(offset: timedelta) -> None:
    assert_kept_or_refused({**ANNA, "notice": {"shownAt": (NOW + offset).isoformat()}})
