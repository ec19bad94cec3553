"""A lead's words put right by a person: checked as a visitor's are, and nothing else touched."""

from typing import Any

import pytest

from app.errors import SubmissionRefused
from app.intake.correction import correct, list_changes, read_typed
from app.lead import Enquiry, Lead, Note
from tests.submissions import ANNA, NOW, check, definition


def make_lead(form: str = "all", **changes: Any) -> Lead:
    enquiry = check({**ANNA, **changes}, name=form)
    kept = {name: getattr(enquiry, name) for name in Enquiry.__dataclass_fields__}
    return Lead(**kept, id="1", reference="2", form=form, received_at=NOW)


def mend(lead: Lead, *, language: str = "sv", **typed: str) -> Enquiry:
    return correct(lead, read_typed(lead) | typed, definition(lead.form), language=language)


def refuse(lead: Lead, *, language: str = "sv", **typed: str) -> dict[str, str]:
    with pytest.raises(SubmissionRefused) as refused:
        mend(lead, language=language, **typed)
    return {error.field: error.detail for error in refused.value.errors}


def test_what_is_changed_is_cleaned_and_the_rest_stands() -> None:
    lead = make_lead(phone="070-174 06 05", message="Hej", nickname="Ankan", utm_source="google")
    mended = mend(lead, email=" ANNA@Example.COM ", zipCode="11122", message="Hej då")
    assert mended.contact.email == "ANNA@example.com"
    assert mended.contact.zip_code == "111 22"
    assert mended.contact.phone == "+46701740605"
    assert mended.message == "Hej då"
    assert (mended.answers, mended.marketing, mended.notes) == (lead.answers, lead.marketing, lead.notes)
    assert set(list_changes(lead, mended)) == {"email", "zipCode", "message"}


def test_nothing_changed_is_the_same_enquiry() -> None:
    lead = make_lead(phone="nio", message="Rad ett\n\nRad två")
    mended = mend(lead)
    assert mended == check({**ANNA, "phone": "nio", "message": "Rad ett\n\nRad två"})
    assert list_changes(lead, mended) == ()


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"email": "anna@"}, "email"),
        ({"zipCode": "hemma"}, "zipCode"),
        ({"firstName": ""}, "firstName"),
        ({"email": ""}, "email"),
        ({"email": "", "phone": "12"}, "phone"),
        ({"message": "x" * 6000}, "message"),
    ],
)
def test_a_visitors_errors_are_an_operators(typed: dict[str, str], field: str) -> None:
    with pytest.raises(SubmissionRefused) as visitors:
        check({**ANNA, **typed})
    told = {error.field: error.detail for error in visitors.value.errors}
    assert refuse(make_lead(), **typed) == told
    assert list(told) == [field]


def test_errors_are_in_the_language_asked_for() -> None:
    swedish, english = (refuse(make_lead(), language=one, email="anna@") for one in ("sv", "en"))
    assert swedish.keys() == english.keys()
    assert swedish != english


def test_what_the_form_would_refuse_today_may_stand_where_nobody_touches_it() -> None:
    """Its message is chosen from a list, and was kept in the agency's words."""
    lead = make_lead("strict", name="Anna Svensson", budget="1", kind="a", agree=True, message="sell")
    assert lead.message == "Vill sälja"
    mended = mend(lead, email="asa@example.se")
    assert mended.message == "Vill sälja"
    assert mended.answers == lead.answers
    assert mend(lead, message="sell").message == "Vill sälja"
    assert list(refuse(lead, message="något annat")) == ["message"]
    assert list(refuse(lead, firstName="", lastName="")) == ["name"]


def test_a_number_that_is_none_is_shown_to_be_mended() -> None:
    lead = make_lead(phone="070-12")
    assert read_typed(lead)["phone"] == "070-12"
    mended = mend(lead, phone="070-174 06 05")
    assert (mended.contact.phone, mended.unreadable_phone) == ("+46701740605", None)
    assert list_changes(lead, mended) == ("phone",)


def test_a_personnummer_is_masked_and_noted_once() -> None:
    lead = make_lead()
    mended = mend(lead, message="Jag är 811218-9876.")
    assert "9876" not in mended.message
    assert mended.notes == (Note(code="personnummer_masked"),)
