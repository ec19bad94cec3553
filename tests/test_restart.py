"""A restart under load, and no visitor sees an error: by systemd's socket, and by Caddy in front."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from time import monotonic

import httpx
import pytest
from alembic import command
from alembic.config import Config

from app.cli.supervision import notify, take_socket
from app.store import migrate
from app.store.migrate import list_revisions, newest_revision
from app.store.sqlite import open_writer
from tests.processes import LEADGATE, LOGIN_NAMES, NOWHERE, environment, run, start_gateway, write_forms
from tests.restarts import visiting

pytestmark = pytest.mark.timeout(400)  # several starts, each half a minute where much else is at work

ROOT = Path(__file__).parent.parent

# What systemd does for a unit with a socket: sd_listen_fds(3).
_AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def supervised(folder: Path, listener: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """`leadgate serve` on a socket that outlives it, from when it has said to be ready."""
    supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    supervisor.settimeout(30)
    address = str(folder / "notify")
    Path(address).unlink(missing_ok=True)
    supervisor.bind(address)
    names = LOGIN_NAMES | {"LEADGATE_VITEC_BASE_URL": NOWHERE, "NOTIFY_SOCKET": address}
    fd = listener.fileno()
    process = subprocess.Popen(
        [sys.executable, "-c", _AS_SYSTEMD, str(fd), LEADGATE, "serve"],
        cwd=folder,
        env=environment(**names),
        pass_fds=[fd],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with supervisor, process:
        try:
            assert supervisor.recv(100) == b"READY=1"
            yield process
            process.terminate()
            assert supervisor.recv(100) == b"STOPPING=1"
            assert process.wait(20) == 0
        finally:
            process.kill()


def list_kept(folder: Path) -> list[str]:
    rows = json.loads(run(folder, "leads", "list", "--json").stdout)
    return [row["id"] for row in rows]


def test_a_socket_that_systemd_holds_loses_no_visitor_at_a_restart(tmp_path: Path) -> None:
    write_forms(tmp_path)
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener, ExitStack() as visitors:
        crowd = visitors.enter_context(visiting(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        for _ in range(2):
            with supervised(tmp_path, listener):
                crowd.await_kept(30)
        with supervised(tmp_path, listener):
            crowd.await_kept(30)
            visitors.close()
    assert crowd.failures == []
    assert sorted(list_kept(tmp_path)) == sorted(crowd.kept.values())


def test_an_upgrade_from_the_previous_schema_and_a_rollback_lose_no_visitor(tmp_path: Path) -> None:
    """Under load: the new release finds the schema of the old one, and then the old one that of the new one."""
    write_forms(tmp_path)
    file = tmp_path / "data" / "leadgate.db"
    make_previous_schema(file)
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener, ExitStack() as visitors:
        crowd = visitors.enter_context(visiting(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with supervised(tmp_path, listener):
            crowd.await_kept(30)
        assert read_revision(file) == newest_revision()
        # To the code that is rolled back to, the schema is that of a release it does not know.
        execute(file, "UPDATE alembic_version SET version_num = '9999'")
        with supervised(tmp_path, listener):
            crowd.await_kept(30)
            visitors.close()
    assert crowd.failures == []
    assert read_revision(file) == "9999"
    assert sorted(list_kept(tmp_path)) == sorted(crowd.kept.values())


def make_previous_schema(file: Path) -> None:
    file.parent.mkdir()
    engine = open_writer(file)
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, list_revisions()[-2])
        connection.commit()
    engine.dispose()
    assert read_revision(file) == list_revisions()[-2]


def read_revision(file: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def execute(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


@contextmanager
def caddy_before(folder: Path, upstream: int) -> Iterator[str]:
    """deploy/Caddyfile as it is, on a port of its own, without TLS."""
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("caddy is not installed: what it bridges is not tested")
    url = f"http://127.0.0.1:{free_port()}"
    names = {
        "LEADGATE_SITE": url,
        "LEADGATE_UPSTREAM": f"127.0.0.1:{upstream}",
        "CADDY_ADMIN": f"127.0.0.1:{free_port()}",
        "HOME": str(folder),
    }
    file = str(ROOT / "deploy" / "Caddyfile")
    with subprocess.Popen(
        [caddy, "run", "--config", file, "--adapter", "caddyfile"], env=names, stderr=subprocess.DEVNULL
    ) as process:
        try:
            await_answer(url + "/metrics", 404)
            yield url
        finally:
            process.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def await_answer(url: str, status: int) -> None:
    end = monotonic() + 20
    while True:
        with suppress(httpx.TransportError):
            assert httpx.get(url).status_code == status
            return
        assert monotonic() < end
        threading.Event().wait(0.05)


def test_caddy_bridges_a_restart(tmp_path: Path) -> None:
    port = free_port()
    with caddy_before(tmp_path, port) as url, ExitStack() as visitors:
        crowd = visitors.enter_context(visiting(url))
        for _ in range(2):
            with start_gateway(tmp_path, NOWHERE, "--port", str(port)):
                crowd.await_kept(30)
        with start_gateway(tmp_path, NOWHERE, "--port", str(port)):
            crowd.await_kept(30)
            visitors.close()
    assert crowd.failures == []
    assert sorted(list_kept(tmp_path)) == sorted(crowd.kept.values())


def test_a_client_that_tries_again_with_its_key_sees_no_restart(tmp_path: Path) -> None:
    """Without socket or proxy: what docs/operate.md asks of a program that posts."""
    port = free_port()
    with ExitStack() as visitors:
        crowd = visitors.enter_context(visiting(f"http://127.0.0.1:{port}", retries=600))
        for _ in range(2):
            with start_gateway(tmp_path, NOWHERE, "--port", str(port)):
                crowd.await_kept(20)
        with start_gateway(tmp_path, NOWHERE, "--port", str(port)):
            crowd.await_kept(20)
            visitors.close()
    assert crowd.failures == []
    assert sorted(list_kept(tmp_path)) == sorted(crowd.kept.values())


def test_a_socket_meant_for_another_process_is_not_taken() -> None:
    for environ in (
        {},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "one"},
    ):
        given = dict(environ)
        assert take_socket(given) is None
        assert given == {}  # a child of ours must not think it is meant


def test_a_supervisor_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    notify("READY=1", {})
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notify("READY=1", {"NOTIFY_SOCKET": "vsock:2:1234"})


def test_a_supervisor_with_an_abstract_address_is_told() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.settimeout(5)
        supervisor.bind(f"\0leadgate-test-{os.getpid()}")
        notify("READY=1", {"NOTIFY_SOCKET": f"@leadgate-test-{os.getpid()}"})
        assert supervisor.recv(100) == b"READY=1"
