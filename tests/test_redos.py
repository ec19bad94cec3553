"""No text takes long to read: every pattern and every reader against the worst that a body has room for.

In seconds of this thread's own work, so that a busy machine changes nothing; a reader that is quadratic in its
text would take a minute where these take hundredths of a second.
"""

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import app
from app.identity import read_reference
from app.intake.addresses import clean_address
from app.intake.html_form import parse_urlencoded
from app.intake.people import parse_email, suggest_email
from app.intake.text import clean_line, clean_text, mask_identity_numbers
from app.phones import parse_phone
from app.vitec.bodies import read_refusal, scrub
from app.web.bodies import MAX_BODY
from app.web.origins import read_origin
from app.web.preferences import prefers_html, read_wait
from tests.submissions import ANNA, form, send

# Thousands of examples of what other tests cover, each traced, would take twice as long.
pytestmark = pytest.mark.no_cover

MOST = 1.0

UNITS = (
    *(
        "a",
        "A",
        "0",
        "1 ",
        " ",
        "\t",
        '"',
        '\\"',
        "\\",
        "q=0",
        ";",
        "; ",
        ";q=0;",
        "=",
        "a=",
        "<",
        "<a",
        ">",
        "&amp",
    ),
    *(
        "a@",
        "@",
        "%40",
        "%",
        "-",
        "--",
        "19121212",
        "0 0",
        "1-",
        ":",
        "a:",
        ".",
        "a.",
        "[",
        "[:",
        "/",
        "a/b;",
        "*",
    ),
    *(
        "\u0301",
        "a\u0301",
        "\u00ad",
        "\r",
        "\n",
        "\x0b",
        "(",
        ") ",
        "+",
        "+46 ",
        "_",
        "a-",
        "en,",
        "a,",
        "Ref: ",
    ),
    *(
        "0000-",
        "kontakt",
        "user ",
        "SE",
        "x\u2028",
        "\ud800",
        "\U0001f3e0",
        "xn--",
        "www.",
        "utm_source=",
        "ß",
        "İ",
    ),
)

CAPPED = {
    "app.intake.addresses._HOST": 253,
    "app.intake.addresses._EMAIL_LIKE": 4096,
    "app.intake.people._PLAIN_EMAIL": 254,
    "app.web.preferences._ELEMENTS": 1000,
    "app.web.preferences._PREFERENCE": 1000,
    "app.web.preferences._RANGE": 1000,
    "app.web.protocol._HOST": 16 * 1024,
}
"""Characters that these are ever shown, where that is less than a body; tests of their readers hold it."""

READERS_OF_TEXT = ("app.intake", "app.web", "app.vitec", "app.i18n", "app.identity", "app.lead")


def list_patterns() -> Iterator[tuple[str, "re.Pattern[Any]"]]:
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name.startswith(READERS_OF_TEXT):
            for name, value in vars(importlib.import_module(module.name)).items():
                rows = value if isinstance(value, tuple) else (value,)
                cells = [cell for row in rows for cell in (row if isinstance(row, tuple) else (row,))]
                yield from ((f"{module.name}.{name}", cell) for cell in cells if isinstance(cell, re.Pattern))


PATTERNS = sorted(dict(list_patterns()).items(), key=lambda pair: pair[0])


def measure(read: Callable[[], object]) -> float:
    started = time.thread_time()
    read()
    return time.thread_time() - started


@pytest.mark.parametrize(("name", "pattern"), PATTERNS, ids=[name for name, _ in PATTERNS])
def test_no_pattern_goes_back_and_forth(name: str, pattern: "re.Pattern[Any]") -> None:
    size = min(CAPPED.get(name, MAX_BODY // 2), MAX_BODY // 2)
    for unit in UNITS:
        for start in ("", "a/b;", '"'):
            text = start + unit * (size // len(unit)) + "\x00"
            given: Any = text.encode(errors="replace") if isinstance(pattern.pattern, bytes) else text
            for find in (pattern.fullmatch, pattern.findall):
                taken = measure(lambda find=find, given=given: find(given))  # type: ignore[misc]
                assert taken < MOST, (find.__name__, start, unit)


def test_patterns_were_found() -> None:
    assert len(PATTERNS) > 20
    assert set(CAPPED) <= {name for name, _ in PATTERNS}


def quietly(read: Callable[[str], object]) -> Callable[[str], object]:
    def attempt(text: str) -> None:
        try:
            read(text)
        except ValueError:
            return

    return attempt


READERS: list[Callable[[str], object]] = [
    clean_text,
    clean_line,
    mask_identity_numbers,
    parse_email,
    lambda text: parse_phone(text, region="SE"),
    suggest_email,
    lambda text: clean_address(f"https://{text}", keep={"utm_source"}),
    lambda text: clean_address(f"https://a.se/{text}?{text}", keep={"utm_source"}),
    lambda text: parse_urlencoded(text.encode(errors="replace")),
    read_origin,
    read_wait,
    prefers_html,
    read_reference,
    lambda text: scrub(text, [text[:200], "Anna"]),
    lambda text: read_refusal(text.encode(errors="replace")),
]


@pytest.mark.parametrize("read", READERS, ids=[str(number) for number in range(len(READERS))])
def test_no_reader_takes_long(read: Callable[[str], object]) -> None:
    for unit in UNITS:
        text = unit * (MAX_BODY // len(unit))
        assert measure(lambda text=text: quietly(read)(text)) < MOST, unit  # type: ignore[misc]


OTHERS = ("zipCode", "corporateNumber", "pageUrl", "receiver", "language", "utm_source", "landing_referrer")
FIELDS = [*(field.name for field in form().fields), *OTHERS]


@pytest.mark.parametrize("name", FIELDS)
def test_no_field_takes_long(name: str) -> None:
    for unit in UNITS:
        body = {**ANNA, name: unit * (MAX_BODY // len(unit))}
        assert measure(lambda body=body: send(body)) < MOST, unit  # type: ignore[misc]


def test_no_name_of_a_field_and_no_marketing_takes_long() -> None:
    for unit in UNITS:
        long = unit * (MAX_BODY // len(unit))
        tags = [{"name": "utm_source", "value": unit}] * 2000
        for body in (
            {long: "x"},
            {"consents": {long: True}},
            {"marketing": {"referrer": long, "utmTags": tags}},
        ):
            assert measure(lambda body=body: send({**ANNA, **body})) < MOST, unit  # type: ignore[misc]
