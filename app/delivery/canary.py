"""Brings one lead on its way by itself, and reads it back from Vitec by the calls that reconciling rests on."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from app.delivery.verdicts import CallFinding, explain
from app.delivery.worker import Worker
from app.forms.model import CallGroup, Login
from app.lead import LeadState
from app.store.claiming import claim_next
from app.store.leads import find_status
from app.store.store import Store
from app.vitec.client import VitecClient
from app.vitec.readings import carries_marker, parse_incoming, parse_lead_ids

_LOOKS = 4
_PAUSE = timedelta(seconds=2)

_LIST, _READ = "GET CRM/Contact/…/Lead", "GET CRM/Lead/…/Incoming"


async def deliver_alone(worker: Worker, store: Store, lead_id: str, *, patience: timedelta) -> None:
    """Until the lead is no longer pending, or `patience` is over. No other lead is touched; another worker may
    be at work on this one."""
    try:
        async with asyncio.timeout(patience.total_seconds()):
            while (status := await store.read(partial(find_status, lead_id=lead_id))) is not None:
                if status.state is not LeadState.PENDING:
                    return
                await worker.upkeep.do_once()
                now = store.now()
                leased_until = now + worker.courier.terms.lease
                selection = replace(worker.select(), lead_id=lead_id)
                claim = await store.write(
                    partial(claim_next, now=now, leased_until=leased_until, selection=selection)
                )
                if claim is None:
                    await asyncio.sleep(1)
                else:
                    # A turn is never cut off: what it did at Vitec would have to be looked for.
                    await asyncio.shield(worker.courier.deliver(claim))
    except TimeoutError:
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A lead as Vitec knows it."""

    lead_id: str
    reference: str
    customer_id: str
    contact_id: str
    vitec_lead_id: str


async def read_back(client: VitecClient, login: Login, landed: Landed) -> tuple[CallFinding, ...]:
    """Whether the contact's leads list it, and whether it is read with its marker. Looks a few times: what was
    just made need not be listed at once."""
    listed = await _find_listed(client, login, landed)
    return (listed, await _find_marker(client, login, landed)) if listed.status is not None else (listed,)


async def _find_listed(client: VitecClient, login: Login, landed: Landed) -> CallFinding:
    looks = 0
    while True:
        answer = await client.list_leads(login, landed.customer_id, landed.contact_id)
        ids = parse_lead_ids(answer)
        if ids is None:
            told = "the answer cannot be read" if answer.succeeded else explain(answer)
            return _finding(_LIST, answer.status, told, ok=False)
        if landed.vitec_lead_id in ids:
            return _finding(_LIST, answer.status, "listed among its contact's leads", ok=True)
        looks += 1
        if looks == _LOOKS:
            return _finding(_LIST, answer.status, f"not among its contact's {len(ids)} leads", ok=False)
        await asyncio.sleep(_PAUSE.total_seconds())


async def _find_marker(client: VitecClient, login: Login, landed: Landed) -> CallFinding:
    answer = await client.read_incoming(login, landed.customer_id, landed.vitec_lead_id)
    incoming = parse_incoming(answer)
    if incoming is None:
        told = "the answer cannot be read" if answer.succeeded else explain(answer)
        return _finding(_READ, answer.status, told, ok=False)
    marked = carries_marker(incoming, lead_id=landed.lead_id, reference=landed.reference)
    told = "its marker came back" if marked else "read, but without its marker"
    return _finding(_READ, answer.status, told, ok=marked)


def _finding(call: str, status: int | None, told: str, *, ok: bool) -> CallFinding:
    return CallFinding(group=CallGroup.READ, call=call, status=status, ok=ok, told=told)
