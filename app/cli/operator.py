"""The operator's commands: leads, gates and the database."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, TextIO

import typer

from app.cli import reports
from app.cli.configuration import locate_store, read_configuration
from app.cli.control import command_store, name_actor
from app.environment import read_settings
from app.errors import ConfigurationError, KeyMissing, LeadNotFound, OperatorError
from app.forms.live import LiveForms
from app.forms.model import Forms, Mode
from app.lead import LeadState
from app.store.leads import find_lead_id, load_lead
from app.store.migrate import newest_revision
from app.store.reading import read_beside
from app.store.store import Store
from app.store.vault import Vault

leads = typer.Typer(rich_markup_mode=None, help="The operator's work with leads.", no_args_is_help=True)
notices = typer.Typer(
    rich_markup_mode=None, help="What people were to be told, and have not been.", invoke_without_command=True
)
gates = typer.Typer(
    help="What Vitec refuses or fails at, since when, and what helps.", invoke_without_command=True
)
db = typer.Typer(rich_markup_mode=None, help="The database's schema.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="LEAD", help="Id or reference, such as K7Q2-9XMF-3H.")]
Names = Annotated[list[str], typer.Argument(metavar="LEAD...", help="Ids or references.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@leads.command("list")
def list_leads(
    state: Annotated[list[LeadState] | None, typer.Option(help="Only these; may be repeated.")] = None,
    form: Annotated[str | None, typer.Option(help="Only this form's.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, the newest.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Leads, the newest first."""
    rows = reports.list_leads(read_settings(), states=state or [], form=form, limit=limit)
    if as_json:
        print_json([{name: row[name] for name in row if name != "reason"} for row in rows])
    else:
        reports.print_list(rows)


@leads.command()
def show(lead: Name, *, as_json: AsJson = False) -> None:
    """One lead: what was sent in, and its whole history."""
    story = reports.tell_one(read_settings(), lead)
    if as_json:
        print_json(story)
    else:
        reports.print_story(story)


def print_json(value: Any, *, file: TextIO | None = None) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1), file=file)


@leads.command()
def retry(lead: Names) -> None:
    """Send held leads again; what may exist in Vitec is looked for there first."""
    forms = _read_forms()
    _act_on(lead, "retry", "will be tried again", lambda name: _locate(forms, name))


@leads.command()
def release(lead: Names) -> None:
    """Deliver quarantined leads after all."""
    forms = _read_forms()
    testing = ",".join(name for name, form in forms.forms.items() if form.mode is Mode.TEST)
    _act_on(lead, "release", "is released", lambda name: {"testing": testing, **_locate(forms, name)})


def _read_forms() -> Forms:
    """None of a file in disorder, which is no reason to keep a lead: delivery looks at its form again."""
    try:
        return read_configuration().forms
    except ConfigurationError:
        return Forms(forms={})


def _locate(forms: Forms, name: str) -> dict[str, Any]:
    """Where a lead goes by today's file, as far as it can be told."""
    try:
        lead = read_beside(
            reports.require_store(read_settings()),
            lambda connection: load_lead(connection, find_lead_id(connection, name)),
        )
    except (ValueError, LeadNotFound, KeyMissing):
        return {}
    account = LiveForms(forms).locate(lead)
    return {} if account is None else {"account": asdict(account)}


@leads.command()
def discard(lead: Names, reason: Annotated[str, typer.Option(help="Why; it stays with the lead.")]) -> None:
    """Give up leads for good, with a reason."""
    _act_on(lead, "discard", "is discarded", lambda _: {"reason": reason})


def _act_on(names: list[str], verb: str, done: str, detail: Callable[[str], dict[str, Any]]) -> None:
    """Each lead for itself: what one refuses keeps no other from it."""
    database = reports.require_store(read_settings())
    refused = 0
    for name in names:
        try:
            command_store(database, {"do": verb, "lead": name, "actor": name_actor(), **detail(name)})
            print(f"{name} {done}")
        except OperatorError as error:
            print(error, file=sys.stderr)
            refused += 1
    if refused:
        raise typer.Exit(1)


@notices.callback()
def list_notices(*, as_json: AsJson = False) -> None:
    """Messages that wait to be sent: how often that was tried, and why it failed."""
    rows = reports.list_unsent_notices(read_settings())
    if as_json:
        print_json(rows)
    else:
        reports.print_notices(rows)


@gates.callback()
def list_gates(context: typer.Context, *, as_json: AsJson = False) -> None:
    """What is closed, and why."""
    if context.invoked_subcommand is not None:
        return
    rows = reports.list_closed_gates(read_settings())
    if as_json:
        print_json(rows)
    else:
        reports.print_gates(rows)


@gates.command()
def probe() -> None:
    """Let one lead try each closed gate now."""
    count = command_store(
        reports.require_store(read_settings()), {"do": "probe_gates", "actor": name_actor()}
    )
    print(f"{count} gate{'s' * (count != 1)} will be probed" if count else "no gate is closed")


@db.command()
def upgrade() -> None:
    """Bring the schema up to date, as `serve` does at its start."""
    store = Store(locate_store(read_settings()))
    store.open()
    store.close()
    print(f"{store.name} is at revision {newest_revision()}")


@db.command()
def current() -> None:
    """Tell the schema's revision and the newest one."""
    found = reports.find_revision(read_settings())
    print(f"{found or 'none'} (newest: {newest_revision()})")


@db.command()
def rekey() -> None:
    """Encrypt everything with the newest of LEADGATE_ENCRYPTION_KEYS, what was never encrypted too."""
    place = reports.require_store(read_settings())
    newest = Vault(place.keys).newest
    if newest is None:
        raise OperatorError("there is no key to encrypt with; set LEADGATE_ENCRYPTION_KEYS")
    after, done, left = None, 0, 0
    while True:
        batch = command_store(place, {"do": "rekey", "newest": newest, "after": after})
        after, done, left = batch["after"], done + batch["done"], left + batch["left"]
        if after is None:
            break
    wiped = command_store(place, {"do": "wipe"})
    print(f"{done} row{'s' * (done != 1)} encrypted with key {newest}")
    if not wiped:
        print("copies in the clear may still be in the database's log; run this again when nobody reads it")
    if left:
        raise OperatorError(
            f"{left} row{'s' * (left != 1)} left: the key is not in LEADGATE_ENCRYPTION_KEYS, or they were damaged"
        )


@db.command()
def restored() -> None:
    """After restoring a backup: look for every undelivered lead in Vitec before it is sent."""
    settings = read_settings()
    settle = (settings.reconcile_settle + settings.vitec_timeout).total_seconds()
    command = {"do": "restored", "settle": settle, "actor": name_actor()}
    count = command_store(reports.require_store(settings), command)
    print(f"{count} lead{'s' * (count != 1)} will be looked for in Vitec, from {settle:.0f} seconds on")
