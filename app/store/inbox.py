"""The leads as the admin pages list and count them: fast with a million delivered, whatever is asked for."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from heapq import merge
from itertools import islice, pairwise
from typing import Any

from sqlalchemy import Column, Connection, Select, Text, func, or_, select, tuple_, type_coerce
from sqlalchemy import Row as SqlRow

from app.errors import KeyMissing, LeadNotFound
from app.identity import earliest_id
from app.lead import Lead, LeadState
from app.store.history import load_history
from app.store.leads import find_lead_id, load_lead
from app.store.schema import IS_UNDELIVERED, leads, outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which leads. None is no wish; several wishes are all to hold."""

    customers: Collection[str] | None = None
    state: LeadState | None = None
    form: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    person: str | None = None
    """The keyed digest of an e-mail address or a phone number."""
    before: str | None = None
    """Only leads older than the one with this id: the next page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a lead is, as a line in a list. No personal data."""

    lead_id: str
    reference: str
    form: str
    customer_id: str
    received_at: datetime
    state: LeadState
    state_at: datetime
    reason: str | None
    next_attempt_at: datetime | None
    vitec_lead_id: str | None
    purged_at: datetime | None
    """When all that told of the person went."""


_PLACE = (
    outbox.c.lead_id,
    leads.c.reference,
    outbox.c.form,
    outbox.c.customer_id,
    leads.c.received_at,
    outbox.c.state,
    outbox.c.state_at,
    outbox.c.reason,
    outbox.c.next_attempt_at,
    outbox.c.vitec_lead_id,
    outbox.c.purged_at,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A lead in a list. None where what was kept cannot be read by this version."""

    place: Place
    lead: Lead | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Row):
    """A lead as it is at one moment, with all that has happened to it."""

    history: list[dict[str, Any]]


def list_rows(connection: Connection, wanted: Wanted, *, limit: int) -> list[Row]:
    """The newest first."""
    places = list_places(connection, wanted, limit=limit)
    return [Row(place=place, lead=_read(connection, place.lead_id)) for place in places]


def load_whole(connection: Connection, name: str, *, customers: Collection[str] | None) -> Whole:
    """By its id or reference. Raises LeadNotFound, also for a lead of another customer."""
    place = find_place(connection, find_lead_id(connection, name), customers=customers)
    history = load_history(connection, place.lead_id)
    return Whole(place=place, lead=_read(connection, place.lead_id), history=history)


def _read(connection: Connection, lead_id: str) -> Lead | None:
    try:
        return load_lead(connection, lead_id)
    except (ValueError, KeyMissing, LeadNotFound):
        return None


def list_places(connection: Connection, wanted: Wanted, *, limit: int) -> list[Place]:
    """The newest first."""
    branches = _branch(wanted, in_pairs=connection.dialect.name == "sqlite")
    found = [connection.execute(one.limit(limit)).all() for one in branches]
    rows = islice(merge(*found, key=lambda row: str(row.lead_id), reverse=True), limit)
    return [_place(row) for row in rows]


def _place(row: SqlRow[Any]) -> Place:
    return Place(**{**row._mapping, "state": LeadState(row.state)})  # noqa: SLF001 - its documented name


def find_place(connection: Connection, lead_id: str, *, customers: Collection[str] | None) -> Place:
    """Raises LeadNotFound, also for a lead of another customer: that it exists is none of their business."""
    statement = _select(Wanted(customers=customers)).where(outbox.c.lead_id == lead_id)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise LeadNotFound(f"there is no lead {lead_id}")
    return _place(row)


_FIRST, _LAST = "", "g"
"""Before and after every id there is: their digits are hexadecimal."""


def _branch(wanted: Wanted, *, in_pairs: bool) -> Iterator[Select[Any]]:
    """One statement for each customer or key: each walks one index in the order of the list, up to its limit."""
    walk = partial(_walk, wanted=wanted, in_pairs=in_pairs)
    if wanted.person is not None:
        for key in (leads.c.email_key, leads.c.phone_key):
            yield walk(_select(wanted).where(key == wanted.person))
    elif wanted.state not in {None, LeadState.DELIVERED}:
        yield walk(_select(wanted).where(IS_UNDELIVERED), column=outbox.c.state, value=wanted.state)
    elif wanted.form is not None:
        yield walk(_select(wanted), column=outbox.c.form, value=wanted.form)
    elif wanted.customers is not None:
        for customer_id in wanted.customers:
            yield walk(_select(wanted), column=outbox.c.customer_id, value=customer_id)
    else:
        yield walk(_select(wanted))


def _walk(
    statement: Select[Any],
    *,
    wanted: Wanted,
    in_pairs: bool,
    column: Column[Any] | None = None,
    value: str | None = None,
) -> Select[Any]:
    """From the newest wanted to the oldest, along the index of the column and the id, or along the ids alone.

    Of an equality and a range SQLite may take the range alone, and walk through everybody's leads for those of a
    form that has few: it is told both in one comparison of pairs, of which PostgreSQL in turn makes nothing.
    """
    since = earliest_id(wanted.since) if wanted.since else _FIRST
    until = min(earliest_id(wanted.until) if wanted.until else _LAST, wanted.before or _LAST)
    if column is not None and in_pairs:
        pair = tuple_(column, outbox.c.lead_id)
        within = pair >= (value, since), pair < (value, until)
        return statement.where(*within).order_by(column.desc(), outbox.c.lead_id.desc())
    if column is not None:
        statement = statement.where(column == value)
    within = outbox.c.lead_id >= since, outbox.c.lead_id < until
    return statement.where(*within).order_by(outbox.c.lead_id.desc())


def _select(wanted: Wanted) -> Select[Any]:
    """What is asked of each lead; what is concatenated with nothing is found in no index, and steers no walk."""
    statement = select(*_PLACE).join_from(outbox, leads, outbox.c.lead_id == leads.c.id)
    if wanted.state is not None:
        statement = statement.where(outbox.c.state.concat("") == wanted.state)
    if wanted.form is not None:
        statement = statement.where(outbox.c.form.concat("") == wanted.form)
    if wanted.customers is not None:
        statement = statement.where(outbox.c.customer_id.concat("").in_(wanted.customers))
    return statement


def count_undelivered(connection: Connection, *, customers: Collection[str] | None) -> dict[LeadState, int]:
    """How many leads are in each state but `delivered`."""
    statement = select(outbox.c.state, func.count()).where(IS_UNDELIVERED).group_by(outbox.c.state)
    if customers is not None:
        statement = statement.where(outbox.c.customer_id.in_(customers))
    return {LeadState(state): count for state, count in connection.execute(statement)}


def count_by_day(
    connection: Connection, days: Sequence[datetime], *, customers: Collection[str] | None
) -> list[dict[LeadState, int]]:
    """Of the leads received between each two moments, how many are in each state now."""
    return [_count_between(connection, *both, customers=customers) for both in pairwise(days)]


def _count_between(
    connection: Connection, since: datetime, until: datetime, *, customers: Collection[str] | None
) -> dict[LeadState, int]:
    statement = select(outbox.c.state, func.count()).group_by(outbox.c.state)
    statement = statement.where(outbox.c.lead_id >= earliest_id(since), outbox.c.lead_id < earliest_id(until))
    if customers is not None:
        statement = statement.where(outbox.c.customer_id.in_(customers))
    return {LeadState(state): count for state, count in connection.execute(statement)}


def search_names(
    connection: Connection, wanted: Wanted, words: Sequence[str], *, among: int, limit: int
) -> tuple[list[Row], str | None]:
    """The leads among the next so many with every word in their name or address, and where to go on looking.

    None when all have been looked through. Names have no index, and where they are encrypted none is found.
    """
    places = {place.lead_id: place for place in list_places(connection, wanted, limit=among)}
    ids = list(places)
    found: list[Row] = []
    for lead_id in _select_by_body(connection, ids, words):
        lead = _read(connection, lead_id) if lead_id in places else None
        if lead and _is_named(lead, words):
            found.append(Row(place=places[lead_id], lead=lead))
            if len(found) == limit:
                return found, lead_id
    return found, ids[-1] if len(ids) == among else None


def _select_by_body(connection: Connection, ids: Sequence[str], words: Sequence[str]) -> Sequence[str]:
    """Those in whose content every word stands somewhere, between the first and the last of these ids."""
    if not ids:
        return []
    # Not as the column's own type, which would seal the word as well.
    content = type_coerce(leads.c.body, Text)
    statement = select(leads.c.id).where(leads.c.id.between(ids[-1], ids[0])).order_by(leads.c.id.desc())
    for word in words:
        statement = statement.where(or_(*(content.contains(one, autoescape=True) for one in _cases(word))))
    return connection.execute(statement).scalars().all()


def _is_named(lead: Lead, words: Sequence[str]) -> bool:
    contact = lead.contact
    named = (contact.full_name, contact.company_name, contact.email, contact.phone)
    told = " ".join(filter(None, named)).casefold()
    return all(word.casefold() in told for word in words)


def _cases(word: str) -> set[str]:
    """SQLite's LIKE knows the two cases of ASCII alone: å and Å are strangers to it."""
    return {word, word.lower(), word.upper(), word.capitalize()}
