"""The operator's pages over a real store, and people who sign in to them."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from argon2 import PasswordHasher
from sqlalchemy import Connection, update

from app.identity import IdentitySource
from app.lead import Contact, Enquiry, LeadState
from app.store.acceptance import accept_all
from app.store.leads import write_body
from app.store.schema import outbox
from app.store.words import Acceptance
from app.users import LiveUsers, User
from tests.gateways import HOST, Gateway, open_gateway
from tests.stores import NOW, new_lead

PASSWORD = "correct horse battery"
# As weak as can be: what Argon2 costs is not what these tests are about.
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
OWN = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}

FORMS = """
[defaults]
customer_id = "M1"
assigned_to_id = "HAN1"
lead_source_id = "LKA1"

[receivers.solviken]
customer_id = "M2"

[forms.kontakt]
allowed_origins = ["https://www.byran.se"]

[forms.solviken]
receiver = "solviken"

[forms.prov]
mode = "test"
"""


def make_users(**customers: list[str] | None) -> LiveUsers:
    users = {
        name: User(name=name, password_hash=HASH, customers=None if listed is None else frozenset(listed))
        for name, listed in customers.items()
    }
    return LiveUsers(users)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    gateway: Gateway
    users: LiveUsers

    @property
    def client(self) -> httpx.AsyncClient:
        return self.gateway.client

    async def sign_in(self, name: str = "admin", password: str = PASSWORD, **fields: str) -> httpx.Response:
        given = {"name": name, "password": password, **fields}
        return await self.client.post("/admin/login", data=given, headers=OWN)

    async def post(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        headers: dict[str, str] | None = None,
        **more: str,
    ) -> httpx.Response:
        """As a browser sends a form, an empty one too."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        own = OWN if headers is None else headers
        return await self.client.post(
            path, content=urlencode({**(fields or {}), **more}), headers={**own, **kind}
        )

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers={"Accept-Language": "en", **headers})

    async def keep(self, state: LeadState = LeadState.PENDING, **changes: Any) -> str:
        return await self.gateway.store.write(lambda connection: keep_in(connection, state, **changes))


@asynccontextmanager
async def open_admin(
    folder: Path, *, signed_in: str | None = "admin", users: LiveUsers | None = None, **options: Any
) -> AsyncIterator[Admin]:
    people = users or make_users(admin=None, eva=["M2"])
    async with open_gateway(folder, FORMS, users=people, **options) as gateway:
        admin = Admin(gateway=gateway, users=people)
        if signed_in:
            answer = await admin.sign_in(signed_in)
            assert answer.status_code == 303, answer.text
        yield admin


def keep_in(
    connection: Connection,
    state: LeadState,
    *,
    name: str = "Anna Bergström",
    reason: str = "the reason",
    **changes: Any,
) -> str:
    given, _, family = name.partition(" ")
    enquiry = Enquiry(
        language="sv", contact=Contact(first_name=given, last_name=family, email="anna@example.com")
    )
    first = {"state": state, "reason": reason} if state is LeadState.QUARANTINED else {}
    new = new_lead(**{"body": write_body(enquiry), "customer_id": "M1", **first, **changes})
    (kept,) = accept_all(connection, [new], IdentitySource())  # its own: another's ids never go back in time
    assert isinstance(kept, Acceptance)
    lead_id = kept.lead_id
    values: dict[str, Any] = {"state": state, "next_attempt_at": None, "reason": reason}
    if state is LeadState.PENDING:
        values |= {"next_attempt_at": NOW, "reason": None}
    if state is LeadState.DELIVERED:
        values |= {"vitec_lead_id": "LED1", "delivered_at": NOW, "reason": None}
    connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(values))
    return lead_id


def names_in(page: str) -> list[str]:
    """Who is listed, in order."""
    return re.findall(r'<div class="who"><a href="/admin/leads/[0-9a-f-]{36}">([^<]*)</a>', page)
