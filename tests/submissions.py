"""A form of every kind of field, and submissions of it."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.errors import SubmissionRefused
from app.forms.model import Form, Forms, Login, Password
from app.forms.reader import read_forms
from app.intake.definition import Definition
from app.intake.submission import Circumstances, check_submission
from app.lead import Enquiry

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)

FILE = """
[defaults]
customer_id = "M1"
assigned_to_id = "HAN1"
lead_source_id = "LKA1"

[forms.all]
parameters = ["hsa_cam"]
fields = [
    { name = "nickname", type = "text", label = { sv = "Smeknamn", en = "Nickname" }, max_length = 10 },
    { name = "wishes", type = "textarea", label = "Önskemål" },
    { name = "otherEmail", type = "email", label = "Annan e-post" },
    { name = "otherPhone", type = "tel", label = "Annan telefon" },
    { name = "budget", type = "number", label = "Budget", max_length = 12 },
    { name = "rooms", type = "number", label = { sv = "Antal rum", en = "Rooms" }, min = 1 },
    { name = "otherZip", type = "postcode", label = "Annat postnummer" },
    { name = "kind", type = "select", label = { sv = "Sort", en = "Kind" }, options = [
        { value = "villa", label = { sv = "Villa", en = "House" } },
        { value = "gård", label = { sv = "Gård", en = "Farm" } },
    ] },
    { name = "when", type = "radio", label = "När", options = ["nu", "sedan"] },
    { name = "call", type = "checkbox", label = { sv = "Ring mig", en = "Call me" } },
    { name = "object", type = "hidden", label = "Objekt", max_length = 20 },
]
consents.newsletter = { label = { sv = "Nyhetsbrev", en = "Newsletter" }, maps_to = "wishAdvertising" }
consents.partners = { label = "Partners" }

[forms.strict]
fields = [
    { name = "name" },
    { name = "budget", type = "number", label = "Budget", required = true },
    { name = "kind", type = "select", label = "Sort", options = ["a", "b"], required = true },
    { name = "agree", type = "checkbox", label = "Jag förstår", required = true },
    { name = "message", type = "select", label = "Ärende", options = [
        { value = "sell", label = "Vill sälja" },
    ] },
]

[forms.routed]
preset = "vardering"
receiver = "city"
fields = [{ name = "urgent", type = "checkbox", label = "Bråttom" }]

[[forms.routed.routes]]
zip = ["111-118"]
receiver = "solna"

[[forms.routed.routes]]
when = { urgent = true }
receiver = "duty"

[forms.norwegian]
phone_region = "NO"
languages = ["en"]

[forms.trial]
mode = "test"

[receivers]
city = {}
solna = { customer_id = "M2" }
duty = {}
"""


@cache
def read() -> Forms:
    login = Login(
        name="default", username="u", password=Password(value="p"), base_url="https://vitec.example"
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "forms.toml"
        path.write_text(FILE, encoding="utf-8")
        return read_forms(path, default_login=login, environ={})


def form(name: str = "all") -> Form:
    return read().forms[name]


@cache
def definition(name: str = "all") -> Definition:
    return Definition(form(name))


ANNA = {"firstName": "Anna", "lastName": "Svensson", "email": "anna@example.se"}


def check(raw: dict[str, Any], *, name: str = "all", **circumstances: Any) -> Enquiry:
    return check_submission(
        raw, definition(name), read(), circumstances=Circumstances(**{"now": NOW} | circumstances)
    )


def send(raw: dict[str, Any], *, name: str = "all", **circumstances: Any) -> Enquiry | SubmissionRefused:
    try:
        return check(raw, name=name, **circumstances)
    except SubmissionRefused as refused:
        return refused


def errors(raw: dict[str, Any], *, name: str = "all", **circumstances: Any) -> list[tuple[str, str]]:
    """Pointers and codes; none for what is accepted."""
    sent = send(raw, name=name, **circumstances)
    return [] if isinstance(sent, Enquiry) else [(error.pointer, error.code) for error in sent.errors]


def codes(enquiry: Enquiry) -> list[str]:
    return [note.code for note in enquiry.notes]
