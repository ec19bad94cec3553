"""Real processes: what starts, what is refused, what a signal does, and what is on disk after any death."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from app.cli.process import address_of, bind, make_server, run_loop, run_servers
from app.errors import LeadgateError
from tests.processes import (
    FORMS,
    LEADS,
    LOGIN_NAMES,
    NOWHERE,
    Service,
    run,
    start,
    start_gateway,
    write_forms,
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`leadgate sandbox`, shared; each test begins with it empty."""
    with start(tmp_path_factory.mktemp("sandbox"), "sandbox", "--port", "0") as service:
        yield service


@pytest.fixture
def vitec(sandbox: Service) -> str:
    httpx.post(sandbox.url + "/sandbox/reset")
    return sandbox.url


def fault(vitec: str, name: str, **order: Any) -> None:
    assert httpx.post(vitec + "/sandbox/faults", json={"name": name, **order}).status_code == 200


def state(vitec: str) -> Any:
    return httpx.get(vitec + "/sandbox/state").json()


def await_call(vitec: str, operation: str) -> None:
    """Until the sandbox has been asked: it is asked for that again and again."""
    end = monotonic() + 20
    while operation not in state(vitec)["counts"]:
        assert monotonic() < end


# root may write everywhere, unless it gives that up.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []


def list_leads(folder: Path) -> Any:
    return json.loads(run(folder, "leads", "list", "--json").stdout)


@pytest.mark.parametrize("wire_format", ["json", "xml"])
def test_a_lead_goes_all_the_way(tmp_path: Path, vitec: str, wire_format: str) -> None:
    with start_gateway(tmp_path, vitec, LEADGATE_VITEC_FORMAT=wire_format) as gateway:
        answer = gateway.deliver(key="k1")
        found = state(vitec)
        [contact], [lead] = found["contacts"], found["leads"]
        assert contact["values"]["firstName"] == "Anna"
        assert lead["contactId"] == contact["id"]
        assert "Vi vill sälja." in lead["message"]
        assert lead["referrer"] == "https://agency.example/salja?utm_source=google&utm_medium=cpc"
        tags = {tag["name"]: tag["value"] for tag in lead["utmTags"]}
        assert tags == {"utm_source": "google", "utm_medium": "cpc", "leadgate": answer.json()["id"]}
        assert gateway.end() == (0, "")
    with start_gateway(tmp_path, vitec, LEADGATE_VITEC_FORMAT=wire_format) as gateway:
        again = gateway.post(key="k1", wait=10)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.json() == answer.json() | {"status": "delivered"}
        assert gateway.post(key="k1", message="Annat").status_code == 422
    assert len(state(vitec)["leads"]) == 1


def test_it_says_that_it_is_ready_once_and_nothing_else(tmp_path: Path) -> None:
    with start_gateway(tmp_path) as gateway:
        assert gateway.said == f"Leadgate is ready on {gateway.url}\n"
        assert httpx.get(gateway.url + "/readyz").status_code == 200
        assert gateway.end() == (0, "")
        # But for a release of SQLite that damages what two connections write at once.
        assert [line for line in gateway.log if "sqlite_wal_reset_bug" not in line] == []


def test_without_delivery_leads_wait(tmp_path: Path, vitec: str) -> None:
    with start_gateway(tmp_path, vitec, "--no-delivery") as gateway:
        assert gateway.post(wait=1).json()["status"] == "accepted"
        refused = run(tmp_path, "deliver", names=LOGIN_NAMES)
        assert refused.returncode == 1
        assert "another leadgate process" in refused.stderr
        assert gateway.end() == (0, "")
    assert [lead["status"] for lead in list_leads(tmp_path)] == ["pending"]
    assert state(vitec)["calls"] == []


def test_delivery_alone_delivers_what_waits(tmp_path: Path, vitec: str) -> None:
    with start_gateway(tmp_path, NOWHERE, "--no-delivery") as gateway:
        lead = gateway.post().json()
    names = LOGIN_NAMES | {"LEADGATE_VITEC_BASE_URL": vitec}
    with start(tmp_path, "deliver", names=names) as deliverer:
        assert deliverer.said == "Leadgate delivers from data/leadgate.db\n"
        deliverer.await_log("lead_delivered")
        other = run(tmp_path, "deliver", names=names)
        assert (other.returncode, other.stdout) == (1, "")
        assert other.stderr.startswith("data/leadgate.db: another leadgate process (pid ")
        deliverer.process.send_signal(signal.SIGHUP)
        deliverer.await_log("forms_reloaded")
        assert deliverer.end() == (0, "")
    assert [(one["id"], one["status"]) for one in list_leads(tmp_path)] == [(lead["id"], "delivered")]


def test_an_operator_commands_a_running_server(tmp_path: Path, vitec: str) -> None:
    write_forms(tmp_path, FORMS + 'mode = "test"\n')
    with start_gateway(tmp_path, vitec) as gateway:
        first, second = gateway.post().json(), gateway.post(message="Två").json()
        discarded = run(tmp_path, "leads", "discard", first["reference"].lower(), "--reason", "a test")
        assert (discarded.returncode, discarded.stderr) == (0, "")
        released = run(tmp_path, "leads", "release", second["id"])
        assert released.returncode == 1
        assert released.stderr.startswith("form kontakt is in test mode: nothing of it is sent")
        assert [lead["status"] for lead in list_leads(tmp_path)] == ["quarantined", "discarded"]
        write_forms(tmp_path, FORMS)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.await_log("forms_reloaded")
        assert run(tmp_path, "leads", "release", second["id"]).stdout == f"{second['id']} is released\n"
        gateway.await_log("lead_delivered")
        mode = stat.S_IMODE((tmp_path / "data" / "leadgate.db.sock").stat().st_mode)
        assert mode == 0o600
    assert len(state(vitec)["leads"]) == 1


def refuse(folder: Path, *arguments: str, prefix: Sequence[str] = (), **names: str) -> str:
    """What a start that is refused says, in sentences."""
    command = arguments or ("serve", "--port", "0")
    done = run(folder, *command, prefix=prefix, names=LOGIN_NAMES | names)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_start_is_refused_with_every_mistake(tmp_path: Path) -> None:
    write_forms(tmp_path, FORMS + "colour = 1\n")
    told = refuse(tmp_path, LEADGATE_VITEC_TIMEOUT="soon")
    assert [line.split(": ")[:2] for line in told.splitlines()] == [
        ["LEADGATE_VITEC_TIMEOUT", "is no duration; write 30s, 15m, 8h or 30d"],
        ["forms.toml", "forms.kontakt.colour"],
    ]
    assert refuse(tmp_path, "deliver", LEADGATE_VITEC_TIMEOUT="soon") == told
    assert not (tmp_path / "data").exists()


def test_a_start_without_forms_or_login_is_refused(tmp_path: Path) -> None:
    assert refuse(tmp_path).startswith("forms.toml: does not exist; copy forms.example.toml there")
    write_forms(tmp_path)
    assert "the login default has no credentials" in refuse(
        tmp_path, LEADGATE_VITEC_USERNAME="", LEADGATE_VITEC_PASSWORD=""
    )


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    write_forms(tmp_path)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        sentence = (
            f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --host or --port\n"
        )
        assert refuse(tmp_path, "serve", "--port", port) == sentence
        assert refuse(tmp_path, "sandbox", "--port", port) == sentence
        assert refuse(tmp_path, "demo", "--port", port) == sentence


def test_a_host_that_is_none_is_told() -> None:
    with pytest.raises(LeadgateError, match=r"cannot listen on 192\.0\.2\.1:0: "):
        bind("192.0.2.1", 0)


def test_a_stop_before_the_start_announces_nothing() -> None:
    async def serve() -> None:
        stop = asyncio.Event()
        stop.set()
        await run_servers([(make_server(None), bind("127.0.0.1", 0))], stop=stop, announce=pytest.fail)

    asyncio.run(serve())


def test_without_uvloop_asyncio_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loops: list[str] = []

    async def look() -> None:
        loops.append(type(asyncio.get_running_loop()).__module__)

    run_loop(look())
    assert loops == ["asyncio.unix_events"]


def test_an_address_of_ipv6_is_written_in_brackets() -> None:
    with closing(bind("::1", 0)) as listener:
        assert address_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


@pytest.fixture
def readable(tmp_path: Path) -> Path:
    """A folder with a store that may be read only."""
    write_forms(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "leadgate.db").touch(0o444)
    return tmp_path


def test_a_read_only_store_is_told(readable: Path) -> None:
    told = refuse(readable, prefix=UNPRIVILEGED)
    assert told == "data/leadgate.db: cannot be used: attempt to write a readonly database\n"


def test_a_folder_that_cannot_be_written_is_told(readable: Path) -> None:
    (readable / "data").chmod(0o555)
    assert refuse(readable, prefix=UNPRIVILEGED) == "data: cannot be written: Permission denied\n"
    (readable / "data").chmod(0o755)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    write_forms(tmp_path)
    (tmp_path / "file").touch()
    told = refuse(tmp_path, LEADGATE_DATABASE_URL="sqlite:///file/leadgate.db")
    assert told == "file: cannot be written: File exists\n"


def test_a_store_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    write_forms(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "leadgate.db").write_bytes(b"this is no database" * 100)
    assert refuse(tmp_path) == "data/leadgate.db: cannot be used: file is not a database\n"
    (tmp_path / "data" / "leadgate.db").unlink()
    (tmp_path / "data" / "leadgate.db").mkdir()
    assert "cannot be used" in refuse(tmp_path)


def test_a_second_server_on_the_same_store_is_refused(tmp_path: Path) -> None:
    with start_gateway(tmp_path) as gateway:
        assert "SQLite serves one process, use PostgreSQL for several" in refuse(tmp_path)
        assert httpx.get(gateway.url + "/healthz").status_code == 200


def test_a_second_server_on_a_link_to_the_store_is_refused(tmp_path: Path) -> None:
    with start_gateway(tmp_path):
        (tmp_path / "link.db").symlink_to("data/leadgate.db")
        assert "another leadgate process" in refuse(tmp_path, LEADGATE_DATABASE_URL="sqlite:///link.db")
    assert not list(tmp_path.glob("link.db.*"))  # its secret neither


def test_a_secret_that_was_left_beside_a_link_is_told(tmp_path: Path) -> None:
    """With another one repeated leads would be new ones, and nobody's would be found to be erased."""
    write_forms(tmp_path)
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.db").symlink_to("disk/leadgate.db")
    (tmp_path / "link.db.secret").write_text("s" * 32, encoding="utf-8")
    (tmp_path / "link.db.secret").chmod(0o600)
    told = refuse(tmp_path, LEADGATE_DATABASE_URL="sqlite:///link.db")
    assert f"link.db.secret: lies beside a link; move it beside the database, to {tmp_path}/disk/" in told
    (tmp_path / "link.db.secret").rename(tmp_path / "disk" / "leadgate.db.secret")
    with start_gateway(tmp_path, LEADGATE_DATABASE_URL="sqlite:///link.db") as gateway:
        assert gateway.post().status_code == 202


def test_a_link_to_a_disk_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_forms(tmp_path)
    (tmp_path / "link.db").symlink_to("disk/leadgate.db")
    assert "No such file or directory" in refuse(tmp_path, LEADGATE_DATABASE_URL="sqlite:///link.db")
    assert not (tmp_path / "disk").exists()


def test_a_secret_that_is_none_is_told(tmp_path: Path) -> None:
    write_forms(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "leadgate.db.secret").write_text("short", encoding="utf-8")
    assert "holds no secret; restore it, or set LEADGATE_SECRET_KEY" in refuse(tmp_path)
    with start_gateway(tmp_path, LEADGATE_SECRET_KEY="another") as gateway:
        assert gateway.post().status_code == 202


def test_sigterm_drains_within_ten_seconds(tmp_path: Path, vitec: str) -> None:
    fault(vitec, "hang_after")
    with start_gateway(tmp_path, vitec) as gateway:
        answers: list[httpx.Response] = []
        visitor = threading.Thread(target=lambda: answers.append(gateway.post(key="k1", wait=3)))
        visitor.start()
        await_call(vitec, "createLead")
        told = monotonic()
        assert gateway.end() == (0, "")
        assert monotonic() - told < 10
        visitor.join()
        assert [answer.status_code for answer in answers] == [202]
    assert [lead["status"] for lead in list_leads(tmp_path)] == ["pending"]
    assert len(state(vitec)["leads"]) == 1
    with start_gateway(tmp_path, vitec) as gateway:
        gateway.deliver(key="k1")
    assert len(state(vitec)["leads"]) == 1  # found there, and not sent again


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path, vitec: str) -> None:
    fault(vitec, "hang_before")
    with start_gateway(tmp_path, vitec) as gateway:
        gateway.post()
        await_call(vitec, "createLead")
        gateway.process.send_signal(signal.SIGINT)
        with socket.create_connection(("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))) as open_one:
            open_one.settimeout(5)
            assert open_one.recv(1) == b""  # the drain has begun
        told = monotonic()
        assert gateway.end(signal.SIGINT)[0] == -signal.SIGINT
        assert monotonic() - told < 2


def test_sighup_switches_to_a_good_file_and_never_to_a_bad_one(tmp_path: Path) -> None:
    with start_gateway(tmp_path) as gateway:
        write_forms(tmp_path, FORMS + FORMS.replace("kontakt", "ny"))
        gateway.process.send_signal(signal.SIGHUP)
        gateway.await_log("forms_reloaded")
        assert httpx.get(gateway.url + "/f/ny").status_code == 200
        write_forms(tmp_path, FORMS + "colour = 1\nsize = 2\n")
        gateway.process.send_signal(signal.SIGHUP)
        lines = [gateway.await_log("forms_not_reloaded") for _ in range(2)]
        assert [line["key"] for line in lines] == ["forms.kontakt.colour", "forms.kontakt.size"]
        assert httpx.get(gateway.url + "/f/ny").status_code == 200


def test_a_defect_in_delivery_ends_the_process(tmp_path: Path, vitec: str) -> None:
    with start_gateway(tmp_path, NOWHERE) as gateway:
        gateway.post()
        gateway.process.send_signal(signal.SIGKILL)
    with closing(sqlite3.connect(tmp_path / "data" / "leadgate.db")) as connection, connection:
        connection.execute("UPDATE outbox SET state_at = 'gurka', next_attempt_at = 0")
    with start_gateway(tmp_path, vitec) as gateway:
        assert gateway.await_end() == (1, "")
        *_, report, sentence = gateway.log
        assert json.loads(report)["exception"] == "TypeError"
        assert sentence == "ended by a defect, which the log names\n"
        assert "gurka" not in "".join(gateway.log)


def test_every_acknowledged_lead_outlives_a_kill(tmp_path: Path) -> None:
    kept: list[str] = []
    with start_gateway(tmp_path, NOWHERE) as gateway, httpx.Client(base_url=gateway.url) as client:

        def visit(visitor: int) -> None:
            for number in range(1000):
                try:
                    answer = client.post(
                        LEADS, json={"name": f"A {visitor} {number}", "email": "a@example.com"}
                    )
                except httpx.TransportError:
                    return
                if answer.status_code == 202:
                    kept.append(answer.json()["id"])
                if len(kept) == 60:
                    gateway.process.kill()

        visitors = [threading.Thread(target=visit, args=(number,)) for number in range(4)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
        gateway.process.wait(10)
    assert len(kept) >= 60
    assert set(kept) <= {lead["id"] for lead in list_leads(tmp_path)}
