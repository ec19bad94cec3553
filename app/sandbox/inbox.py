"""The inbox page: the leads as an agent would see them arrive, and the faults that are set."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.resources import STATIC, TEMPLATES
from app.sandbox.call import STOCKHOLM
from app.sandbox.config import SandboxConfig
from app.sandbox.faults import KINDS, FaultBoard, Moment
from app.sandbox.world import Contact, StoredLead, World

_SHOWN = 100
_ASSETS = ("sandbox.css", "sandbox.js")
_TIMES = ((1, "nästa anrop"), (5, "nästa fem anrop"), (None, "alla anrop, tills det tas bort"))
_GROUPS = (
    (Moment.BEFORE, "Innan något har sparats"),
    (Moment.AFTER, "När det redan har sparats"),
    (Moment.ALTERS, "Svarar, men annorlunda"),
)
_REACHED_BY = ("cellPhone", "telePhone", "workPhone", "otherPhone", "switchPhone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One lead with its contact, in words."""

    id: str
    at: datetime
    """In Swedish time."""
    contact: "Line"
    message: str
    receiver: str
    office: str
    source: str
    referrer: str
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One contact in words."""

    id: str
    name: str
    email: str
    phone: str
    address: str
    leads: int


class Inbox:
    """Renders the page, and the part of it that is fetched again and again."""

    def __init__(self, config: SandboxConfig, world: World, board: FaultBoard) -> None:
        self._config = config
        self._world = world
        self._board = board
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES / "sandbox"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._stamps = {name: sha256((STATIC / name).read_bytes()).hexdigest()[:12] for name in _ASSETS}

    def render_page(self) -> str:
        groups = [
            (title, [(name, kind.label) for name, kind in KINDS.items() if kind.moment is moment])
            for moment, title in _GROUPS
        ]
        return self._render("inbox.html", stamps=self._stamps, groups=groups, times=_TIMES)

    def render_live(self) -> str:
        return self._render("live.html")

    def _render(self, name: str, **values: Any) -> str:
        leads = self._world.leads
        contacts = {contact.id: contact for contact in self._world.contacts}
        counts = Counter(lead.contact_id for lead in leads)
        lines = {one.id: _describe_contact(one, counts) for one in contacts.values()}
        return self._templates.get_template(name).render(
            cards=[self._describe_lead(lead, lines) for lead in reversed(leads[-_SHOWN:])],
            lines=list(reversed(lines.values()))[:_SHOWN],
            total=len(leads),
            known=len(contacts),
            faults=self._board.faults,
            moments=dict(_GROUPS),
            **values,
        )

    def _describe_lead(self, lead: StoredLead, lines: Mapping[str, Line]) -> Card:
        customer = next(one for one in self._config.customers if one.id == lead.customer_id)
        return Card(
            id=lead.id,
            at=lead.created_at.astimezone(STOCKHOLM),
            contact=lines[lead.contact_id],
            message=lead.message,
            receiver=customer.name_receiver(lead.assigned_to_id) or lead.assigned_to_id,
            office=customer.name,
            source=self._config.lead_sources.get(lead.lead_source_id, lead.lead_source_id),
            referrer=lead.referrer or "",
            tags=lead.utm_tags,
        )


def _describe_contact(contact: Contact, counts: Mapping[str, int]) -> Line:
    values = contact.values
    home = values.get("address", {})
    town = " ".join(filter(None, (home.get("zipCode"), home.get("city"))))
    return Line(
        id=contact.id,
        name=contact.name or "Utan namn",
        email=values.get("email", {}).get("emailAddress", ""),
        phone=next(filter(None, (values.get(name) for name in _REACHED_BY)), ""),
        address=", ".join(filter(None, (home.get("streetAddress"), town))),
        leads=counts.get(contact.id, 0),
    )
