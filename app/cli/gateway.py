"""A store, the web application over it and the delivery out of it, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI

from app.cli.configuration import Configuration, load_secret, locate_store, reread_forms
from app.cli.control import listening
from app.cli.retention import purging
from app.delivery.assembly import make_worker
from app.delivery.parcel import Terms
from app.delivery.worker import Worker
from app.errors import ConfigurationError
from app.forms.live import LiveForms
from app.intake.digests import Digests
from app.log import get_logger
from app.main import create_app
from app.settings import Settings
from app.store.store import Store
from app.vitec.client import VitecClient

_log = get_logger("process")

# Below the ten seconds after which an orchestrator kills.
_TURNS_GRACE = timedelta(seconds=8)


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a process holds between `open_gateway` and the end of its block."""

    settings: Settings
    forms: LiveForms
    store: Store
    secret: bytes

    def create_app(self) -> FastAPI:
        return create_app(
            forms=self.forms,
            store=self.store,
            secret=self.secret,
            public_url=self.settings.public_url,
            rate_limit=self.settings.rate_limit,
        )

    def make_worker(self, client: VitecClient) -> Worker:
        settings = self.settings
        return make_worker(
            store=self.store,
            forms=self.forms,
            client=client,
            terms=Terms(
                timeout=settings.vitec_timeout,
                schedule=settings.retry_schedule,
                settle=settings.reconcile_settle,
                rate=settings.vitec_rate,
                concurrency=settings.vitec_concurrency,
            ),
            digest_password=Digests(self.secret).of_password,
            now=self.store.now,
        )

    def reload(self) -> None:
        """The forms anew. A bad file leaves the old ones serving, and says so."""
        try:
            self.forms.current = reread_forms(self.settings)
        except ConfigurationError as error:
            for one in error.mistakes:
                _log.error("forms_not_reloaded", source=one.source, key=one.key, mistake=one.message)
            return
        _log.info("forms_reloaded", forms=sorted(self.forms.current.forms))


@asynccontextmanager
async def open_gateway(configuration: Configuration) -> AsyncIterator[Gateway]:
    """Takes the store's lock, brings it up to date, and listens for operators' commands. Raises LeadgateError."""
    settings = configuration.settings
    store = Store(locate_store(settings))
    store.open()
    try:
        secret = load_secret(settings)
        forms = LiveForms(configuration.forms)
        # Where several processes may write, commands need none of them.
        async with (
            listening(store) if isinstance(settings.database, Path) else nullcontext(),
            purging(store, forms),
        ):
            yield Gateway(settings, forms, store, secret)
    finally:
        store.close()


@asynccontextmanager
async def delivering(gateway: Gateway, *, stop: asyncio.Event) -> AsyncIterator[None]:
    """Delivers until `stop` is set; a defect sets it too, and is raised at the end of the block."""
    settings = gateway.settings
    async with VitecClient(timeout=settings.vitec_timeout, wire_format=settings.vitec_format) as client:
        worker = gateway.make_worker(client)
        running = asyncio.create_task(worker.run())
        running.add_done_callback(lambda _: stop.set())
        # Drains beside whatever else stops: together they have ten seconds.
        draining = asyncio.create_task(_drain(worker, stop))
        try:
            yield
        finally:
            stop.set()
            await draining
            await running


async def _drain(worker: Worker, stop: asyncio.Event) -> None:
    await stop.wait()
    await worker.stop(grace=_TURNS_GRACE)
