"""What is taken out of the store for people: a person's data, or an agency's leads as rows of a table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from app.forms.campaign import CLICK_IDS
from app.identity import earliest_id
from app.lead import LeadState
from app.store.audit import add_audit
from app.store.schema import outbox
from app.store.stories import Story, tell_story


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which leads; what is not said leaves none out."""

    lead_ids: Sequence[str] | None = None
    customer_ids: Sequence[str] = ()
    forms: Sequence[str] = ()
    states: Sequence[LeadState] = ()
    since: datetime | None = None
    until: datetime | None = None
    """Received before that."""


def list_selected(connection: Connection, selection: Selection) -> list[str]:
    """The ids, the oldest first."""
    statement = select(outbox.c.lead_id).order_by(outbox.c.lead_id)
    if selection.lead_ids is not None:
        statement = statement.where(outbox.c.lead_id.in_(selection.lead_ids))
    for column, wanted in (
        (outbox.c.customer_id, selection.customer_ids),
        (outbox.c.form, selection.forms),
        (outbox.c.state, selection.states),
    ):
        if wanted:
            statement = statement.where(column.in_(wanted))
    if selection.since is not None:
        statement = statement.where(outbox.c.lead_id >= earliest_id(selection.since))
    if selection.until is not None:
        statement = statement.where(outbox.c.lead_id < earliest_id(selection.until))
    return list(connection.execute(statement).scalars())


def tell_stories(connection: Connection, selection: Selection) -> list[Story]:
    """Everything that is kept of the leads, as for an access request (GDPR article 15)."""
    return [tell_story(connection, lead_id) for lead_id in list_selected(connection, selection)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One customer's part of what is handed out."""

    customer_id: str
    count: int
    only: str | None
    """The lead, where it is one alone."""


def list_shares(connection: Connection, lead_ids: Sequence[str]) -> list[Share]:
    found: dict[str, list[str]] = {}
    for lead_id in lead_ids:
        statement = select(outbox.c.customer_id).where(outbox.c.lead_id == lead_id)
        found.setdefault(connection.execute(statement).scalar_one(), []).append(lead_id)
    return [
        Share(customer_id=customer_id, count=len(theirs), only=theirs[0] if len(theirs) == 1 else None)
        for customer_id, theirs in sorted(found.items())
    ]


def note_export(connection: Connection, shares: Iterable[Share], *, now: datetime, actor: str) -> None:
    """A line of the trail for each customer: who took out how much, and never who was asked for."""
    for share in shares:
        detail = None if share.only else f"{share.count} leads"
        told = {"lead_id": share.only, "customer_id": share.customer_id, "detail": detail}
        add_audit(connection, "exported", actor=actor, now=now, **told)


def tabulate(stories: Sequence[Story]) -> Iterator[Sequence[str]]:
    """The same as a table, its heading first: one row a lead, click ids and consents in columns of their own."""
    rows = [_flatten(story) for story in stories]
    heading = list(dict.fromkeys(name for row in rows for name in row)) or list(_flatten({}))
    yield heading
    for row in rows:
        yield [_write(row.get(name)) for name in heading]


def _flatten(story: Story) -> dict[str, Any]:
    lead: Mapping[str, Any] = story.get("lead") or {}
    contact = lead.get("contact") or {}
    notice = lead.get("notice") or {}
    marketing = lead.get("marketing") or {}
    tags = {tag["name"]: tag["value"] for tag in marketing.get("utmTags", ())}
    plain = ("language", "message", "unreadablePhone", "receiver", "pageUrl", "follows")
    return {
        **{name: story.get(name) for name in ("id", "reference", "form", "receivedAt")},
        "outcome": story.get("status"),
        # A row that says nothing of the person must say why.
        **({"unreadable": lead["unreadable"]} if "unreadable" in lead else {}),
        **{name: story.get(name) for name in ("deliveredAt", "vitecLeadId", "purgedAt")},
        **{name: contact.get(name) for name in _CONTACT},
        **{name: lead.get(name) for name in plain},
        "noticeVersion": notice.get("version"),
        "noticeLanguage": notice.get("language"),
        "noticeShownAt": notice.get("shownAt"),
        "referrer": marketing.get("referrer"),
        **{name: tags.pop(name, None) for name in CLICK_IDS},
        **{f"consent.{one['name']}": one["given"] for one in lead.get("consents", ())},
        **{f"answer.{one['name']}": one["value"] for one in lead.get("answers", ())},
        **{f"tag.{name}": value for name, value in tags.items()},
    }


_CONTACT = (
    "firstName",
    "lastName",
    "email",
    "phone",
    "companyName",
    "corporateNumber",
    "streetAddress",
    "zipCode",
    "city",
)


def _write(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
