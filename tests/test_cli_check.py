"""`leadgate check` and `route`, and what every command shares: versions, usage, exit codes."""

import runpy
from pathlib import Path

import pytest

from app import __version__
from tests.conftest import Shell
from tests.processes import FORMS, LOGIN_NAMES, write_forms

ROUTED = (
    FORMS
    + """
receiver = "city"
[[forms.kontakt.routes]]
zip = ["169-171"]
receiver = "solna"
[[forms.kontakt.routes]]
when = { sell = "true" }
receiver = "city"
[[forms.kontakt.fields]]
name = "zipCode"
[[forms.kontakt.fields]]
name = "sell"
type = "checkbox"
label = "Sälja"
[receivers.solna]
customer_id = "M30011"
assigned_to_id = "HAN1"
office_id = "FIR30011"
[receivers.city]
assigned_to_id = "HAN2"
"""
)


@pytest.fixture
def routed(shell: Shell) -> Shell:
    write_forms(shell.folder, ROUTED)
    shell.set(**LOGIN_NAMES)
    return shell


def test_the_version(shell: Shell) -> None:
    assert shell("--version").out == f"leadgate {__version__}\n"


def test_the_package_is_the_command(shell: Shell) -> None:
    shell.monkeypatch.setattr("sys.argv", ["app", "--version"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("app", run_name="__main__")


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "nonsense",
        "serve --port x",
        "serve --port 65536",
        "demo --port 65534",
        "leads",
        "leads show",
        "leads list --state gone",
        "leads list --limit 0",
        "leads discard 2N4J-P2WP-3P",
        "db",
        "route kontakt --field zip",
    ],
)
def test_wrong_usage_is_exit_2(routed: Shell, arguments: str) -> None:
    assert routed(*arguments.split()).code == 2


def test_check_is_content(shell: Shell) -> None:
    write_forms(shell.folder)
    shell.set(**LOGIN_NAMES, LEADGATE_VITEC_USER="x", LEADGATE_RECONCILE_SETTLE="1s")
    outcome = shell("check")
    assert (outcome.code, outcome.err) == (0, "")
    *warnings, verdict = outcome.out.splitlines()
    assert [warning.split(": ")[:2] for warning in warnings] == [
        ["warning", "LEADGATE_VITEC_USER"],
        ["warning", "LEADGATE_RECONCILE_SETTLE"],
        ["warning", "LEADGATE_SMTP_URL"],
        ["warning", "forms.toml"],
        ["warning", "forms.toml"],
    ]
    assert verdict == "ok: 1 form, 5 warnings"


def test_check_tells_the_mistakes_of_environment_and_forms_at_once(shell: Shell) -> None:
    write_forms(shell.folder, FORMS + "colour = 1\n[forms.NAME]\n")
    shell.set(LEADGATE_VITEC_TIMEOUT="soon", LEADGATE_VITEC_USERNAME="partner")
    outcome = shell("check")
    assert (outcome.code, outcome.out) == (1, "")
    told = outcome.err
    assert "LEADGATE_VITEC_TIMEOUT: is no duration" in told
    assert "LEADGATE_VITEC_PASSWORD: is missing; the other half of the login is set" in told
    assert "forms.toml: forms.kontakt.colour: " in told
    assert "forms.toml: forms.NAME: " in told
    assert "has no credentials" not in told  # told once, as half a login


def test_check_tells_a_missing_login_beside_other_mistakes(shell: Shell) -> None:
    write_forms(shell.folder)
    shell.set(LEADGATE_VITEC_TIMEOUT="soon")
    told = shell("check").err.splitlines()
    assert len(told) == 2
    assert told[1].startswith("forms.toml: forms.kontakt.vitec: the login default has no credentials")


def test_check_reads_the_forms_that_the_env_file_names(shell: Shell) -> None:
    write_forms(shell.folder).rename(shell.folder / "other.toml")
    Path(".env").write_text("LEADGATE_FORMS=other.toml\nLEADGATE_VITEC_RATE=x\n", encoding="utf-8")
    shell.set(**LOGIN_NAMES)
    assert shell("check").err.splitlines() == [
        "LEADGATE_VITEC_RATE: should be a valid number, unable to parse string as a number"
    ]


def test_check_takes_the_password_from_its_file(shell: Shell) -> None:
    write_forms(shell.folder)
    Path("password").touch(0o600)
    Path("password").write_text("sandbox\n", encoding="utf-8")
    shell.set(LEADGATE_VITEC_USERNAME="leadgate", LEADGATE_VITEC_PASSWORD_FILE="password")
    assert shell("check").code == 0


def test_a_route_by_postcode(routed: Shell) -> None:
    outcome = routed("route", "kontakt", "--zip", "169 55")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "receiver: solna",
        "because:  route 1: the postcode is within 169-171",
        "customer: M30011",
        "assigned: HAN1",
        "office:   FIR30011",
        "source:   LKA3F7A90C1E58B4D26A0479BD1C6E2F835",
        "login:    default",
    ]


def test_a_route_by_field_and_by_nothing(routed: Shell) -> None:
    assert "because:  route 2: sell is true" in routed("route", "kontakt", "--field", "sell=true").out
    assert "because:  no route matched; the form's receiver is city" in routed("route", "kontakt").out


def test_a_route_that_the_page_asks_for(routed: Shell) -> None:
    assert "because:  the page asked for solna" in routed("route", "kontakt", "--receiver", "solna").out
    unknown = routed("route", "kontakt", "--receiver", "nobody").out
    assert "note:     the page asked for a receiver that the form does not have" in unknown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "there is no form 'nonsense'; there are kontakt\n"),
        (["kontakt", "--zip", "16"], "'16' is no postcode; write one such as '169 55'\n"),
        (["kontakt", "--field", "sel=true"], "the form kontakt has no field 'sel'. Did you mean sell?\n"),
    ],
)
def test_a_route_that_cannot_be_told(routed: Shell, arguments: list[str], sentence: str) -> None:
    outcome = routed("route", *arguments)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", sentence)


def test_a_form_without_routes_is_its_own_receiver(shell: Shell) -> None:
    write_forms(shell.folder)
    shell.set(**LOGIN_NAMES)
    assert shell("route", "kontakt", "--zip", "16955").out.startswith("receiver: (the form itself)\n")
