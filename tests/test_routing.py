"""Who receives a lead: the order of the rules, and the postcodes they speak of."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms.errands import list_errands
from app.forms.model import Form, Forms, Login, Password, Route
from app.forms.postcodes import format_range, intersect, parse_postcode, parse_range, subtract, unite
from app.forms.reader import read_forms
from app.forms.routing import Choice, choose_receiver
from app.i18n import get_translations
from app.lead import Note
from app.reasons import tell_choice

FILE = """
[forms.sell]
customer_id = "M1"
assigned_to_id = "HAN1"
lead_source_id = "LKA1"
preset = "vardering"
receiver = "city"
fields = [{ name = "urgent", type = "checkbox", label = "Urgent" }]

[[forms.sell.routes]]
zip = ["111-118"]
when = { propertyType = "villa" }
receiver = "villas"

[[forms.sell.routes]]
zip = ["169-170", "172 67"]
receiver = "solna"

[[forms.sell.routes]]
when = { urgent = true }
receiver = "duty"

[[forms.sell.routes]]
when = { urgent = false, rooms = 9 }
receiver = "large"

[receivers]
city = {}
villas = {}
solna = {}
duty = {}
large = {}
anna = { assigned_to_id = "HAN2", office_email = "anna@example.se" }
"""

UNKNOWN = Note(code="receiver_unknown", detail="the page asked for a receiver that the form does not have")


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Forms:
    path: Path = tmp_path_factory.mktemp("forms") / "forms.toml"
    path.write_text(FILE, encoding="utf-8")
    login = Login(
        name="default", username="u", password=Password(value="p"), base_url="https://vitec.example"
    )
    return read_forms(path, default_login=login, environ={})


def choose(
    forms: Forms,
    *,
    form: Form | None = None,
    wanted: str | None = None,
    zip_code: str | None = None,
    values: Mapping[str, str] | None = None,
) -> Choice:
    form = form or forms.forms["sell"]
    return choose_receiver(form, forms, wanted=wanted, zip_code=zip_code, values=values or {})


@pytest.mark.parametrize(
    ("zip_code", "values", "receiver", "reason"),
    [
        (None, {}, "city", "no route matched; the form's receiver is city"),
        ("nowhere", {}, "city", "no route matched; the form's receiver is city"),
        ("D-16955", {}, "city", "no route matched; the form's receiver is city"),
        ("169 55", {}, "solna", "route 2: the postcode is within 169-170"),
        (" SE-17267 ", {}, "solna", "route 2: the postcode is within 172 67"),
        ("17268", {}, "city", "no route matched; the form's receiver is city"),
        (
            "11822",
            {"propertyType": "villa"},
            "villas",
            "route 1: the postcode is within 111-118 and propertyType is villa",
        ),
        ("11822", {"propertyType": "radhus"}, "city", "no route matched; the form's receiver is city"),
        ("16955", {"urgent": "true"}, "solna", "route 2: the postcode is within 169-170"),
        (None, {"urgent": "true"}, "duty", "route 3: urgent is true"),
        (None, {"rooms": " 9 "}, "large", "route 4: urgent is false and rooms is 9"),
        (None, {"urgent": "false", "rooms": "9"}, "large", "route 4: urgent is false and rooms is 9"),
    ],
)
def test_the_first_route_that_matches_wins(
    forms: Forms, zip_code: str | None, values: dict[str, str], receiver: str, reason: str
) -> None:
    assert choose(forms, zip_code=zip_code, values=values) == Choice(receiver=receiver, reason=reason)
    assert tell_choice(reason, get_translations("sv").gettext) != reason


def test_a_receiver_that_the_page_asks_for_goes_before_the_routes(forms: Forms) -> None:
    assert choose(forms, wanted="anna", zip_code="16955") == Choice(
        receiver="anna", reason="the page asked for anna"
    )


AGENCIES = {
    "alfa": """
[forms.alfa]
customer_id = "M1"
assigned_to_id = "HAN1"
lead_source_id = "LKA1"
fallback_receiver = "partner"
""",
    "beta": """
[defaults]
customer_id = "M2"
assigned_to_id = "HAN2"
lead_source_id = "LKA2"
[forms.beta]
[receivers]
solna = { assigned_to_id = "HAN3", office_email = "solna@beta.example" }
partner = {}
own = { vitec = "beta" }
[vitec.beta]
username = "u"
password_env = "P"
""",
    "shared": """
[receivers]
anna = { assigned_to_id = "HAN4" }
moved = { customer_id = "M3" }
other_login = { vitec = "beta" }
""",
    "gamma": """
[forms.gamma]
customer_id = "M1"
assigned_to_id = "HAN5"
lead_source_id = "LKA5"
[receivers.bo]
""",
}


@pytest.fixture(scope="module")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> Forms:
    """A folder of several agencies' files, two of them one office's."""
    folder = tmp_path_factory.mktemp("agencies")
    for name, text in AGENCIES.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    login = Login(
        name="default", username="u", password=Password(value="p"), base_url="https://vitec.example"
    )
    return read_forms(folder, default_login=login, environ={"P": "p"})


@pytest.mark.parametrize(
    ("form", "open_to"),
    [
        ("alfa", {"partner", "anna", "bo"}),
        ("beta", {"solna", "partner", "own", "anna"}),
        ("gamma", {"anna", "bo"}),
    ],
)
def test_a_page_asks_for_a_receiver_of_its_own_agency_and_of_no_other(
    agencies: Forms, form: str, open_to: set[str]
) -> None:
    asked = {name: choose(agencies, form=agencies.forms[form], wanted=name) for name in agencies.receivers}
    assert {name for name, choice in asked.items() if choice.receiver == name} == open_to
    refused = [choice for name, choice in asked.items() if name not in open_to]
    assert {(choice.receiver, choice.note) for choice in refused} == {(None, UNKNOWN)}
    told = {one.key for one in list_errands(agencies) if one.form == form}
    # A receiver that a form names is looked up in Vitec as that form's.
    assert told == {f"forms.{form}", *(f"receivers.{name}" for name in open_to - {"partner"})} | (
        {"receivers.partner"} if form == "alfa" else set()
    )


def test_an_unknown_receiver_falls_back_and_is_noted_without_its_name(forms: Forms) -> None:
    by_route = choose(forms, wanted="070-123 45 67", zip_code="16955")
    assert (by_route.receiver, by_route.note) == ("solna", UNKNOWN)
    by_form = choose(forms, wanted="nobody")
    assert (by_form.receiver, by_form.note) == ("city", UNKNOWN)
    assert choose(forms, wanted="").note is None


def test_a_form_without_a_receiver_keeps_its_own_keys(forms: Forms) -> None:
    bare = replace(forms.forms["sell"], receiver=None)
    assert choose(forms, form=bare, wanted="nobody") == Choice(
        receiver=None, reason="no route matched; the form's own assigned_to_id", note=UNKNOWN
    )
    plain = replace(bare, routes=())
    assert choose(forms, form=plain).reason == "the form's own assigned_to_id"


def test_the_reason_never_tells_the_visitors_postcode(forms: Forms) -> None:
    assert "16955" not in choose(forms, zip_code="16955").reason.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1", (10000, 19999)),
        ("11", (11000, 11999)),
        ("111", (11100, 11199)),
        ("111-118", (11100, 11899)),
        ("111 - 118", (11100, 11899)),
        ("111–118", (11100, 11899)),
        ("169 55", (16955, 16955)),
        ("169 55-170 05", (16955, 17005)),
        ("111-1185", (11100, 11859)),
    ],
)
def test_a_range_is_named_by_its_first_digits(text: str, span: tuple[int, int]) -> None:
    assert parse_range(text) == span


PREFIXES = st.integers(1, 99999).map(str)
POSTCODES = st.integers(10000, 99999)
SPANS = st.tuples(POSTCODES, POSTCODES).map(lambda pair: (min(pair), max(pair)))


@given(low=PREFIXES, high=PREFIXES, postcode=POSTCODES)
def test_a_route_matches_exactly_the_postcodes_within_its_range(
    forms: Forms, low: str, high: str, postcode: int
) -> None:
    first, last = int(low.ljust(5, "0")), int(high.ljust(5, "9"))
    if first > last:
        with pytest.raises(ValueError, match="runs backwards"):
            parse_range(f"{low}-{high}")
        return
    route = Route(receiver="solna", zip=(parse_range(f"{low}-{high}"),))
    form = replace(forms.forms["sell"], routes=(route,), receiver=None)
    receiver = choose(forms, form=form, zip_code=str(postcode)).receiver
    assert (receiver == "solna") == (first <= postcode <= last)


@given(SPANS)
def test_a_range_reads_back_as_it_was_written(span: tuple[int, int]) -> None:
    assert parse_range(format_range(span)) == span


@given(span=SPANS, others=st.lists(SPANS, max_size=4), postcode=POSTCODES)
def test_ranges_are_sets_of_postcodes(
    span: tuple[int, int], others: list[tuple[int, int]], postcode: int
) -> None:
    def has(spans: list[tuple[int, int]]) -> bool:
        return any(low <= postcode <= high for low, high in spans)

    assert has(unite(others)) == has(others)
    assert has(subtract(span, others)) == (has([span]) and not has(others))
    assert has(intersect((span,), tuple(others))) == (has([span]) and has(others))
    assert all(low <= high for low, high in subtract(span, others))


def test_a_receiver_lays_its_keys_over_those_of_the_form(forms: Forms) -> None:
    form = forms.forms["sell"]
    anna = forms.destination(form, "anna")
    assert anna == replace(form.destination, assigned_to_id="HAN2", office_email="anna@example.se")
    assert forms.destination(form, None) == forms.destination(form, "nobody") == form.destination


@pytest.mark.parametrize("text", ["", "1234", "123456", "01234", "abc", "123 4 5"])
def test_what_is_no_postcode_is_none(text: str) -> None:
    assert parse_postcode(text) is None
