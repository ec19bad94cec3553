"""What stands after `leadgate`: options, and which room does the work."""

import sys
from getpass import getpass
from typing import Annotated

import typer

from app import __version__
from app.cli import operator, privacy
from app.cli.configuration import read_configuration
from app.errors import OperatorError
from app.forms.findings import suggest
from app.forms.model import Form, Forms
from app.forms.postcodes import parse_postcode
from app.forms.routing import choose_receiver
from app.log import configure_logging
from app.passwords import hash_password

app = typer.Typer(
    help="A web form-to-lead gateway in front of Vitec Connect.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any.")]


@app.callback(invoke_without_command=True)
def show_version(*, version: Annotated[bool, typer.Option("--version")] = False) -> None:
    if version:
        print(f"leadgate {__version__}")
        raise typer.Exit


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    *,
    no_delivery: Annotated[bool, typer.Option("--no-delivery", help="Accept and keep only.")] = False,
) -> None:
    """Serve forms and API, and deliver to Vitec."""
    from app.cli import process  # noqa: PLC0415 - servers take half a second to import

    configuration = read_configuration()
    configure_logging(configuration.settings.log_format)
    process.run_loop(process.serve(configuration, host=host, port=port, deliver=not no_delivery))


@app.command()
def deliver(
    host: Host = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Where /healthz, /readyz and /metrics answer; none: nowhere."),
    ] = None,
) -> None:
    """Deliver to Vitec what another process has accepted."""
    from app.cli import process  # noqa: PLC0415

    configuration = read_configuration()
    configure_logging(configuration.settings.log_format)
    process.run_loop(process.deliver(configuration, host=host, port=port))


@app.command()
def demo(
    port: Annotated[
        int, typer.Option(min=0, max=65533, help="The gateway; the next two are sandbox and sample page.")
    ] = 8000,
) -> None:
    """Run the gateway, Vitec's stand-in and a sample landing page together."""
    from app.cli import demo as demonstration  # noqa: PLC0415
    from app.cli import process  # noqa: PLC0415

    configure_logging(None)
    process.run_loop(demonstration.run(port))


@app.command()
def sandbox(host: Host = "127.0.0.1", port: Port = 8001) -> None:
    """Run Vitec Connect's stand-in alone."""
    from app.cli import demo as demonstration  # noqa: PLC0415
    from app.cli import process  # noqa: PLC0415

    configure_logging(None)
    process.run_loop(demonstration.run_sandbox(host, port))


@app.command()
def check(
    *,
    live: Annotated[
        bool,
        typer.Option("--live", help="Ask Vitec about logins, customers and receivers; makes nothing there."),
    ] = False,
    canary: Annotated[
        str | None,
        typer.Option(metavar="FORM", help="Send one marked lead by this form, and read it back from Vitec."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell every mistake of the configuration, each with its file and key."""
    from app.cli import checking  # noqa: PLC0415

    raise typer.Exit(checking.check(live=live, canary=canary, as_json=as_json))


@app.command()
def route(
    form: str,
    zip_code: Annotated[str | None, typer.Option("--zip", help="The visitor's postcode.")] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="NAME=VALUE", help="May be repeated.")
    ] = None,
    receiver: Annotated[str | None, typer.Option(help="The receiver that the page asks for.")] = None,
) -> None:
    """Tell which receiver a lead would get, and why."""
    forms = read_configuration().forms
    found = forms.forms.get(form)
    if found is None:
        raise OperatorError(f"there is no form {form!r}; there are {', '.join(sorted(forms.forms))}")
    values = dict(_split_field(one) for one in field or [])
    if zip_code is not None:
        values["zipCode"] = zip_code
    _check_values(found, values)
    _print_choice(found, forms, values=values, wanted=receiver)


def _split_field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} must be NAME=VALUE")
    return name, value


def _check_values(form: Form, values: dict[str, str]) -> None:
    if "zipCode" in values and parse_postcode(values["zipCode"]) is None:
        raise OperatorError(f"{values['zipCode']!r} is no postcode; write one such as '169 55'")
    known = [field.name for field in form.fields]
    for name in values:
        if name not in known and name != "zipCode":
            raise OperatorError(f"the form {form.name} has no field {name!r}.{suggest(name, known)}")


def _print_choice(form: Form, forms: Forms, *, values: dict[str, str], wanted: str | None) -> None:
    choice = choose_receiver(form, forms, wanted=wanted, zip_code=values.get("zipCode"), values=values)
    destination = forms.destination(form, choice.receiver)
    told = {
        "receiver": choice.receiver or "(the form itself)",
        "because": choice.reason,
        "note": choice.note.detail if choice.note else None,
        "customer": destination.customer_id,
        "assigned": destination.assigned_to_id,
        "office": destination.office_id,
        "source": destination.lead_source_id,
        "login": destination.vitec,
    }
    for name, value in told.items():
        if value:
            print(f"{name + ':':<10}{value}")


@app.command("hash-password")
def make_hash() -> None:
    """Read a password from a prompt, or one line of standard input, and print what the configuration may hold."""
    try:
        print(hash_password(_read_password()))
    except ValueError as error:
        raise OperatorError(f"the password {error}") from None


def _read_password() -> str:
    """Never from an argument: those stand in the list of processes, and in the shell's memory."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("Password: ")
    if getpass("Once more: ") != password:
        raise OperatorError("the two are not the same")
    return password


app.command()(privacy.purge)
operator.leads.command("export")(privacy.export)
operator.leads.command("erase")(privacy.erase)
app.add_typer(operator.leads, name="leads")
app.add_typer(operator.gates, name="gates")
app.add_typer(operator.notices, name="notices")
app.add_typer(operator.db, name="db")
