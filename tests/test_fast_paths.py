"""Every short cut on the way of a lead says what the long way says."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from cryptography.fernet import Fernet
from email_validator import EmailNotValidError, validate_email
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, Table, insert, text

from app.intake import callers
from app.intake import text as text_module
from app.intake.addresses import clean_address, query_of, split_address
from app.intake.people import parse_email
from app.intake.text import clean_line, clean_text, mask_identity_numbers
from app.lead import LeadState
from app.phones import parse_phone
from app.store import bulk
from app.store.migrate import upgrade
from app.store.schema import events, idempotency_keys, leads, outbox
from app.store.sqlite import open_writer
from app.store.vault import Vault
from tests.stores import NOW

# Thousands of examples of what other tests cover, each traced, would take twice as long.
pytestmark = pytest.mark.no_cover

labels = st.from_regex(r"\A[a-z0-9_+-]{1,12}\Z")
domains = st.lists(st.from_regex(r"\A[a-z0-9-]{1,12}\Z"), min_size=1, max_size=4).map(".".join)
plain = st.builds("{}@{}".format, st.lists(labels, min_size=1, max_size=3).map(".".join), domains)
near = st.text(alphabet="abzAZ09._+-@!#'\"åäöß \t\n\u0130\u2028", max_size=40)
long = st.builds(
    lambda local, label, times: f"{'a' * local}@{'.'.join([label * 6] * times)}.se",
    st.integers(60, 68),
    labels.filter(str.isalnum),
    st.integers(1, 45),
)


def ask_library_for_email(value: str) -> str | None:
    try:
        return validate_email(value, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None


def ask_for_email(value: str) -> str | None:
    try:
        return parse_email(value)
    except ValueError:
        return None


@given(plain | near | long)
@example("anna@example.com")
@example("anna@example.com\n")
@example("a@b")
@example("a@xn--.se")
@example("anna@xn--bcher-kva.example")
@example("anna@localhost")
@example("anna@test")
@example("anna@127.0.0.1")
@example("anna@-a.se")
@example("anna@a..se")
@example("a" * 64 + "@example.com")
@example("a" * 65 + "@example.com")
@example("-anna-@example.com")
@example("anna@" + ".".join(["a" * 63] * 4))
@example("anna@" + ".".join(["a" * 60] * 4) + ".se")
@example("a" * 64 + "@" + ".".join(["a" * 60] * 3) + ".se")
def test_an_address_is_read_as_the_library_reads_it(value: str) -> None:
    assert ask_for_email(value) == ask_library_for_email(value)
    assert ask_for_email(value) == ask_library_for_email(value)  # and from the cache


def ask_library_for_phone(value: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


separators = st.sampled_from(["", "", " ", "-", "  ", "/", "\u00a0"])


@st.composite
def mobiles(draw: st.DrawFn) -> str:
    digits = "7" + draw(st.from_regex(r"\A[0-9]{8}\Z"))
    start = draw(st.sampled_from(["0", "+46", "0046", "+46 ", "+46-", "+460", "46", "+47", ""]))
    return start + "".join(digit + draw(separators) for digit in digits[:-1]) + digits[-1]


@given(mobiles() | st.from_regex(r"\A(?:0|(?:\+|00)46[ -]?)7[ -]?[02369](?:[ -]?[0-9]){7}\Z"))
@example("070-174 06 05")
@example("0701740605")
@example("+46701740605")
@example("0046 70 174 06 05")
@example("070-174 06 05\n")
@example("0701740605 ")
@example("070174060")
@example("07017406055")
@example("0711740605")
@example("\u0660701740605")
def test_a_number_is_read_as_the_library_reads_it(value: str) -> None:
    for region in ("SE", "NO"):
        assert parse_phone(value, region=region) == ask_library_for_phone(value, region)
        assert parse_phone(value, region=region) == ask_library_for_phone(value, region)


@given(st.integers(0, 99_999_999))
def test_every_mobile_of_the_plan_is_one(number: int) -> None:
    value = f"07{number:08}"
    assert parse_phone(value, region="SE") == ask_library_for_phone(value, "SE")


def test_what_is_remembered_of_one_region_is_not_told_of_another() -> None:
    assert parse_phone("22 22 55 55", region="NO") == "+4722225555"
    assert parse_phone("22 22 55 55", region="SE") == "+4622225555"


addresses = st.one_of(
    st.text(max_size=60),
    st.builds(
        "{}://{}/{}?{}".format,
        st.sampled_from(["http", "https", "HTTPS", "ftp"]),
        st.sampled_from(["a.se", "[::1]", "å.se", "a.se:8000", "a.se:x", "login@a.se"]),
        st.text(max_size=20),
        st.text(alphabet="utm_sorce=&%4012-", max_size=40),
    ),
)


@given(addresses, st.sampled_from([frozenset[str](), frozenset({"utm_source"})]))
def test_an_address_is_cleaned_alike_the_second_time(address: str, keep: frozenset[str]) -> None:
    first = (clean_address(address, keep=keep), split_address(address), list(query_of(address)))
    again = (clean_address(address, keep=keep), split_address(address), list(query_of(address)))
    assert again == first


def clean_slowly(value: str) -> str:
    return text_module._compose(
        text_module._INVISIBLE.sub("", text_module._LINE_ENDS.sub("\n", value))
    ).strip()


every_plain = "".join(map(chr, (*range(0x250), *range(0x2000, 0x2070), 0x20AC, 0x0301, 0xFEFF, 0xD800)))


@given(st.text(st.sampled_from(every_plain), max_size=40) | st.text(max_size=40))
@example("Vi vill sälja vår lägenhet – “till våren”…")
def test_a_text_is_cleaned_as_if_every_sign_were_looked_at(value: str) -> None:
    assert clean_text(value) == clean_slowly(value)
    assert clean_line(value) == re.sub(r"[\t\n]+", " ", clean_slowly(value))


@pytest.mark.parametrize("sign", every_plain, ids=lambda sign: f"{ord(sign):04x}")
def test_no_sign_slips_by_uncleaned(sign: str) -> None:
    for value in (sign, f"a{sign}b", f" {sign}e\u0301 "):
        assert clean_text(value) == clean_slowly(value)


@given(st.text(alphabet="0123456789-+ ./\u00a0a\u0661", max_size=24))
@example("811228-9874")
@example("81 12 28-9874")
@example("19811228 9874")
def test_no_personnummer_is_passed_over(value: str) -> None:
    masked = text_module._IDENTITY_NUMBER.sub(
        lambda match: text_module._mask(match, *match.groups(), bare=True), value
    )
    masked = text_module._SPACED_NUMBER.sub(
        lambda match: text_module._mask(match, match[1], match[3], match[4], match[5], bare=True), masked
    )
    assert mask_identity_numbers(value) == masked


hosts = st.ip_addresses().map(str) | st.text(alphabet="0123456789.:abcf%", max_size=20) | st.text(max_size=9)


@given(st.none() | hosts)
@example("127.0.0.1")
@example("010.0.0.1")
@example("::ffff:10.0.0.1")
@example("fe80::1%eth0")
@example("testclient")
def test_an_address_is_counted_as_the_library_reads_it(host: str | None) -> None:
    address = callers._read_address(host)
    assert callers._find_bucket(host) == callers._name_bucket(address, host)


@pytest.fixture(params=[(), (Fernet.generate_key().decode(),)], ids=["plain", "encrypted"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    made = open_writer(tmp_path / "leads.db", Vault(request.param))
    with made.connect() as connection:
        upgrade(connection)
    yield made
    made.dispose()


printable = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def lead_row(body: str, phone: str | None, shift: int) -> dict[str, Any]:
    return {
        "id": "01890000-0000-7000-8000-000000000000",
        "reference": "K7Q29XMF3H",
        "form": "kontakt",
        "received_at": NOW + timedelta(microseconds=shift),
        "body": body,
        "fingerprint": "f" * 32,
        "email_key": None,
        "phone_key": phone,
        "follows": None,
    }


def place_row(reason: str | None, phone: str | None, shift: int) -> dict[str, Any]:
    return {
        "lead_id": "01890000-0000-7000-8000-000000000000",
        "form": "kontakt",
        "state": LeadState.QUARANTINED if reason else LeadState.PENDING,
        "state_at": NOW,
        "reason": reason,
        "customer_id": "0012",
        "login": "1e5",
        "email_key": None,
        "phone_key": phone,
        "next_attempt_at": NOW + timedelta(microseconds=shift),
    }


def event_row(remark: str, score: float) -> dict[str, Any]:
    return {
        "lead_id": "01890000-0000-7000-8000-000000000000",
        "at": NOW,
        "kind": "suspected",
        "detail": {"score": score, "reasons": [remark]},
    }


def key_row(key: str) -> dict[str, Any]:
    return {"form": "kontakt", "key": key, "fingerprint": "f", "lead_id": "0"}


@pytest.mark.parametrize("number", [1, 2, 63, 64, 65, 131])
def test_rows_of_any_number_are_all_written(engine: Engine, number: int) -> None:
    rows = [key_row(f"k{place}") for place in range(number)]
    with engine.connect() as connection:
        bulk.insert_rows(connection, idempotency_keys, rows)
        kept = connection.execute(idempotency_keys.select()).mappings().all()
        connection.rollback()
    assert sorted(kept, key=lambda row: int(row["key"][1:])) == rows


def write(connection: Connection, rows: Sequence[tuple[Table, dict[str, Any]]], *, in_bulk: bool) -> Any:
    """What the tables hold afterwards, types of storage included, and what is read back of it. Undone again."""
    with connection.begin_nested() as undone:
        for table, row in rows:
            if in_bulk:
                bulk.insert_rows(connection, table, [row])
            else:
                connection.execute(insert(table).values(row))
        found = [connection.execute(table.select()).mappings().all() for table, _ in rows]
        columns = [
            (table.name, column.name) for table, _ in rows for column in table.c if column.name != "id"
        ]
        stored = [
            (table, name, *connection.execute(text(f'SELECT typeof("{name}") FROM "{table}"')).scalars())
            for table, name in columns
        ]
        undone.rollback()
    return [[dict(row) for row in table] for table in found], stored


def without_serial(found: Any) -> Any:
    tables, stored = found
    return [
        [{name: v for name, v in row.items() if not (name == "id" and isinstance(v, int))} for row in rows]
        for rows in tables
    ], stored


@given(
    body=printable,
    word=printable.filter(bool),
    phone=st.none() | st.sampled_from(["1", "1e5", "0012", "null", "true", "[1]", "\x00", "é\u2028"]),
    shift=st.integers(-(10**15), 10**15),
    score=st.floats(0, 9, allow_nan=False),
)
@hypothesis_settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_rows_written_together_are_the_rows_written_one_by_one(
    engine: Engine, *, body: str, word: str, phone: str | None, shift: int, score: float
) -> None:
    rows = [
        (leads, lead_row(body, phone, shift)),
        (outbox, place_row(word, phone, shift)),
        (events, event_row(word, score)),
        (idempotency_keys, key_row(word)),
    ]
    with engine.begin() as connection:
        one_by_one = write(connection, rows, in_bulk=False)
        together = write(connection, rows, in_bulk=True)
    assert without_serial(together) == without_serial(one_by_one)
