"""What stands after `leadgate`: options, and which room does the work."""

import getpass
import json
from typing import Annotated, Any

import typer

from app import __version__
from app.cli import reports
from app.cli.configuration import read_configuration
from app.cli.control import command_store
from app.errors import OperatorError
from app.forms.routing import choose_receiver
from app.forms.warnings import find_warnings
from app.lead import LeadState
from app.log import configure_logging
from app.settings import Settings, read_settings

app = typer.Typer(
    help="A web form-to-lead gateway in front of Vitec Connect.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
leads = typer.Typer(help="The operator's work with leads.", no_args_is_help=True)
gates = typer.Typer(help="What Vitec refuses, and since when.", invoke_without_command=True)
app.add_typer(leads, name="leads")
app.add_typer(gates, name="gates")

Lead = Annotated[str, typer.Argument(help="Id or reference, such as K7Q2-9XMF-3H.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.callback(invoke_without_command=True)
def show_version(version: Annotated[bool, typer.Option("--version")] = False) -> None:
    if version:
        print(f"leadgate {__version__}")
        raise typer.Exit


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any.")] = 8000,
    no_delivery: Annotated[bool, typer.Option("--no-delivery", help="Accept and keep only.")] = False,
) -> None:
    """Serve forms and API, and deliver to Vitec."""
    from app.cli import process

    configuration = read_configuration()
    configure_logging(configuration.settings.log_format)
    process.run_loop(process.serve(configuration, host=host, port=port, deliver=not no_delivery))


@app.command()
def check() -> None:
    """Tell every mistake of the configuration, each with its file and key."""
    configuration = read_configuration()
    warnings = find_warnings(configuration.forms)
    for warning in warnings:
        print(f"warning: {warning}")
    count = len(configuration.forms.forms)
    print(f"ok: {count} form{'s' * (count != 1)}, {len(warnings)} warning{'s' * (len(warnings) != 1)}")


@app.command()
def route(
    form: str,
    zip_code: Annotated[str | None, typer.Option("--zip", help="The visitor's postcode.")] = None,
    field: Annotated[list[str] | None, typer.Option("--field", help="NAME=VALUE; may be repeated.")] = None,
    receiver: Annotated[str | None, typer.Option(help="The receiver that the page asks for.")] = None,
) -> None:
    """Tell which receiver a lead would get, and why."""
    forms = read_configuration().forms
    found = forms.forms.get(form)
    if found is None:
        raise OperatorError(f"there is no form {form!r}; there are {', '.join(sorted(forms.forms))}")
    values = dict(_split_field(one) for one in field or [])
    if zip_code:
        values.setdefault("zipCode", zip_code)
    choice = choose_receiver(found, forms, wanted=receiver, zip_code=values.get("zipCode"), values=values)
    destination = forms.destination(found, choice.receiver)
    print(f"receiver: {choice.receiver or '(the form itself)'}")
    print(f"because:  {choice.reason}")
    if choice.note:
        print(f"note:     {choice.note.code} {choice.note.detail}".rstrip())
    print(f"customer: {destination.customer_id}")
    print(f"assigned: {destination.assigned_to_id}")
    print(f"office:   {destination.office_id or '-'}")
    print(f"source:   {destination.lead_source_id}")
    print(f"login:    {destination.vitec}")


def _split_field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} must be NAME=VALUE")
    return name, value


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="The gateway; the next two are sandbox and sample page.")] = 8000,
) -> None:
    """Run the gateway, Vitec's stand-in and a sample landing page together."""
    from app.cli import demo as demonstration
    from app.cli import process

    configure_logging(None)
    process.run_loop(demonstration.run(port))


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8001,
) -> None:
    """Run Vitec Connect's stand-in alone."""
    from app.cli import demo as demonstration
    from app.cli import process

    configure_logging(None)
    process.run_loop(demonstration.run_sandbox(host, port))


@leads.command("list")
def list_leads(
    state: Annotated[list[LeadState] | None, typer.Option(help="Only these; may be repeated.")] = None,
    form: Annotated[str | None, typer.Option(help="Only this form's.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many, the newest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Leads, the newest first."""
    rows = reports.list_leads(_settings(), states=state or [], form=form, limit=limit)
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        reports.print_list(rows)


@leads.command()
def show(lead: Lead, as_json: AsJson = False) -> None:
    """One lead: what was sent in, and its whole history."""
    story = reports.tell_story(_settings(), lead)
    if as_json:
        print(json.dumps(story, ensure_ascii=False, indent=1))
    else:
        reports.print_story(story)


@leads.command()
def retry(lead: Annotated[list[str], typer.Argument(help="Ids or references.")]) -> None:
    """Send held leads again; what may exist in Vitec is looked for there first."""
    _act("retry", lead, "will be tried again")


@leads.command()
def release(lead: Annotated[list[str], typer.Argument(help="Ids or references.")]) -> None:
    """Deliver quarantined leads after all."""
    _act("release", lead, "is released")


@leads.command()
def discard(
    lead: Annotated[list[str], typer.Argument(help="Ids or references.")],
    reason: Annotated[str, typer.Option(help="Why; it stays with the lead.")],
) -> None:
    """Give up leads for good, with a reason."""
    _act("discard", lead, "is discarded", reason=reason)


def _act(verb: str, names: list[str], done: str, **details: Any) -> None:
    database = _settings().database_path
    for name in names:
        command = {"do": verb, "lead": name, "actor": getpass.getuser(), **details}
        command_store(database, command)
        print(f"{name} {done}")


@gates.callback()
def list_gates(context: typer.Context, as_json: AsJson = False) -> None:
    """What is closed, and why."""
    if context.invoked_subcommand is None:
        reports.print_gates(_settings(), as_json=as_json)


@gates.command()
def probe() -> None:
    """Let one lead try each closed gate now."""
    count = command_store(_settings().database_path, {"do": "probe_gates"})
    print(f"{count} gate{'s' * (count != 1)} will be probed")


def _settings() -> Settings:
    return read_settings()
