"""The long-running processes: the server with its delivery, and how they start, reload and stop."""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn

from app.cli.configuration import Configuration, reread_forms
from app.cli.control import ControlServer, locate_socket
from app.delivery.courier import Courier
from app.delivery.health import Health
from app.delivery.ledger import Ledger
from app.delivery.pace import Pace
from app.delivery.parcel import Terms
from app.delivery.upkeep import Upkeep
from app.delivery.worker import Worker
from app.errors import ConfigurationError, LeadgateError
from app.forms.live import LiveForms
from app.intake.digests import Digests
from app.log import get_logger
from app.main import create_app
from app.settings import Settings
from app.store.secret import load_or_make_secret
from app.store.store import Store
from app.vitec.client import VitecClient

_log = get_logger("process")

# Together below the ten seconds after which an orchestrator kills.
_REQUESTS_GRACE = 5
_TURNS_GRACE = timedelta(seconds=8)


class Server(uvicorn.Server):
    """Leaves signals to the process, which has more to stop than a server; uvicorn alone ends with -15."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises LeadgateError with a sentence for the operator."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise LeadgateError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another --port"
        ) from None
    return listener


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: Any, *, trusted_proxies: Sequence[object] = ()) -> Server:
    return Server(
        uvicorn.Config(
            app,
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # uvicorn believes loopback by default; here nobody is believed who is not named.
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=",".join(str(network) for network in trusted_proxies),
            timeout_graceful_shutdown=_REQUESTS_GRACE,
            timeout_keep_alive=15,
        )
    )


@dataclass(slots=True)
class Gateway:
    """A store, the web application over it, and the delivery out of it."""

    settings: Settings
    forms: LiveForms
    store: Store
    secret: bytes
    worker: Worker | None = None
    _running: "asyncio.Task[None] | None" = None
    _client: VitecClient | None = None
    _control: ControlServer | None = None

    @classmethod
    def open(cls, configuration: Configuration) -> "Gateway":
        """Takes the store's lock and brings it up to date. Raises StoreError."""
        settings = configuration.settings
        store = Store(settings.database_path)
        store.open()
        try:
            secret = (
                settings.secret_key.get_secret_value().encode()
                if settings.secret_key
                else load_or_make_secret(settings.database_path)
            )
        except LeadgateError:
            store.close()
            raise
        return cls(settings, LiveForms(configuration.forms), store, secret)

    def create_app(self) -> Any:
        return create_app(
            forms=self.forms, store=self.store, secret=self.secret, public_url=self.settings.public_url
        )

    async def start_control(self) -> None:
        self._control = ControlServer(self.store, locate_socket(self.settings.database_path))
        await self._control.start()

    def start_delivery(self, *, when_broken: Callable[[], None]) -> None:
        settings = self.settings
        self._client = VitecClient(timeout=settings.vitec_timeout, wire_format=settings.vitec_format)
        digest_password = Digests(self.secret).of_password
        health = Health(store=self.store, now=_now)
        ledger = Ledger(
            store=self.store,
            terms=Terms(
                timeout=settings.vitec_timeout,
                schedule=settings.retry_schedule,
                settle=settings.reconcile_settle,
            ),
            health=health,
            pace=Pace(settings.vitec_rate),
            digest_password=digest_password,
            now=_now,
        )
        courier = Courier(forms=self.forms, client=self._client, ledger=ledger)
        upkeep = Upkeep(
            forms=self.forms,
            client=self._client,
            health=health,
            digest_password=digest_password,
            probe_timeout=settings.vitec_timeout,
        )
        self.worker = Worker(self.store, courier, upkeep, concurrency=settings.vitec_concurrency, now=_now)
        self._running = asyncio.create_task(self.worker.run())
        self._running.add_done_callback(lambda _: when_broken())

    def reload(self) -> None:
        """The forms anew. A bad file leaves the old ones serving, and says so."""
        try:
            self.forms.current = reread_forms(self.settings)
        except ConfigurationError as error:
            for mistake in error.mistakes:
                _log.error(
                    "forms_not_reloaded", source=mistake.source, key=mistake.key, mistake=mistake.message
                )
            return
        _log.info("forms_reloaded", forms=sorted(self.forms.current.forms))

    async def stop_delivery(self) -> None:
        if self.worker is not None and self._running is not None:
            await self.worker.stop(grace=_TURNS_GRACE)
            await self._running

    async def close(self) -> None:
        await self.stop_delivery()
        if self._client is not None:
            await self._client.aclose()
        if self._control is not None:
            await self._control.stop()
        self.store.close()


Listening = tuple[Server, socket.socket]


async def run_servers(
    servers: Sequence[Listening], gateway: Gateway, *, announce: Callable[[], None]
) -> None:
    """Serves until SIGTERM or SIGINT, then drains: no new claims, the requests and turns under way finished."""
    loop = asyncio.get_running_loop()
    draining: list[asyncio.Task[None]] = []
    loop.add_signal_handler(signal.SIGHUP, gateway.reload)
    await _serve_until_told(
        servers,
        announce=announce,
        when_told=lambda: draining.append(loop.create_task(gateway.stop_delivery())),
    )
    await asyncio.gather(*draining)


async def serve_alone(server: Server, listener: socket.socket, *, announce: Callable[[], None]) -> None:
    """A server that has nothing behind it to drain."""
    await _serve_until_told([(server, listener)], announce=announce, when_told=lambda: None)


async def _serve_until_told(
    servers: Sequence[Listening], *, announce: Callable[[], None], when_told: Callable[[], object]
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)  # a second Ctrl-C interrupts at once
        when_told()
        for server, _ in servers:
            server.should_exit = True

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    serving = [asyncio.create_task(server.serve([listener])) for server, listener in servers]
    while not all(server.started for server, _ in servers) and not any(task.done() for task in serving):
        await asyncio.sleep(0.01)
    announce()
    # What is alive now stays alive: the collector need not walk it while visitors wait.
    gc.collect()
    gc.freeze()
    await asyncio.gather(*serving)


def run_loop(main: Awaitable[None]) -> None:
    """On uvloop where there is one."""

    async def run() -> None:
        await main

    with asyncio.Runner(loop_factory=_find_loop_factory()) as runner:
        runner.run(run())


def _find_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _now() -> datetime:
    return datetime.now(UTC)


async def serve(configuration: Configuration, *, host: str, port: int, deliver: bool) -> None:
    """`leadgate serve`. Raises LeadgateError before it is ready."""
    listener = bind(host, port)
    gateway = Gateway.open(configuration)
    try:
        await gateway.start_control()
        server = make_server(gateway.create_app(), trusted_proxies=configuration.settings.trusted_proxies)
        if deliver:
            gateway.start_delivery(when_broken=lambda: setattr(server, "should_exit", True))
        await run_servers(
            [(server, listener)],
            gateway,
            announce=lambda: print(f"Leadgate is ready on {address_of(listener)}", flush=True),
        )
    finally:
        await gateway.close()
