"""`leadgate check --live` and `--canary`: what Vitec says of a configuration, asked of the sandbox."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.control import find_server
from app.sandbox.config import (
    AGENT,
    ARCHIVED_AGENT,
    LEAD_SOURCE,
    OFFICE,
    SECOND_AGENT,
    SOLVIKEN_AGENT,
    TALLVINDEN,
    CallGroup,
    Customer,
    SandboxConfig,
    SandboxLogin,
)
from app.sandbox.faults import FaultOrder
from tests.conftest import Shell
from tests.processes import FORMS, LOGIN_NAMES, NOWHERE, start_gateway, write_forms
from tests.sandboxes import CUSTOMER, Running, run_sandbox

RECEIVERS = f"""
office_id = "{OFFICE}"
[receivers.gone]
assigned_to_id = "{ARCHIVED_AGENT}"
[receivers.typo]
assigned_to_id = "HAN0"
office_id = "FIR0"
[receivers.solviken]
customer_id = "M30011"
assigned_to_id = "{SOLVIKEN_AGENT}"
office_id = "FIR30011"
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    with run_sandbox() as running:
        yield running


@pytest.fixture
def vitec(sandbox: Running) -> Running:
    sandbox.app.state.world.reset()
    sandbox.app.state.board.clear()
    return sandbox


@pytest.fixture
def agency(shell: Shell, vitec: Running) -> Shell:
    write_forms(shell.folder)
    shell.set(**LOGIN_NAMES, LEADGATE_VITEC_BASE_URL=vitec.url, LEADGATE_LOG_FORMAT="json")
    return shell


def fault(vitec: Running, name: str, **order: Any) -> None:
    vitec.app.state.board.set([FaultOrder.model_validate({"name": name, **order})])


def ask(shell: Shell, *arguments: str) -> tuple[int, Any]:
    outcome = shell("check", *arguments, "--json")
    return outcome.code, json.loads(outcome.out)


def verdicts(live: Any) -> dict[str, str]:
    return {one["id"]: one["verdict"] for customer in live for one in customer["ids"]}


def test_a_sound_configuration_is_told_so(agency: Shell, vitec: Running) -> None:
    outcome = agency("check", "--live")
    assert (outcome.code, outcome.err) == (0, "")
    assert "read    GET User/GetUser: 200, 3 listed" in outcome.out
    assert f"receiver {AGENT}: user Karin Ekdal (forms.kontakt)" in outcome.out
    assert "Vitec has no call that lists lead sources" in outcome.out
    assert f"{LEAD_SOURCE} (forms.kontakt)" in outcome.out
    assert outcome.out.splitlines()[-1] == "ok: 1 form, 3 warnings"
    assert (vitec.app.state.world.contacts, vitec.app.state.world.leads) == ([], [])  # nothing is made


def test_receivers_that_have_left_and_that_never_were_are_named(agency: Shell) -> None:
    write_forms(agency.folder, FORMS + RECEIVERS)
    outcome = agency("check", "--live")
    assert outcome.code == 1
    assert f"MISTAKE receiver {ARCHIVED_AGENT}: user Bengt Almlöv is archived" in outcome.out
    assert "MISTAKE receiver HAN0: no such user, user group or office" in outcome.out
    assert "MISTAKE office FIR0: no such office" in outcome.out
    assert "customer M30011, login default" in outcome.out
    assert outcome.err == "not ok: Vitec answers otherwise than 1 of 2 customers need\n"


def test_programs_are_told_the_same(agency: Shell) -> None:
    write_forms(agency.folder, FORMS + RECEIVERS)
    code, told = ask(agency, "--live")
    assert (code, told["ok"]) == (1, False)
    assert [(one["customerId"], one["ok"]) for one in told["live"]] == [(CUSTOMER, False), ("M30011", True)]
    assert verdicts(told["live"])[ARCHIVED_AGENT] == "archived"
    assert verdicts(told["live"])["HAN0"] == "unknown"
    assert told["notListed"]["sources"] == {
        LEAD_SOURCE: ["forms.kontakt", *(f"receivers.{name}" for name in ("gone", "typo", "solviken"))]
    }


def test_programs_are_told_the_mistakes_of_the_file(agency: Shell) -> None:
    write_forms(agency.folder, FORMS + "colour = 1\n")
    code, told = ask(agency)
    assert (code, told["ok"]) == (1, False)
    assert [one["key"] for one in told["mistakes"]] == ["forms.kontakt.colour"]


def test_a_group_of_calls_with_another_password_is_told_with_its_status(agency: Shell) -> None:
    login = SandboxLogin(passwords={CallGroup.CREATE: "another"})
    values = {name: getattr(TALLVINDEN, name) for name in ("id", "name", "users", "groups", "offices")}
    with run_sandbox(config=SandboxConfig(customers=(Customer(**values, login=login),))) as other:
        agency.set(LEADGATE_VITEC_BASE_URL=other.url)
        code, told = ask(agency, "--live")
    calls = {one["group"]: (one["status"], one["ok"]) for one in told["live"][0]["calls"]}
    assert code == 1
    assert calls == {"contact": (400, True), "create": (401, False), "read": (200, True)}


def test_a_customer_that_is_closed_to_us_is_asked_no_more_than_once_a_call(
    agency: Shell, vitec: Running
) -> None:
    write_forms(agency.folder, FORMS.replace(CUSTOMER, "M99999"))
    code, told = ask(agency, "--live")
    assert code == 1
    assert [one["status"] for one in told["live"][0]["calls"]] == [400, 403, 403, 403, 403]
    assert set(verdicts(told["live"]).values()) == {"not_asked"}
    assert len(vitec.app.state.world.calls) == 5


def test_a_destination_that_is_away_is_tried_once(agency: Shell) -> None:
    write_forms(agency.folder, FORMS + RECEIVERS)
    agency.set(LEADGATE_VITEC_BASE_URL=NOWHERE)
    code, told = ask(agency, "--live")
    assert code == 1
    assert [len(one["calls"]) for one in told["live"]] == [1, 1]
    assert told["live"][1]["calls"][0]["status"] is None


@pytest.mark.parametrize("name", ["truncated_after", "html_200_after", "500_before", "429"])
def test_a_listing_that_cannot_be_read_makes_nobody_unknown(agency: Shell, vitec: Running, name: str) -> None:
    fault(vitec, name, operation="getPublicUsers")
    code, told = ask(agency, "--live")
    assert code == 1
    assert verdicts(told["live"]) == {AGENT: "not_asked"}


def test_the_first_receiver_of_the_office_is_suggested_as_the_fallback(agency: Shell) -> None:
    write_forms(agency.folder, FORMS.replace(AGENT, SECOND_AGENT))
    outcome = agency("check", "--live")
    assert outcome.code == 0
    assert "tip     a fallback receiver for kontakt: Karin Ekdal, first receiver of the office" in outcome.out
    assert f'[receivers.NAME] with assigned_to_id = "{AGENT}"' in outcome.out


def test_whoever_is_the_receiver_already_is_not_suggested_beside_themselves(agency: Shell) -> None:
    _, told = ask(agency, "--live")
    assert [one["receiverId"] for one in told["live"][0]["suggestions"]] == [OFFICE]


def test_a_form_with_a_fallback_needs_no_suggestion(agency: Shell) -> None:
    fallback = f'fallback_receiver = "jonas"\n[receivers.jonas]\nassigned_to_id = "{SECOND_AGENT}"\n'
    write_forms(agency.folder, FORMS + fallback)
    _, told = ask(agency, "--live")
    assert told["live"][0]["suggestions"] == []


def test_a_canary_is_created_once_marked_and_read_back(agency: Shell, vitec: Running) -> None:
    outcome = agency("check", "--canary", "kontakt")
    assert outcome.code == 0
    (lead,) = vitec.app.state.world.leads
    assert f"created in Vitec as {lead.id}" in outcome.out
    assert "its marker came back" in outcome.out
    assert "ingen kund har skrivit detta" in lead.message
    shown = json.loads(agency("leads", "list", "--json").out)
    assert [(one["status"], one["id"]) for one in shown] == [("delivered", dict(lead.utm_tags)["leadgate"])]
    assert "canary" in agency("leads", "show", shown[0]["id"]).out


def test_each_canary_is_another_lead_of_the_same_contact(agency: Shell, vitec: Running) -> None:
    assert [agency("check", "--canary", "kontakt").code for _ in range(2)] == [0, 0]
    world = vitec.app.state.world
    assert (len(world.leads), len(world.contacts)) == (2, 1)


def test_a_canary_that_is_refused_is_held_and_tells_why(agency: Shell, vitec: Running) -> None:
    write_forms(agency.folder, FORMS.replace(AGENT, ARCHIVED_AGENT))
    outcome = agency("check", "--canary", "kontakt")
    assert outcome.code == 1
    assert "not ok: the canary is held: refused by Vitec (400)" in outcome.err
    assert vitec.app.state.world.leads == []


def test_a_canary_without_its_marker_proves_nothing(agency: Shell, vitec: Running) -> None:
    write_forms(agency.folder, FORMS + "reference_in_message = false\n")
    fault(vitec, "tags_dropped")
    code, told = ask(agency, "--canary", "kontakt")
    assert (code, told["canary"]["ok"], told["canary"]["state"]) == (1, False, "delivered")
    assert told["canary"]["calls"][1]["told"] == "read, but without its marker"


def test_a_canary_whose_reading_is_refused_has_arrived_all_the_same(agency: Shell, vitec: Running) -> None:
    fault(vitec, "403", operation="getIncomingLead")
    outcome = agency("check", "--canary", "kontakt")
    assert outcome.code == 1
    assert "MISTAKE read    GET CRM/Lead/…/Incoming: 403, no access to this customer" in outcome.out
    assert "so a lead whose answer is lost waits for a human" in outcome.out
    assert len(vitec.app.state.world.leads) == 1


def test_a_canary_leaves_other_leads_alone(agency: Shell, vitec: Running) -> None:
    with start_gateway(agency.folder, vitec.url, "--no-delivery") as gateway:
        assert gateway.post().status_code == 202
    assert agency("check", "--canary", "kontakt").code == 0
    states = [one["status"] for one in json.loads(agency("leads", "list", "--json").out)]
    assert states == ["delivered", "pending"]


def test_a_canary_goes_through_the_server_that_holds_the_store(agency: Shell, vitec: Running) -> None:
    with start_gateway(agency.folder, vitec.url):
        channel = find_server(Path("data/leadgate.db"))
        assert channel is not None
        channel.close()
        code, told = ask(agency, "--canary", "kontakt")
    assert (code, told["canary"]["state"]) == (0, "delivered")
    assert len(vitec.app.state.world.leads) == 1


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ("nonsense", "there is no form 'nonsense'; there are kontakt, prov\n"),
        ("prov", "form prov is in test mode: nothing of it is sent to Vitec\n"),
    ],
)
def test_a_canary_that_cannot_be_sent(agency: Shell, vitec: Running, form: str, sentence: str) -> None:
    prov = FORMS.replace("kontakt", "prov") + 'mode = "test"\n'
    write_forms(agency.folder, FORMS + prov)
    outcome = agency("check", "--canary", form)
    assert (outcome.code, outcome.err) == (1, sentence)
    assert len(vitec.app.state.world.calls) == 0


def test_a_company_s_canary_is_a_company(agency: Shell, vitec: Running) -> None:
    write_forms(agency.folder, FORMS + 'contact_type = "company"\n')
    assert agency("check", "--canary", "kontakt").code == 0
    assert [contact.name for contact in vitec.app.state.world.contacts] == ["Leadgate Provlead"]


def test_the_server_says_no_to_a_canary_of_a_form_it_does_not_have(agency: Shell, vitec: Running) -> None:
    """The file has changed since the server read it."""
    with start_gateway(agency.folder, vitec.url):
        write_forms(agency.folder, FORMS.replace("kontakt", "other"))
        outcome = agency("check", "--canary", "other")
    assert (outcome.code, outcome.err) == (1, "there is no form 'other'; there are kontakt\n")
    assert httpx.get(f"{vitec.url}/sandbox/state").json()["leads"] == []
