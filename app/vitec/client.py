"""The calls to Vitec Connect, each answered by a value and never by an exception."""

import time
from datetime import timedelta
from typing import Literal, Self
from urllib.parse import quote

import httpx

from app import tally
from app.forms.model import CallGroup, ContactType, Login
from app.vitec import xml
from app.vitec.answers import Answer, name_outcome
from app.vitec.contact import Body
from app.vitec.exchange import (
    ANSWER_CAP,
    JSON,
    XML,
    Call,
    PasswordUnreadable,
    exchange,
    make_request,
    make_tls,
    make_transport,
)
from app.vitec.guard import Clock, SendGuard, read_boot_clock
from app.vitec.payload import encode

WireFormat = Literal["json", "xml"]

LISTING_CAP = 4 * 1024 * 1024
"""Bytes read of the listings a configuration is checked against: users with everything about them."""


class VitecClient:
    """Speaks to Vitec Connect for any number of logins, whose passwords are read at each use.

    Nothing is kept between requests but idle connections of the reading calls: a create or a contact
    never meets a connection that its other end has let go. No redirects, no cookies, no proxy from the
    environment. An answer says whether anything was sent; only cancellation passes through.
    """

    def __init__(
        self,
        *,
        timeout: timedelta,
        wire_format: WireFormat = "json",
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = read_boot_clock,
        wall: Clock = time.time,
    ) -> None:
        """`timeout` is the whole request's; `wire_format` that of POST CRM/Lead, all else being JSON."""
        self._timeout = timeout.total_seconds()
        self._wire_format: WireFormat = wire_format
        self._clock = clock
        self._wall = wall
        # One for both: to read the roots takes as long as a call does.
        tls = None if transport else make_tls()
        self._reading = transport or make_transport(self._timeout, keep_alive=True, tls=tls)
        self._writing = transport or make_transport(self._timeout, keep_alive=False, tls=tls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._reading.aclose()
        await self._writing.aclose()

    async def update_contact(self, login: Login, kind: ContactType, body: bytes) -> Answer:
        """POST Contacts/UpdatePerson or UpdateCompany, with the frozen body as it is."""
        path = "Contacts/UpdateCompany" if kind is ContactType.COMPANY else "Contacts/UpdatePerson"
        return await self._ask(login, Call(group=CallGroup.CONTACT, path=path, content=body))

    async def create_lead(self, login: Login, customer_id: str, body: Body, *, deadline: float) -> Answer:
        """POST CRM/Lead. Not repeatable: every success makes a new lead.

        `deadline`: `read_boot_clock()` seconds, from when the intent was written. Nothing is sent past it or
        after the clocks parted, and nothing is awaited past it.
        """
        in_xml = self._wire_format == "xml"
        call = Call(
            group=CallGroup.CREATE,
            path=f"CRM/Lead/{_segment(customer_id)}",
            content=xml.encode_lead(body) if in_xml else encode(body),
            media_type=XML if in_xml else JSON,
        )
        return await self._ask(login, call, deadline=deadline)

    async def list_leads(self, login: Login, customer_id: str, contact_id: str) -> Answer:
        """The leads of one contact, of all four types. Read with `parse_lead_ids`."""
        path = f"CRM/Contact/{_segment(customer_id)}/{_segment(contact_id)}/true/true/true/true/Lead"
        return await self._read(login, path)

    async def read_incoming(self, login: Login, customer_id: str, lead_id: str) -> Answer:
        """One lead. Read with `parse_incoming`."""
        return await self._read(login, f"CRM/Lead/{_segment(customer_id)}/Incoming/{_segment(lead_id)}")

    async def search_by_email(self, login: Login, customer_id: str, email: str) -> Answer:
        """POST Contacts/GetContactsSyncList, a reading call. Read with `parse_contact_ids`."""
        criteria = encode({"customerId": customer_id, "emailAddresses": [email]})
        call = Call(group=CallGroup.READ, path="Contacts/GetContactsSyncList", content=criteria)
        return await self._ask(login, call)

    async def search_by_phone(self, login: Login, customer_id: str, phone: str) -> Answer:
        """GET Contacts/GetContactsWithPhonenumber. Read with `parse_contact_ids`."""
        params = {"phoneNumber": phone, "customerId": customer_id}
        return await self._read(login, "Contacts/GetContactsWithPhonenumber", params=params)

    async def get_users(self, login: Login, customer_id: str) -> Answer:
        """GET User/GetUser: the public users. Holds bank details: read with `parse_listing` alone."""
        return await self._read(login, "User/GetUser", params={"CustomerId": customer_id}, cap=LISTING_CAP)

    async def get_user_groups(self, login: Login, customer_id: str) -> Answer:
        """GET CRM/Usergroups. Read with `parse_listing`."""
        return await self._read(login, f"CRM/Usergroups/{_segment(customer_id)}", cap=LISTING_CAP)

    async def get_offices(self, login: Login, customer_id: str) -> Answer:
        """GET Office/GetOffice. Read with `parse_listing`. A cheap probe of the reading calls."""
        return await self._read(
            login, "Office/GetOffice", params={"CustomerId": customer_id}, cap=LISTING_CAP
        )

    async def probe_contact(self, login: Login, customer_id: str) -> Answer:
        """POST Contacts/UpdatePerson with nobody in it: refused as incomplete once the login is let in.

        Vitec asks for an e-mail address or a phone number (its page UpdatePerson), so that nobody is made.
        """
        body = encode({"customerId": customer_id})
        return await self._ask(
            login, Call(group=CallGroup.CONTACT, path="Contacts/UpdatePerson", content=body)
        )

    async def probe_create(self, login: Login, customer_id: str) -> Answer:
        """POST CRM/Lead with nothing in it: refused as incomplete, for a contact, receiver and source are required."""
        path = f"CRM/Lead/{_segment(customer_id)}"
        return await self._ask(login, Call(group=CallGroup.CREATE, path=path, content=encode({})))

    async def _read(
        self, login: Login, path: str, *, params: dict[str, str] | None = None, cap: int = ANSWER_CAP
    ) -> Answer:
        return await self._ask(login, Call(group=CallGroup.READ, path=path, params=params, cap=cap))

    async def _ask(self, login: Login, call: Call, *, deadline: float | None = None) -> Answer:
        latest = self._clock() + self._timeout
        guard = SendGuard(
            latest if deadline is None else min(deadline, latest), clock=self._clock, wall=self._wall
        )
        try:
            request = make_request(login, call, guard=guard)
        except PasswordUnreadable as error:
            return Answer(sent=False, error=str(error))
        transport = self._reading if call.group is CallGroup.READ else self._writing
        begun = time.perf_counter()
        answer = await exchange(transport, request, guard=guard, cap=call.cap)
        tally.VITEC_SECONDS.add(time.perf_counter() - begun, call.group)
        tally.VITEC_CALLS.add(call.group, name_outcome(answer, call.group))
        return answer


def _segment(text: str) -> str:
    return quote(text, safe="")
