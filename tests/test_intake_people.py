"""How people write their addresses, numbers, postcodes and names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake.people import parse_email, parse_postcode, split_name, suggest_email
from app.intake.text import clean_line
from app.phones import parse_phone


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("anna@example.se", "anna@example.se"),
        ("Anna.Svensson@Example.SE", "Anna.Svensson@example.se"),
        ("anna+hus@example.com", "anna+hus@example.com"),
        ("åsa@exempel.se", "åsa@exempel.se"),
        ("a@räksmörgås.se", "a@räksmörgås.se"),
        ("a@xn--rksmrgs-5wao1o.se", "a@räksmörgås.se"),
        ("dev@example.test", "dev@example.test"),
    ],
)
def test_an_address_is_normalised(typed: str, address: str) -> None:
    assert parse_email(typed) == address


@pytest.mark.parametrize(
    "typed",
    ["", "anna", "anna@", "@example.se", "anna@localhost", "anna@example", "a..b@example.se", "a@[127.0.0.1]",
     "Anna <anna@example.se>", "anna@example.se bo@example.se", "a@-x.se", "a@x.invalid"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(typed: str) -> None:
    with pytest.raises(ValueError, match=r"^$") as refusal:
        parse_email(typed)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("anna@gmial.com", "anna@gmail.com"),
        ("anna@gmail.con", "anna@gmail.com"),
        ("anna@gmail.co", "anna@gmail.com"),
        ("anna@hotmal.se", "anna@hotmail.se"),
        ("anna@OUTLOK.com", "anna@outlook.com"),
        ("anna@icoud.com", "anna@icloud.com"),
        ("anna@gmail.com", None),
        ("anna@hotmail.se", None),
        ("anna@mail.com", None),
        ("anna@gmx.com", None),
        ("anna@example.se", None),
        ("anna@gmail", None),
        ("@gmial.com", None),
        ("gmial.com", None),
        ("", None),
    ],
)
def test_a_likely_slip_is_hinted_at(typed: str, meant: str | None) -> None:
    assert suggest_email(typed) == meant


@pytest.mark.parametrize(
    "typed",
    ["0701740605", "070-174 06 05", "070 174 06 05", "070/174 06 05", "070.174.06.05", "(070) 174 06 05",
     "070–174 06 05", "+46701740605", "+46 70 174 06 05", "+46 (0)70-174 06 05", "0046 70 174 06 05",
     "46701740605", "tel: 070-174 06 05", "070\u00a0174\u00a006\u00a005"],
)  # fmt: skip
def test_a_swedish_mobile_number_is_read_however_it_is_written(typed: str) -> None:
    assert parse_phone(typed, region="SE") == "+46701740605"


@pytest.mark.parametrize(
    ("typed", "region", "number"),
    [
        ("08-465 004 00", "SE", "+46846500400"),
        ("031-123 45 67", "SE", "+46311234567"),
        ("0771-123456", "SE", "+46771123456"),
        ("+47 22 12 34 56", "SE", "+4722123456"),
        ("22 12 34 56", "NO", "+4722123456"),
        ("09 4245 1234", "FI", "+358942451234"),
        ("+1 650 253 0000", "SE", "+16502530000"),
        ("00 44 20 7031 3000", "SE", "+442070313000"),
    ],
)
def test_other_numbers_are_read_by_their_region(typed: str, region: str, number: str) -> None:
    assert parse_phone(typed, region=region) == number


@pytest.mark.parametrize(
    "typed",
    ["", "hej", "112", "+", "+99", "1" * 40, "070-174 06 05 ankn 12", "0701740605, 0701740606",
     "070-174 06 05 efter kl 17", "121212-1212", "Se min e-post"],
)  # fmt: skip
def test_what_is_no_number_is_none(typed: str) -> None:
    assert parse_phone(typed, region="SE") is None


@given(st.text(max_size=60))
def test_any_text_is_a_number_or_none(text: str) -> None:
    number = parse_phone(clean_line(text), region="SE")

    assert number is None or number.startswith("+")


@pytest.mark.parametrize(
    ("typed", "postcode"),
    [
        ("111 22", "111 22"),
        ("11122", "111 22"),
        ("SE-111 22", "111 22"),
        ("se 11122", "111 22"),
        ("S-111 22", "111 22"),
        ("111\u00a022", "111 22"),
        ("111  22", "111 22"),
        ("111-22", "111 22"),
        ("0150", "0150"),
        ("DK-2100", "DK-2100"),
        ("sw1a 1aa", "SW1A 1AA"),
        ("90210-1234", "90210-1234"),
    ],
)
def test_a_postcode_is_read(typed: str, postcode: str) -> None:
    assert parse_postcode(typed) == postcode


@pytest.mark.parametrize(
    "typed", ["", "1", "12", "abc", "111 22 Stockholm", "١١١٢٢", "111.22", "-111", "\u212a12345"]
)
def test_what_is_no_postcode_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        parse_postcode(typed)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Anna Svensson", ("Anna", "Svensson")),
        ("Anna", ("Anna", None)),
        ("Anna Maria Svensson", ("Anna Maria", "Svensson")),
        ("Svensson, Anna", ("Anna", "Svensson")),
        ("Carl von Linné", ("Carl", "von Linné")),
        ("Ludwig van den Berg", ("Ludwig", "van den Berg")),
        ("Carl Gustaf af Ugglas", ("Carl Gustaf", "af Ugglas")),
        ("de Geer", ("de", "Geer")),
        ("Anna  \u00a0 Svensson", ("Anna", "Svensson")),
        ("Svensson,", ("Svensson", None)),
        (", Anna", ("Anna", None)),
        (",", (",", None)),
    ],
)
def test_a_name_is_split(name: str, parts: tuple[str, str | None]) -> None:
    assert split_name(name) == parts
