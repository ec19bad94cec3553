"""A store, the web application over it and the delivery out of it, put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from fastapi import FastAPI
from starlette.applications import Starlette

from app.cli.configuration import Configuration, load_secret, locate_store, reread_forms, reread_users
from app.cli.control import listening
from app.cli.retention import purging
from app.delivery.assembly import make_worker
from app.delivery.auditor import Auditor
from app.delivery.inspection import Inspector
from app.delivery.pace import Pace
from app.delivery.parcel import Terms
from app.delivery.watch import ReceiverWatch
from app.delivery.worker import Worker
from app.errors import ConfigurationError, OperatorError
from app.forms.live import LiveForms
from app.forms.model import Form, Forms, Mode, Password
from app.intake.accept import Acceptor, Key
from app.intake.canary import compose_canary
from app.intake.digests import Digests
from app.log import get_logger
from app.main import create_app, create_watch_app
from app.settings import Settings
from app.store.history import add_event
from app.store.store import Store
from app.users import LiveUsers
from app.vitec.client import VitecClient

_log = get_logger("process")

# Below the ten seconds after which an orchestrator kills.
_TURNS_GRACE = timedelta(seconds=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """What a process holds between `open_gateway` and the end of its block."""

    settings: Settings
    forms: LiveForms
    users: LiveUsers
    store: Store
    secret: bytes

    def create_app(self) -> FastAPI:
        return create_app(
            forms=self.forms,
            store=self.store,
            secret=self.secret,
            users=self.users,
            public_url=self.settings.public_url,
            rate_limit=self.settings.rate_limit,
            metrics_token=_find_token(self.settings),
        )

    def create_watch_app(self) -> Starlette:
        return create_watch_app(forms=self.forms, store=self.store, metrics_token=_find_token(self.settings))

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

    async def plant_canary(self, name: str, actor: str) -> dict[str, str]:
        """Keeps a canary of a form, which goes the way of every lead; its id and reference. Raises LeadgateError."""
        forms = self.forms.current
        form = require_live_form(forms, name)
        enquiry = compose_canary(form, forms, email=form.destination.office_email)
        acceptor = Acceptor(self.store, Digests(self.secret))
        now = self.store.now()
        # A key of its own: the same again within ten minutes is meant to be another.
        kept = await acceptor.accept(enquiry, form, forms, now=now, key=Key(value=f"canary:{uuid4()}"))
        await self.store.write(
            lambda connection: add_event(connection, kept.lead_id, "canary", now=now, actor=actor)
        )
        return {"id": kept.lead_id, "reference": kept.reference}

    def make_watch(self, client: VitecClient) -> ReceiverWatch:
        inspector = Inspector(client=client, pace=Pace(self.settings.vitec_rate))
        return ReceiverWatch(store=self.store, forms=self.forms, inspector=inspector, now=self.store.now)

    def reload(self) -> None:
        """Forms and users anew. A bad file leaves the old ones serving, and says so."""
        try:
            self.forms.current = reread_forms(self.settings)
            _log.info("forms_reloaded", forms=sorted(self.forms.current.forms))
        except ConfigurationError as error:
            _tell_mistakes("forms_not_reloaded", error)
        try:
            self.users.current = reread_users(self.settings)
        except ConfigurationError as error:
            _tell_mistakes("users_not_reloaded", error)


def _tell_mistakes(event: str, error: ConfigurationError) -> None:
    for one in error.mistakes:
        _log.error(event, source=one.source, key=one.key, mistake=one.message)


def require_live_form(forms: Forms, name: str) -> Form:
    """Raises OperatorError."""
    form = forms.forms.get(name)
    if form is None:
        raise OperatorError(f"there is no form {name!r}; there are {', '.join(sorted(forms.forms))}")
    if form.mode is Mode.TEST:
        raise OperatorError(f"form {name} is in test mode: nothing of it is sent to Vitec")
    return form


def _find_token(settings: Settings) -> Password | None:
    """What lets others than this machine read the metrics; from a file it is read at each use."""
    if settings.metrics_token is None:
        return None
    file = settings.files.get("metrics_token")
    return Password(file=file) if file else Password(value=settings.metrics_token.get_secret_value())


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
        gateway = Gateway(
            settings=settings,
            forms=forms,
            users=LiveUsers(configuration.users),
            store=store,
            secret=secret,
        )
        alone = isinstance(settings.database, Path)
        async with (
            listening(store, plant=gateway.plant_canary) if alone else nullcontext(),
            purging(store, forms),
        ):
            yield gateway
    finally:
        store.close()


@asynccontextmanager
async def delivering(gateway: Gateway, *, stop: asyncio.Event) -> AsyncIterator[Worker]:
    """Delivers until `stop` is set; a defect sets it too, and is raised at the end of the block."""
    settings = gateway.settings
    async with VitecClient(timeout=settings.vitec_timeout, wire_format=settings.vitec_format) as client:
        worker = gateway.make_worker(client)
        auditing = asyncio.create_task(Auditor(gateway.store, worker.courier.terms).run())
        watching = asyncio.create_task(gateway.make_watch(client).run())
        running = asyncio.create_task(worker.run())
        running.add_done_callback(lambda _: stop.set())
        # Drains beside whatever else stops: together they have ten seconds.
        draining = asyncio.create_task(_drain(worker, stop))
        try:
            yield worker
        finally:
            stop.set()
            auditing.cancel()
            watching.cancel()
            await draining
            await running


async def _drain(worker: Worker, stop: asyncio.Event) -> None:
    await stop.wait()
    await worker.stop(grace=_TURNS_GRACE)
