"""`leadgate check --canary`: one marked lead, sent as every lead is, and read back."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from app.cli.configuration import Configuration, locate_store
from app.cli.control import ask, find_server, name_actor
from app.cli.gateway import open_gateway, require_live_form
from app.delivery.canary import Landed, deliver_alone, read_back
from app.delivery.verdicts import CallFinding
from app.errors import OperatorError
from app.forms.routing import choose_receiver
from app.lead import LeadState
from app.log import configure_logging
from app.store.leads import find_status, find_vitec_ids
from app.store.reading import read_beside
from app.store.words import LeadStatus
from app.vitec.client import VitecClient

_LOOK_EVERY = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What became of it."""

    form: str
    lead_id: str
    reference: str
    state: LeadState
    reason: str | None
    contact_id: str | None = None
    vitec_lead_id: str | None = None
    calls: tuple[CallFinding, ...] = ()

    @property
    def ok(self) -> bool:
        return self.vitec_lead_id is not None and bool(self.calls) and all(one.ok for one in self.calls)

    @property
    def verdict(self) -> str:
        """Of one that is not ok."""
        if self.vitec_lead_id is not None:
            return "arrived, but could not be read back"
        if self.state is LeadState.PENDING:
            return "is kept and has not arrived yet; it will be tried again by the server"
        return f"is {self.state}: {self.reason}"


def send_canary(configuration: Configuration, form: str) -> Canary:
    """Through the server that holds the store, or by itself. Raises LeadgateError."""
    require_live_form(configuration.forms, form)
    patience = 2 * configuration.settings.vitec_timeout + timedelta(seconds=15)
    channel = find_server(configuration.settings.database)
    if channel is None:
        return asyncio.run(_send_alone(configuration, form, patience=patience))
    planted = ask(channel, {"do": "canary", "form": form, "actor": name_actor()})
    return asyncio.run(_follow(configuration, form, planted["id"], patience=patience))


async def _send_alone(configuration: Configuration, form: str, *, patience: timedelta) -> Canary:
    configure_logging(configuration.settings.log_format)
    settings = configuration.settings
    async with (
        open_gateway(configuration) as gateway,
        VitecClient(timeout=settings.vitec_timeout, wire_format=settings.vitec_format) as client,
    ):
        planted = await gateway.plant_canary(form, name_actor())
        await deliver_alone(gateway.make_worker(client), gateway.store, planted["id"], patience=patience)
    return await _follow(configuration, form, planted["id"], patience=timedelta())


async def _follow(configuration: Configuration, form: str, lead_id: str, *, patience: timedelta) -> Canary:
    """Until it is settled, or `patience` is over; then reads it back."""
    status = await _await_settled(configuration, lead_id, patience=patience)
    contact_id, vitec_lead_id = await asyncio.to_thread(
        read_beside, locate_store(configuration.settings), partial(find_vitec_ids, lead_id=lead_id)
    )
    calls: tuple[CallFinding, ...] = ()
    if contact_id and vitec_lead_id:
        calls = await _read_back(configuration, form, status, contact_id, vitec_lead_id)
    return Canary(
        form=form,
        lead_id=lead_id,
        reference=status.reference,
        state=status.state,
        reason=status.reason,
        contact_id=contact_id,
        vitec_lead_id=vitec_lead_id,
        calls=calls,
    )


async def _await_settled(configuration: Configuration, lead_id: str, *, patience: timedelta) -> LeadStatus:
    end = asyncio.get_running_loop().time() + patience.total_seconds()
    look = partial(find_status, lead_id=lead_id)
    while True:
        status = await asyncio.to_thread(read_beside, locate_store(configuration.settings), look)
        if status is None:
            raise OperatorError("the canary has been erased meanwhile")
        if status.state is not LeadState.PENDING or asyncio.get_running_loop().time() >= end:
            return status
        await asyncio.sleep(_LOOK_EVERY.total_seconds())


async def _read_back(
    configuration: Configuration, form: str, status: LeadStatus, contact_id: str, vitec_lead_id: str
) -> tuple[CallFinding, ...]:
    forms = configuration.forms
    found = require_live_form(forms, form)
    choice = choose_receiver(found, forms, wanted=None, zip_code=None, values={})
    destination = forms.destination(found, choice.receiver)
    landed = Landed(
        lead_id=status.lead_id,
        reference=status.reference,
        customer_id=destination.customer_id,
        contact_id=contact_id,
        vitec_lead_id=vitec_lead_id,
    )
    async with VitecClient(timeout=configuration.settings.vitec_timeout) as client:
        return await read_back(client, forms.logins[destination.vitec], landed)
