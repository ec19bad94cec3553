"""Long-running processes: how they listen, say that they are ready, reload, drain and stop."""

import asyncio
import contextlib
import gc
import signal
import socket
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from importlib import import_module
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import uvicorn

from app.cli.configuration import Configuration
from app.cli.gateway import delivering, open_gateway
from app.cli.supervision import notify, take_socket
from app.cli.telling import telling
from app.errors import LeadgateError
from app.log import get_logger, report_loop_error
from app.setting_types import Network
from app.store.sqlite import has_wal_reset_bug
from app.web.protocol import PunctualProtocol, raise_file_limit

_log = get_logger("process")

_REQUESTS_GRACE = 8  # seconds; below the ten after which an orchestrator kills


class Server(uvicorn.Server):
    """Leaves signals to the process, which has more to stop than a server; uvicorn alone ends with -15."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """A socket that holds its port. Raises LeadgateError with a sentence for the operator."""
    with contextlib.ExitStack() as opened:
        try:
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            reason = f"{error.strerror}; choose another --host or --port"
            raise LeadgateError(f"cannot listen on {host}:{port}: {reason}") from None
        opened.pop_all()
    return listener


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def make_server(app: Any, *, trusted_proxies: Sequence[Network] = ()) -> Server:
    return Server(
        uvicorn.Config(
            app,
            http=PunctualProtocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # uvicorn believes loopback by default; here nobody is believed who is not named.
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=",".join(_write_networks(trusted_proxies)),
            timeout_graceful_shutdown=_REQUESTS_GRACE,
            timeout_keep_alive=15,
        )
    )


def _write_networks(networks: Iterable[Network]) -> Iterator[str]:
    """Each as IPv6 as well: to a socket that speaks both, 10.0.0.1 is ::ffff:10.0.0.1."""
    for network in networks:
        yield str(network)
        if isinstance(network, IPv4Network):
            yield f"::ffff:{network.network_address}/{96 + network.prefixlen}"


class Stop(asyncio.Event):
    """Set by SIGTERM and SIGINT; a second SIGINT ends the process at once."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._callbacks: list[Callable[[], None]] = []
        for name in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(name, self._hear)

    def _hear(self) -> None:
        self._loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.set()

    def add_callback(self, notify: Callable[[], None]) -> None:
        """Called once, when it is set, whoever sets it."""
        self._callbacks.append(notify)

    def set(self) -> None:
        super().set()
        while self._callbacks:
            self._callbacks.pop()()


Listening = tuple[Server, socket.socket]


async def run_servers(
    servers: Sequence[Listening], *, stop: asyncio.Event, announce: Callable[[], None]
) -> None:
    """Serves until `stop` is set, then finishes the requests under way."""
    serving = [asyncio.create_task(server.serve([listener])) for server, listener in servers]
    for task in serving:
        task.add_done_callback(lambda _: stop.set())
    while not all(server.started for server, _ in servers) and not stop.is_set():  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    if not stop.is_set():
        announce()
        notify("READY=1")
        # What is alive now stays alive: the collector need not walk it while visitors wait.
        gc.freeze()
    await stop.wait()
    notify("STOPPING=1")
    for server, _ in servers:
        server.should_exit = True
    await asyncio.gather(*serving)


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """On uvloop where there is one. Raises LeadgateError; whatever else ends it is told without its values."""
    with asyncio.Runner(loop_factory=_find_loop_factory()) as runner:
        runner.get_loop().set_exception_handler(report_loop_error)
        try:
            runner.run(main)
        except LeadgateError:
            raise
        except Exception:  # noqa: BLE001 - its traceback would print what a visitor typed
            _log.exception("process_broken")
            raise LeadgateError("ended by a defect, which the log names") from None


def _find_loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        return getattr(import_module("uvloop"), "new_event_loop", None)
    except ImportError:
        return None


def _warn_of_sqlite(configuration: Configuration) -> None:
    if isinstance(configuration.settings.database, Path) and has_wal_reset_bug(
        sqlite3.sqlite_version_info[:3]
    ):
        # Here one connection writes and checkpoints. Other programs must leave the file alone.
        _log.warning("sqlite_wal_reset_bug", version=sqlite3.sqlite_version, mended_in="3.51.3")


async def serve(configuration: Configuration, *, host: str, port: int, deliver: bool) -> None:
    """`leadgate serve`; on systemd's socket where it holds one. Raises LeadgateError."""
    raise_file_limit()  # each connection is a file
    listener = take_socket() or bind(host, port)
    stop = Stop()
    async with open_gateway(configuration) as gateway:
        _warn_of_sqlite(configuration)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.reload)
        server = make_server(gateway.create_app(), trusted_proxies=configuration.settings.trusted_proxies)
        stop.add_callback(gateway.store.end_waiting)
        async with (
            delivering(gateway, stop=stop) if deliver else contextlib.nullcontext() as worker,
            telling(gateway, accepting=True, worker=worker),
        ):
            await run_servers(
                [(server, listener)],
                stop=stop,
                announce=lambda: print(f"Leadgate is ready on {address_of(listener)}", flush=True),
            )


async def deliver(configuration: Configuration, *, host: str, port: int | None) -> None:
    """`leadgate deliver`; on a port it answers whoever watches it. Raises LeadgateError."""
    listener = None if port is None else bind(host, port)
    stop = Stop()
    async with open_gateway(configuration) as gateway:
        _warn_of_sqlite(configuration)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.reload)
        watched: list[Listening] = []
        told = f"Leadgate delivers from {gateway.store.name}"
        if listener is not None:
            proxies = configuration.settings.trusted_proxies
            watched = [(make_server(gateway.create_watch_app(), trusted_proxies=proxies), listener)]
            told += f", watched on {address_of(listener)}"
        async with (
            delivering(gateway, stop=stop) as worker,
            telling(gateway, accepting=False, worker=worker),
        ):
            await run_servers(watched, stop=stop, announce=lambda: print(told, flush=True))
