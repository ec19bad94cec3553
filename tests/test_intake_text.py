"""Text at the door: composed, visible, and without anybody's personnummer."""

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.intake.text import MASKED_IDENTITY_NUMBER, clean_line, clean_text, mask_identity_numbers

KIBIBYTES_64 = 65536


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Hej", "Hej"),
        ("  Hej \n\n", "Hej"),
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\x0bb\x0cc\x85d\u2028e\u2029f", "a\nb\nc\nd\ne\nf"),
        ("a\tb", "a\tb"),
        ("N\x00U\x01L\x7f\x9f", "NUL"),
        ("lone \ud800surrogate\udfff", "lone surrogate"),
        ("A\u030angstro\u0308m", "Ångström"),
        ("anna@exam\u200bple.se\ufeff", "anna@example.se"),
        ("\u202a+46 70 174 06 05\u202c", "+46 70 174 06 05"),
        ("be\u00adstad", "bestad"),
        ("\ufffe\uffff", ""),
        ("\u200b", ""),
        ("\u00a0\u2003", ""),
        ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
    ],
)
def test_text_is_cleaned(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


def test_a_line_has_no_line_ends_or_tabs() -> None:
    assert clean_line(" Anna\r\n\tSvensson\u2028af Ek ") == "Anna Svensson af Ek"


@given(st.text(st.characters(exclude_categories=())))
@example("\u0344\u0344")
@example("a" + "\u0301\u0323" * 100)
def test_clean_text_is_composed_utf_8_and_stays_as_it_is(raw: str) -> None:
    clean = clean_text(raw)

    clean.encode()
    assert clean == clean.strip()
    assert unicodedata.is_normalized("NFC", clean)
    assert not any(
        unicodedata.category(one) in {"Cc", "Cs"} for one in clean.replace("\n", "").replace("\t", "")
    )
    assert clean_text(clean) == clean
    assert len(clean_line(raw).splitlines()) <= 1


def test_of_thousands_of_marks_on_one_letter_thirty_stay() -> None:
    assert clean_text("a" + "\u0323\u0301" * 1000 + "b") == unicodedata.normalize(
        "NFC", "a" + "\u0323\u0301" * 15 + "b"
    )


@pytest.mark.parametrize(
    "number",
    [
        "121212-1212",
        "121212+1212",
        "1212121212",
        "19121212-1212",
        "19121212+1212",
        "191212121212",
        "121212 1212",
        "19121212 1212",
        "121212 - 1212",
        "121212–1212",
        "121212‑1212",
        "121212\u00a01212",
        "20121212-1212",
        "701063-2391",  # a samordningsnummer: Skatteverket's own example
        "19701063-2391",
        "197010632391",
        "000229-0005",
        "20070112-1238",
        "121212.1212",
        "121212/1212",
        "12-12-12-1212",
        "1912-12-12-1212",
        "1912-12-12+1212",
        "1912 12 12-1212",
        "19 121212-1212",
        "1912.12.12-1212",
        "12/12/12-1212",
        "18121212-1212",
        "１２１２１２-１２１２",
        "070112-1238",
    ],
)
@pytest.mark.parametrize(
    "sentence", ["{}", "Mitt personnummer är {}.", "pnr:{},", "({})", "nr-{}", "{}- ring mig", "a{}b"]
)
def test_a_personnummer_is_masked(number: str, sentence: str) -> None:
    assert mask_identity_numbers(sentence.format(number)) == sentence.format(MASKED_IDENTITY_NUMBER)


@pytest.mark.parametrize(
    "text",
    [
        "121212-1213",  # wrong check digit
        "121312-1214",  # no such month
        "121260-1214",  # no such day
        "191200-1214",
        "070-174 06 05",
        "0701740605",
        "0701121238",  # passes every check, and is a mobile number all the same
        "+46701740605",
        "+461212121212",
        "0046701740605",
        "08-465 004 00",
        "Order 1234567890",
        "Order 20261234567890",
        "2024-121212-1212",
        "121212-1212-99",
        "3121212-1212",
        "121212-12123",
        "4 500 000 kr",
        "556036-0793",  # a company's number: no such month
        "111 22 Stockholm",
        "2012-12-12 1212",  # a day and a time
        "12-12-12 kl 1212",
        "12-12.12-1212",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask_identity_numbers(text) == text


@pytest.mark.parametrize("text", ["1212121212", "a=1212121212&b=2", "x-7010632391"])
def test_ten_digits_that_no_person_typed_stay(text: str) -> None:
    assert mask_identity_numbers(text, bare=False) == text
    assert mask_identity_numbers(text) != text


@pytest.mark.parametrize("number", ["121212-1212", "191212121212", "19701063-2391"])
def test_what_can_be_nothing_else_is_masked_wherever_it_stands(number: str) -> None:
    assert mask_identity_numbers(f"pnr={number}", bare=False) == f"pnr={MASKED_IDENTITY_NUMBER}"


def test_several_are_masked_and_the_rest_stays() -> None:
    text = "Vi är 121212-1212 och 19121212-1212, telefon 070-174 06 05"

    assert mask_identity_numbers(text) == "Vi är ******-**** och ******-****, telefon 070-174 06 05"


@pytest.mark.parametrize(
    "unit",
    [
        "1", "12", "121212-", "121212-1212 ", "19", "-", "+", " ", "\n", "\r\n", "\x00", "\ud800", "a", "å",
        "\u0301", "\u0301\u0323", "a\u030a", "\u1100\u1161", "\u2028", "👩\u200d",
    ],
)  # fmt: skip
def test_the_worst_of_64_kib_takes_no_time(unit: str) -> None:
    text = unit * (KIBIBYTES_64 // len(unit))
    started = time.perf_counter()

    mask_identity_numbers(clean_text(text))
    clean_line(text)

    assert time.perf_counter() - started < 1
