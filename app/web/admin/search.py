"""One box for everything an operator may have at hand: id, reference, e-mail, phone or name."""

import re
from dataclasses import dataclass
from functools import partial

from app.errors import LeadNotFound
from app.intake.people import parse_email
from app.phones import parse_phone
from app.store.inbox import Row, Wanted, load_whole, search_names
from app.store.store import Store
from app.users import User
from app.web.admin.backoffice import Backoffice, Visit
from app.web.api import LEAD_ID

AMONG = 20_000
"""Leads that are looked through at a time: names have no index, and may be encrypted."""

_LONGEST = 200
_MOST_WORDS = 5
_MOST_FOUND = 50
_PHONE_LIKE = re.compile(r"\+?[0-9][0-9 ()/.-]{4,24}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    text: str
    before: str | None = None
    lead_id: str | None = None
    person: str | None = None
    """The keyed digest of the address or number that was asked for."""

    @classmethod
    async def read(cls, backoffice: Backoffice, visit: Visit) -> "Search":
        given = await visit.read_form()
        text, before = given.get("q", "").strip()[:_LONGEST], given.get("before", "")
        if LEAD_ID.fullmatch(before):
            return cls(text=text, before=before)
        if key := _digest(backoffice, text):
            return cls(text=text, person=key)
        try:
            job = partial(load_whole, name=text, customers=visit.user.customers)
            return cls(text=text, lead_id=(await backoffice.reception.store.read(job)).place.lead_id)
        except LeadNotFound:
            return cls(text=text)

    async def find(self, store: Store, user: User) -> tuple[list[Row], str | None]:
        """The leads with every word in their name, among the next so many, and where to go on looking."""
        words = self.text.split()[:_MOST_WORDS]
        if not words or is_sealed(store):
            return [], None
        wanted = Wanted(customers=user.customers, before=self.before)
        return await store.read(
            partial(search_names, wanted=wanted, words=words, among=AMONG, limit=_MOST_FOUND)
        )


def is_sealed(store: Store) -> bool:
    """Whether what is kept is encrypted: then nobody is found by a part of a name."""
    return bool(store.place.keys)


def _digest(backoffice: Backoffice, text: str) -> str | None:
    if "@" in text:
        try:
            return backoffice.digests.of_email(parse_email(text))
        except ValueError:
            return None
    phone = parse_phone(text, region="SE") if _PHONE_LIKE.fullmatch(text) else None
    return backoffice.digests.of_phone(phone) if phone else None
