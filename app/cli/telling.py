"""Telling beside a running process: messages where it delivers, and a heartbeat from whatever it does."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from app.cli.gateway import Gateway
from app.delivery.worker import Worker
from app.notices.assembly import Terms, make_dispatcher
from app.notices.dispatcher import Dispatcher
from app.notices.heartbeat import Check, Heartbeat, can_accept
from app.notices.webhook import Outward, open_outward
from app.settings import Settings
from app.store.alarms import Conditions
from app.store.place import RESERVE, find_free

_GRACE = timedelta(seconds=3)
"""For the message that is being sent when the process stops."""

_LOW = 4 * RESERVE
"""Bytes of free disk below which the operator is told, while there is still time."""


@asynccontextmanager
async def telling(gateway: Gateway, *, accepting: bool, worker: Worker | None) -> AsyncIterator[None]:
    """Until the end of the block. `accepting`, `worker`: what this process does."""
    async with open_outward() as client:
        outward = Outward(client)
        dispatcher = _make_dispatcher(gateway, outward) if worker is not None else None
        heartbeat = _make_heartbeat(gateway, outward, accepting=accepting, worker=worker)
        tasks = [asyncio.create_task(one.run()) for one in (dispatcher, heartbeat) if one is not None]
        try:
            yield
        finally:
            if dispatcher is not None:
                await dispatcher.stop(grace=_GRACE)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def make_terms(settings: Settings) -> Terms:
    webhook = settings.alert_webhook
    return Terms(
        mail_server=settings.mail_server,
        alert_email=settings.alert_email,
        webhook_url=webhook.get_secret_value() if webhook else None,
        public_url=settings.public_url,
    )


def _make_dispatcher(gateway: Gateway, outward: Outward) -> Dispatcher:
    return make_dispatcher(
        store=gateway.store,
        forms=gateway.forms,
        secret=gateway.secret,
        terms=make_terms(gateway.settings),
        outward=outward,
        now=gateway.store.now,
        look_outside=partial(look_at_disk, gateway.settings.database),
    )


def _make_heartbeat(
    gateway: Gateway, outward: Outward, *, accepting: bool, worker: Worker | None
) -> Heartbeat | None:
    """None where nobody listens for it."""
    url = gateway.settings.heartbeat_url
    if url is None:
        return None
    parts: dict[str, Check] = {"accepting": partial(can_accept, gateway.store)} if accepting else {}
    if worker is not None:
        parts["delivering"] = worker.turns
    return Heartbeat(
        store=gateway.store,
        outward=outward,
        url=url.get_secret_value(),
        parts=parts,
        now=gateway.store.now,
    )


def look_at_disk(database: Path | str) -> Mapping[str, Conditions]:
    """Whether the disk under a SQLite file is nearly full; a PostgreSQL server's is its own operator's."""
    if not isinstance(database, Path):
        return {}
    free = find_free(database.absolute().parent)
    low: Conditions = {"": {"megabytes": free // (1024 * 1024)}} if free < _LOW else {}
    return {"disk_low": low}
