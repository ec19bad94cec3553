"""What is handed out: a person's data whole, an agency's leads as a table that no spreadsheet runs."""

import asyncio
import csv
import io
import json
import stat
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Connection, update

from app.cli.control import name_actor
from app.identity import reference_of, write_reference
from app.intake.digests import Digests
from app.lead import Answer, Consent, Contact, Enquiry, LeadState, Marketing, Notice, UtmTag
from app.sheet import disarm, write_sheet
from app.store.audit import list_audit
from app.store.leads import write_body
from app.store.outbox import mark_delivered
from app.store.place import Place
from app.store.reading import read_beside
from app.store.schema import leads, outbox
from app.store.secret import load_or_make_secret
from app.store.store import Store
from tests.conftest import Shell
from tests.stores import NOW, keep

ANNA = Enquiry(
    language="sv",
    contact=Contact(first_name="Anna", email="anna@example.com", phone="+46701740605"),
    message="=HYPERLINK(0)",
    answers=(Answer(name="rooms", label="Antal rum", value="3"),),
    consents=(
        Consent(name="newsletter", label="Nyheter, tack", given=True, maps_to="wishAdvertising"),
        Consent(name="sms", label="SMS", given=False),
    ),
    notice=Notice(version="v1", text="Vi sparar.", language="sv", shown_at=NOW),
    marketing=Marketing(
        referrer="https://a.example/",
        utm_tags=(UtmTag(name="gclid", value="Cj0K"), UtmTag(name="utm_source", value="google")),
    ),
)


def work(folder: Path, job: Callable[[Connection], Any], *keys: str) -> Any:
    store = Store(Place(folder / "data" / "leadgate.db", keys), reserve=0)
    store.open()
    try:
        return asyncio.run(store.write(job))
    finally:
        store.close()


def put(connection: Connection, enquiry: Enquiry = ANNA, **changes: Any) -> str:
    lead_id = keep(connection, body=write_body(enquiry), **changes)
    mark_delivered(connection, lead_id, vitec_lead_id="LED1", now=NOW)
    return lead_id


def read_table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_person_gets_everything_that_is_kept(shell: Shell) -> None:
    digests = Digests(load_or_make_secret(shell.folder / "data" / "leadgate.db"))
    lead_id = work(shell.folder, lambda write: put(write, email_key=digests.of_email("anna@example.com")))
    work(shell.folder, put)
    outcome = shell("leads", "export", "Anna@example.com")
    assert (outcome.code, outcome.err) == (0, "")
    (story,) = json.loads(outcome.out)
    assert story == json.loads(shell("leads", "show", lead_id, "--json").out)
    assert story["lead"]["contact"]["email"] == "anna@example.com"
    assert story["lead"]["notice"] == {
        "version": "v1",
        "text": "Vi sparar.",
        "language": "sv",
        "shownAt": "2026-11-24T09:30:00.000Z",
    }
    assert story["lead"]["consents"][0] == {
        "name": "newsletter",
        "label": "Nyheter, tack",
        "given": True,
        "mapsTo": "wishAdvertising",
    }
    assert story["vitecLeadId"] == "LED1"
    assert [entry["kind"] for entry in story["history"]] == ["received"]


def test_a_table_has_what_offline_conversions_ask_for(shell: Shell) -> None:
    lead_id = work(shell.folder, put)
    outcome = shell("leads", "export", "--csv")
    assert (outcome.code, outcome.err) == (0, "")
    (row,) = read_table(outcome.out)
    assert row["gclid"] == "Cj0K"
    assert row["receivedAt"] == "2026-11-24T09:30:00.000Z"
    assert row["outcome"] == "delivered"
    assert (row["consent.newsletter"], row["consent.sms"]) == ("yes", "no")
    assert (row["msclkid"], row["tag.utm_source"]) == ("", "google")
    assert row["answer.rooms"] == "3"
    assert row["reference"] == write_reference(reference_of(lead_id))
    assert row["phone"] == "'+46701740605"
    assert row["message"] == "'=HYPERLINK(0)"
    assert (row["noticeVersion"], row["noticeShownAt"]) == ("v1", "2026-11-24T09:30:00.000Z")


def test_a_table_of_nothing_has_its_heading(shell: Shell) -> None:
    work(shell.folder, lambda _: None)
    (heading,) = csv.reader(io.StringIO(shell("leads", "export", "--csv").out))
    assert {"id", "outcome", "gclid", "receivedAt"} <= set(heading)
    assert json.loads(shell("leads", "export").out) == []


def test_leads_are_chosen_by_customer_form_state_and_time(shell: Shell) -> None:
    day = timedelta(days=1)

    def job(write: Connection) -> list[str]:
        ids = [
            keep(write, customer_id="M1", form="a", received_at=NOW),
            keep(write, customer_id="M2", form="a", received_at=NOW + day),
            keep(write, customer_id="M2", form="b", received_at=NOW + 2 * day),
        ]
        is_last = outbox.c.lead_id == ids[2]
        write.execute(update(outbox).where(is_last).values(state=LeadState.HELD, reason="r"))
        return ids

    first, second, third = work(shell.folder, job)

    def export(*options: str) -> list[str]:
        return [story["id"] for story in json.loads(shell("leads", "export", *options).out)]

    assert export() == [first, second, third]
    assert export("--customer", "M2") == [second, third]
    assert export("--customer", "M2", "--form", "a") == [second]
    assert export("--form", "a", "--form", "b") == [first, second, third]
    assert export("--state", "held") == [third]
    assert export("--since", "2026-11-25") == [second, third]
    assert export("--until", "2026-11-25") == [first]
    assert export("--since", "2026-11-25T09:30:00", "--until", "2026-11-26") == [second]
    assert export("--customer", "M3") == []


def test_the_trail_says_who_took_out_whose_leads_and_nothing_of_whom_was_asked_for(shell: Shell) -> None:
    digests = Digests(load_or_make_secret(shell.folder / "data" / "leadgate.db"))
    key = digests.of_email("anna@example.com")

    def job(write: Connection) -> list[str]:
        return [
            put(write, customer_id="M1"),
            put(write, customer_id="M2", email_key=key),
            put(write, customer_id="M2"),
        ]

    _, annas, _ = work(shell.folder, job)
    shell("leads", "export", "anna@example.com")
    shell("leads", "export", "--csv")
    shell("leads", "export", "--customer", "M9")  # nothing left the store
    entries = read_beside(shell.folder / "data" / "leadgate.db", partial(list_audit, limit=9))
    told = [(entry.action, entry.customer_id, entry.lead_id, entry.detail) for entry in reversed(entries)]
    assert told == [
        ("exported", "M2", annas, None),
        ("exported", "M1", told[1][2], None),
        ("exported", "M2", None, "2 leads"),
    ]
    assert {entry.actor for entry in entries} == {name_actor()}


def test_a_file_is_its_owner_s_alone_and_never_overwritten(shell: Shell) -> None:
    work(shell.folder, put)
    outcome = shell("leads", "export", "--csv", "--output", "leads.csv")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    path = shell.folder / "leads.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")  # Excel asks for it
    (row,) = read_table(path.read_text(encoding="utf-8-sig"))
    assert row["firstName"] == "Anna"
    again = shell("leads", "export", "--output", "leads.csv")
    assert (again.code, again.err) == (1, "leads.csv: cannot be written: File exists\n")


def test_what_is_encrypted_is_handed_out_in_the_clear(shell: Shell) -> None:
    key = Fernet.generate_key().decode()
    work(shell.folder, put, key)
    shell.set(LEADGATE_ENCRYPTION_KEYS=key)
    (row,) = read_table(shell("leads", "export", "--csv").out)
    assert row["firstName"] == "Anna"


def test_a_row_that_cannot_be_decrypted_says_so(shell: Shell) -> None:
    lost, key = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    work(shell.folder, put, lost)
    work(shell.folder, put, key)
    shell.set(LEADGATE_ENCRYPTION_KEYS=key)
    unreadable, readable = read_table(shell("leads", "export", "--csv").out)
    assert "which is not in LEADGATE_ENCRYPTION_KEYS" in unreadable["unreadable"]
    assert (unreadable["firstName"], readable["firstName"], readable["unreadable"]) == ("", "Anna", "")


def test_one_lead_that_this_version_cannot_read_keeps_no_other_from_being_told(shell: Shell) -> None:
    newer = work(shell.folder, put)
    work(shell.folder, lambda write: write.execute(update(leads).values(body='{"version":2}')))
    work(shell.folder, put)
    told = f"lead {newer} cannot be read by this version"
    unreadable, readable = read_table(shell("leads", "export", "--csv").out)
    assert (unreadable["unreadable"], readable["firstName"]) == (told, "Anna")
    shown = shell("leads", "show", newer)
    assert (shown.code, shown.err) == (0, "")
    assert f"unreadable: {told}" in shown.out


def test_receipts_stand_in_the_table_without_a_person(shell: Shell) -> None:
    lead_id = work(shell.folder, put)
    assert shell("leads", "erase", lead_id).code == 0
    (row,) = read_table(shell("leads", "export", "--csv").out)
    assert (row["id"], row["outcome"], row["vitecLeadId"], row["firstName"]) == (
        lead_id,
        "delivered",
        "LED1",
        "",
    )
    assert row["purgedAt"]


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+46",
        "-2",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\0=1",
        " =1",
        "\u00a0=1",
        "＝1",
        "＋1",
        "－1",
        "＠x",
    ],
)
def test_no_cell_is_a_formula(cell: str) -> None:
    assert disarm(cell).startswith("'")
    assert "\0" not in disarm(cell)


@pytest.mark.parametrize("cell", ["", "Anna", "1", "a=1", 'Åsa, "Ö"', "'citat'"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    file = io.StringIO()
    write_sheet(file, [[cell]])
    assert next(csv.reader(io.StringIO(file.getvalue()))) == [cell]
