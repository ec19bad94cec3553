"""The operator's commands about people's data: export, erase, purge."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from sqlalchemy import Connection

from app.cli import reports
from app.cli.configuration import load_secret, read_configuration
from app.cli.control import command_store, name_actor
from app.cli.operator import print_json
from app.cli.retention import list_retention
from app.environment import read_settings
from app.errors import LeadNotFound, OperatorError
from app.identity import write_reference
from app.intake.digests import Digests
from app.intake.people import parse_email
from app.lead import LeadState
from app.phones import parse_phone
from app.settings import Settings
from app.sheet import write_sheet
from app.store.erasure import find_kin, find_people
from app.store.extracts import Selection, list_shares, tabulate, tell_stories
from app.store.leads import find_lead_id
from app.store.place import Place
from app.store.reading import read_beside

_WHO = "An e-mail address, a phone number, a reference or an id."
_DAY = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def export(
    who: Annotated[list[str] | None, typer.Argument(metavar="[WHO]...", help=_WHO)] = None,
    *,
    customer: Annotated[list[str] | None, typer.Option(help="Only this customer's; may be repeated.")] = None,
    form: Annotated[list[str] | None, typer.Option(help="Only this form's; may be repeated.")] = None,
    state: Annotated[list[LeadState] | None, typer.Option(help="Only these; may be repeated.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=_DAY, help="Received then or later, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_DAY, help="Received before then, UTC.")] = None,
    output: Annotated[Path | None, typer.Option(help="A file, readable by its owner alone.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv/--json", help="A table, or all that is kept.")] = False,
) -> None:
    """A person's leads, or an agency's, with everything that is kept of them."""
    settings = read_settings()
    place = reports.require_store(settings)
    lead_ids = _find_all(place, settings, who) if who else None
    selection = Selection(
        lead_ids=lead_ids,
        customer_ids=customer or (),
        forms=form or (),
        states=state or (),
        since=since and since.replace(tzinfo=UTC),
        until=until and until.replace(tzinfo=UTC),
    )
    stories = read_beside(place, partial(tell_stories, selection=selection))
    _note_export(place, [str(story["id"]) for story in stories])
    with _open_output(output, encoding="utf-8-sig" if as_csv else "utf-8") as file:
        if as_csv:
            write_sheet(file, tabulate(stories))
        else:
            print_json(stories, file=file)


def _note_export(place: Place, lead_ids: Sequence[str]) -> None:
    """Before anything leaves: what cannot be written into the trail is not handed out."""
    if lead_ids:
        shares = read_beside(place, partial(list_shares, lead_ids=lead_ids))
        told = [asdict(share) for share in shares]
        command_store(place, {"do": "exported", "shares": told, "actor": name_actor()})


@contextmanager
def _open_output(path: Path | None, *, encoding: str) -> Iterator[TextIO]:
    """Excel reads a file as UTF-8 only when it begins with a mark; a program that reads the stream wants none."""
    if path is None:
        yield sys.stdout
        return
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise OperatorError(f"{path}: cannot be written: {error.strerror}") from None
    with open(number, "w", encoding=encoding, newline="") as file:  # noqa: PTH123 - opened above, for its mode
        yield file


def erase(
    who: Annotated[list[str], typer.Argument(metavar="WHO...", help=_WHO)],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
) -> None:
    """Erase a person's leads for good, and tell what remains to be done by hand."""
    settings = read_settings()
    place = reports.require_store(settings)
    lead_ids = _find_all(place, settings, who)
    kin = read_beside(place, partial(find_kin, lead_ids=lead_ids))
    if sys.stdin.isatty() and not yes:
        typer.confirm(f"Erase {_count(lead_ids)} for good?", abort=True)
    erased, refused = _erase_each(place, lead_ids)
    for remains in erased:
        _print_remains(remains)
    if erased:
        _wipe(place)
        _print_elsewhere(erased)
    if kin:
        print(
            f"perhaps the same person's, by e-mail or phone: {' '.join(write_reference(one) for one in kin)}"
        )
    for sentence in refused:
        print(sentence, file=sys.stderr)
    if refused:
        raise typer.Exit(1)


def _erase_each(place: Place, lead_ids: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Each lead for itself: what is in flight keeps no other from it."""
    erased, refused = [], []
    for lead_id in lead_ids:
        try:
            erased.append(command_store(place, {"do": "erase", "lead": lead_id, "actor": name_actor()}))
        except OperatorError as error:
            refused.append(str(error))
    return erased, refused


def _print_remains(remains: dict[str, Any]) -> None:
    print(f"{write_reference(remains['reference'])} is erased{_say_fate(remains)}")
    for there in remains["in_vitec"]:
        place = f"  by hand in Vitec, customer {there['customer_id']}:"
        known = [f"contact {contact_id}" for contact_id in there["contact_ids"]]
        known += [f"lead {there['vitec_lead_id']}"] * (there["vitec_lead_id"] is not None)
        if known:
            print(f"{place} erase {', '.join(known)}")
        if there["may_have_more"]:
            print(f"{place} look for the person, who may be there")


def _say_fate(remains: dict[str, Any]) -> str:
    return "; it had not been delivered and will not be" if remains["was_undelivered"] else ""


def _wipe(place: Place) -> None:
    if isinstance(place.at, str):
        print(
            "by hand in PostgreSQL: its next VACUUM frees what was deleted; VACUUM FULL overwrites it at once"
        )
    elif not command_store(place, {"do": "wipe"}):
        print(
            "a reader kept the database's log, where copies may stand: run leadgate purge when it has ended"
        )


def _print_elsewhere(erased: Sequence[dict[str, Any]]) -> None:
    names = " ".join(write_reference(one["reference"]) for one in erased)
    print(
        f"by hand: backups of the store, and mail about {names} in the office's and the operator's mailboxes"
    )


def purge() -> None:
    """Let go now of what has been kept long enough, as happens every hour by itself."""
    configuration = read_configuration()
    place = reports.require_store(configuration.settings)
    retention = {
        form: {state: kept.total_seconds() for state, kept in asdict(terms).items()}
        for form, terms in list_retention(configuration.forms).items()
    }
    count = command_store(place, {"do": "purge", "retention": retention})
    print(
        f"{count} lead{'s' * (count != 1)} purged, but for the receipt" if count else "nothing is old enough"
    )
    _wipe(place)


def _find_all(place: Place, settings: Settings, names: Sequence[str]) -> list[str]:
    digests = Digests(load_secret(settings))
    found = [
        lead_id
        for name in names
        for lead_id in read_beside(place, partial(_find, name=name, digests=digests))
    ]
    return list(dict.fromkeys(found))


def _find(connection: Connection, *, name: str, digests: Digests) -> list[str]:
    """Raises OperatorError. What is no lead's name is a phone number: with ten characters it may look like one."""
    if "@" in name:
        try:
            address = parse_email(name)
        except ValueError:
            raise OperatorError("that is no e-mail address") from None
        return _require(find_people(connection, email_key=digests.of_email(address)), "e-mail address")
    try:
        return [find_lead_id(connection, name)]
    except LeadNotFound:
        number = parse_phone(name, region="SE")
        if number is None:
            raise
    return _require(find_people(connection, phone_key=digests.of_phone(number)), "phone number")


def _require(lead_ids: list[str], what: str) -> list[str]:
    if not lead_ids:
        raise LeadNotFound(f"there is no lead with that {what}")
    return lead_ids


def _count(lead_ids: Sequence[str]) -> str:
    return f"{len(lead_ids)} lead{'s' * (len(lead_ids) != 1)}"
