"""Whatever is sent, by the API's own document or against it: an answer it says it gives, and nothing poisonous kept."""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes
from xml.etree import ElementTree as ET

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks
from sqlalchemy import Connection, select

from app.forms.model import Forms
from app.forms.reader import read_forms
from app.lead import Lead
from app.store.leads import load_lead
from app.store.reading import read_beside
from app.store.schema import leads
from app.vitec import xml
from app.vitec.contact import map_contact
from app.vitec.payload import encode, map_lead
from app.web.bodies import MAX_BODY
from tests.gateways import FORMS, LOGIN, serve_gateway
from tests.submissions import ANNA, FILE
from tests.test_intake_properties import NAMES, find_texts, values

# Thousands of examples of what other tests cover, each traced, would take twice as long.
pytestmark = pytest.mark.no_cover

pytest_plugins = ["tests.store_fixtures"]

EXAMPLES = int(os.environ.get("LEADGATE_TEST_EXAMPLES", "5"))
"""Of each operation; a long night may be given thousands."""

quietly = partial(
    settings,
    deadline=None,
    database=None,
    derandomize=EXAMPLES < 100,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

EVERY_KIND = "[forms.all]\n" + FILE.partition("[forms.all]")[2].partition("[forms.strict]")[0]
"""A form with a field of each type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    url: str
    client: httpx.Client
    place: Path | str
    forms: Forms

    def load_all(self) -> list[Lead]:
        def load(connection: Connection) -> list[Lead]:
            ids = connection.execute(select(leads.c.id)).scalars().all()
            return [load_lead(connection, lead_id) for lead_id in ids]

        return read_beside(self.place, load)


@pytest.fixture
def target(place: Path | str, tmp_path: Path) -> Iterator[Target]:
    """A served gateway; every lead that it kept can be read, and told to Vitec in both its languages."""
    with serve_gateway(tmp_path, FORMS + EVERY_KIND, place=place) as (host, port):
        url = f"http://{host}:{port}"
        with httpx.Client(base_url=url, timeout=30) as client:
            forms = read_forms(tmp_path / "forms.toml", default_login=LOGIN, environ={})
            target = Target(url=url, client=client, place=place, forms=forms)
            yield target
            assert client.get("/readyz").status_code == 200
        kept = target.load_all()
    for lead in kept:
        assert_wholesome(lead, target.forms)


def assert_wholesome(lead: Lead, forms: Forms) -> None:
    form = forms.forms[lead.form]
    destination = forms.destination(form, lead.receiver)
    contact = map_contact(lead, form, destination).body
    body = map_lead(lead, form, destination, contact_id="ADR1")
    assert json.loads(encode(contact)) == contact
    assert json.loads(encode(body)) == body
    ET.fromstring(xml.encode_lead(body))
    for text in find_texts([contact, body]):
        text.encode()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), ascii(text)


BY_DOCUMENT = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_it_keeps_to_its_own_document(target: Target, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{target.url}/openapi.json")
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if isinstance(target.place, str) and operation.method != "post" and "lead" not in operation.path:
            continue  # asks the store nothing

        @quietly(max_examples=EXAMPLES)
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case[Any]) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(checks=BY_DOCUMENT, timeout=30)

        # Of a path that may be any text, and of no parameter at all, there is nothing to get wrong.
        with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
            ask()
    assert asked > EXAMPLES


def write_json(body: Any) -> bytes:
    """With NaN, lone surrogates and numbers of any length, as no honest library writes it."""
    return json.dumps(body).encode()


def write_form(body: Any) -> bytes:
    return b"&".join(
        b"%s=%s" % (escape(name), escape(value if isinstance(value, str) else json.dumps(value)))
        for name, value in body.items()
    )


def escape(text: str) -> bytes:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="").encode()


BOUNDARY = "x7b1c"


def write_multipart(body: Any) -> bytes:
    parts = [
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (
            BOUNDARY.encode(),
            name.encode("utf-8", "surrogatepass").translate(None, b'"\r\n\\'),
            (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass"),
        )
        for name, value in body.items()
    ]
    return b"".join(parts) + b"--%s--\r\n" % BOUNDARY.encode()


API = "/api/v1/forms/all/leads"
PAGE = "/f/all"
Writer = Callable[[Any], bytes]
WAYS: list[tuple[str, str, Writer, set[int]]] = [
    (API, "application/json", write_json, {202, 400, 422}),
    (PAGE, "application/x-www-form-urlencoded", write_form, {303, 422}),
    (PAGE, f"multipart/form-data; boundary={BOUNDARY}", write_multipart, {303, 400, 422}),
]

in_every_way = pytest.mark.parametrize(
    ("place", "way"),
    [
        pytest.param("sqlite", WAYS[0], id="sqlite-json"),
        pytest.param("postgresql", WAYS[0], id="postgresql-json"),
        pytest.param("sqlite", WAYS[1], id="sqlite-urlencoded"),
        pytest.param("postgresql", WAYS[2], id="postgresql-multipart"),
    ],
    indirect=["place"],
)

SCRIPT = "</textarea><script>alert(1)</script>{{7*7}}{% include 'x' %}${7*7}\r\nSet-Cookie: a=b\r\n\r\n<svg onload=x>"
NASTY = [
    *(
        "\x00",
        "\ud800",
        "\udfff\ud800",
        "\u202e\u2066evil",
        "\ufeff\ufffe\uffff",
        "\u2028\u2029",
        "\x1b[2J\x07",
    ),
    *("a\u0300" * 900, "\U0001f3e0\u200d" * 300, "\u0600" * 200, "I\u0307\u0131\u017f\ufb03"),
    *(
        SCRIPT,
        "=cmd|' /C calc'!A0",
        "'; DROP TABLE leads;--",
        "\\'\\\"\\",
        "%00%0d%0a",
        "..%2f..%2f",
        "$ne",
        "{}",
    ),
    *("1e309", "-0", "NaN", "Infinity", "0x1f", "1" * 4000, "9" * 400 + "." + "9" * 400, "१२३٤٥٦"),
    *("2026-02-30T25:61:61Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    *(
        "a@b",
        "a@" + "b." * 120 + "se",
        '"\x00"@x.se',
        "a@[127.0.0.1]",
        "å@ö.se",
        "a@xn--.se",
        "\n".join(["a@b.se"] * 9),
    ),
    *(
        "+46" * 90,
        "tel:070",
        "+46 70 174 06 05;ext=1",
        "http://[::1",
        "https://a@b:99999/",
        "javascript:alert(1)",
    ),
]
ODD: list[Any] = [
    *(
        float("nan"),
        float("inf"),
        -float("inf"),
        1e308,
        5e-324,
        10**4000,
        -(10**400),
        True,
        None,
        [],
        {},
        [[]],
    ),
    [{"name": "utm_source", "value": "x"}] * 500,
    {
        "referrer": "\x00",
        "utmTags": [{"name": "\ud800", "value": SCRIPT}, {"name": "leadgate", "value": "x"}],
    },
    {"newsletter": True, "\ud800": False, "": True},
    {"version": SCRIPT, "shownAt": "2026-02-30T25:61:61Z"},
]


def send(target: Target, way: tuple[str, str, Writer, set[int]], body: Any) -> None:
    path, kind, write, good = way
    content = write(body)
    answer = target.client.post(path, content=content, headers={"Content-Type": kind})
    assert answer.status_code in (good if len(content) <= MAX_BODY else {413}), (
        answer.status_code,
        ascii(body)[:2000],
    )
    assert "set-cookie" not in answer.headers
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert_harmless(answer.text)
    if answer.status_code == 303:
        thanks = target.client.get(answer.headers["location"])
        assert thanks.status_code == 200
        assert_harmless(thanks.text)
    elif answer.status_code == 202:
        assert target.client.get(answer.headers["location"]).status_code == 200


def assert_harmless(page: str) -> None:
    assert "<script>alert" not in page
    assert "<svg onload" not in page
    assert "/script&gt;49" not in page  # nobody worked {{7*7}} out


FREE: tuple[str, ...] = (
    "message",
    "wishes",
    "city",
    "companyName",
    "streetAddress",
    "nickname",
    "object",
    "receiver",
    "pageUrl",
)
FREE += ("marketing", "language", "utm_source", "landing_referrer", "hsa_cam", "corporateNumber")
"""Whose texts are mostly taken, cut or dropped; the others are mostly refused."""


@in_every_way
def test_every_field_takes_every_text_or_says_why_not(
    target: Target, way: tuple[str, str, Writer, set[int]]
) -> None:
    strict = [name for name in NAMES if name not in FREE]
    for number, nasty in enumerate([*NASTY, *ODD]):
        send(target, way, {**ANNA, FREE[number % len(FREE)]: nasty})
        send(target, way, {**ANNA, **dict.fromkeys(FREE, nasty)})
        send(
            target,
            way,
            {**ANNA, strict[number % len(strict)]: nasty, strict[-1 - number % len(strict)]: nasty},
        )
    for nasty in NASTY:  # as the name of a field that nobody knows
        send(target, way, {**ANNA, nasty: "x", f"consents.{nasty}": "on"})


@in_every_way
def test_any_value_in_any_field_is_a_lead_or_a_refusal_on_either_database(
    target: Target, way: tuple[str, str, Writer, set[int]]
) -> None:
    @quietly(max_examples=EXAMPLES * 4)
    @given(st.dictionaries(st.sampled_from(NAMES), values, max_size=8))
    def post(body: dict[str, Any]) -> None:
        send(target, way, {**ANNA, **body})

    post()


NOT_JSON = [
    *(
        b"",
        b"\x00",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"1",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\x00}\x00",
        b"{}{}",
        b"{'a':1}",
    ),
    *(
        b"[" * 30_000,
        b'{"a":' * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"message":' + b"[" * 20_000,
    ),
    *(
        b'{"email":"' + b"\\" * 20_001,
        b'{"a":NaN}',
        b'{"a":' + b"9" * 60_000 + b"}",
        b'{"a":1e' + b"9" * 60_000 + b"}",
    ),
    *(b'{"\\ud800":"\\udfff"}', b'{"email":"a@b.se","email":"x"}', b'{"__proto__":{"x":1},"constructor":1}'),
    b"{" + b",".join(b'"k%d":1' % number for number in range(7000)) + b"}",
]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_body_that_is_no_lead_is_refused_in_words(target: Target) -> None:
    for body in NOT_JSON:
        answer = target.client.post(API, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 413, 422}, body[:40]
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 64 * 1024
    assert target.load_all() == []


def write_part(name: bytes, value: bytes = b"x", *lines: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="' + name + b'"'
    return b"\r\n".join([head, *lines, b"", value, b""])


END = b"--b--\r\n"
BOMBS = [
    pytest.param(b"b", write_part(b"a") * 900 + END, {413}, id="900 fields"),
    pytest.param(b"b", b"".join(write_part(b"a%d" % n) for n in range(800)) + END, {413}, id="800 different fields"),
    pytest.param(b"b", b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nx\r\n' * 700 + END,
                 {422}, id="700 files"),
    pytest.param(b"b", write_part(b"a", b"x", *(b"X-%d: y" % n for n in range(3000))) + END, {400, 422},
                 id="3,000 headers of a part"),
    pytest.param(b"b", write_part(b"a", b"x", b"X: " + b"y" * 60_000) + END, {400, 422}, id="a long header of a part"),
    pytest.param(b"b", b"--b\r\n" * 12_000, {400, 422}, id="boundaries alone"),
    pytest.param(b"b", b"\r\n" * 30_000 + write_part(b"a") + END, {303, 400, 422}, id="a long preamble"),
    pytest.param(b"b" * 60_000, write_part(b"a") + END, {400, 431}, id="a long boundary"),
    pytest.param(b"", write_part(b"a") + END, {400, 422}, id="no boundary"),
    pytest.param(b"b", b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\nContent-Disposition: form-data; name=a"
                 b"\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n" + END, {422}, id="a multipart within"),
    pytest.param(b"b", write_part(b"a" * 60_000) + END, {400, 422}, id="a long name"),
    pytest.param(b"b", write_part(b"message", b"x" * 65_000) + END, {413, 422}, id="a long value"),
    pytest.param(b"b", write_part(b"a") + b"--b--\r\nmore" * 5000, {400, 413, 422}, id="a long epilogue"),
]  # fmt: skip


@pytest.mark.parametrize(("boundary", "body", "good"), BOMBS)
@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_multipart_bomb_does_not_go_off(
    target: Target, boundary: bytes, body: bytes, good: set[int]
) -> None:
    files = count_files()
    kind = b"multipart/form-data; boundary=" + boundary
    answer = target.client.post("/f/kontakt", content=body, headers={b"content-type": kind})
    assert answer.status_code in good
    assert count_files() <= files + 2  # nothing was spooled to a file and left open


def count_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_ten_thousand_fields_are_too_many(target: Target) -> None:
    body = b"&".join(b"a%d=" % number for number in range(8000))
    for content in (b"a=&" * 10_000, body, b"&" * 60_000 + b"a=" * 2, b"=&" * 15_000):
        answer = target.client.post(
            "/f/kontakt", content=content, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code in {413, 422}
    assert target.load_all() == []


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_nobody_sets_what_is_not_hers_to_set(target: Target) -> None:
    """Mass assignment: what a lead is made of beside its fields."""
    inner: tuple[str, ...] = (
        "id",
        "reference",
        "state",
        "status",
        "form",
        "received_at",
        "receivedAt",
        "customer_id",
        "customerId",
    )
    inner += (
        "assignedToId",
        "leadSourceId",
        "officeId",
        "contactId",
        "vitec",
        "score",
        "reasons",
        "email_key",
    )
    for name in inner:
        answer = target.client.post(API, json={**ANNA, name: "x"})
        assert answer.status_code == 422, name
        assert answer.json()["errors"][0]["code"] == "unknown_field"
    answer = target.client.post(PAGE, data={**ANNA, **dict.fromkeys(inner, "stulen")})
    assert answer.status_code == 303
    [lead] = target.load_all()
    assert "stulen" not in str(lead)
