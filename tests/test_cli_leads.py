"""The operator's commands over a store: beside a running server through its socket, otherwise with its lock."""

import asyncio
import getpass
import json
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from app.cli.control import command_store, listening, locate_socket
from app.errors import LeadgateError, OperatorError
from app.lead import Consent, Contact, Enquiry, LeadState, Marketing, Note, UtmTag
from app.store import gates
from app.store.circuits import open_circuit
from app.store.leads import write_body
from app.store.operator import retry_lead
from app.store.schema import outbox
from app.store.sqlite import open_writer
from app.store.store import Store
from tests.conftest import Shell
from tests.stores import GATE, NOW, keep, must_claim

ENQUIRY = Enquiry(
    language="sv",
    contact=Contact(first_name="Anna", email="anna@example.com"),
    message="Hej!\nhistory\n  2026 delivered",
    consents=(Consent(name="newsletter", label="Nyheter", given=True),),
    marketing=Marketing(referrer="https://a.example/", utm_tags=(UtmTag(name="utm_source", value="google"),)),
    notes=(Note(code="language_dropped"),),
)


def open_store(folder: Path) -> Store:
    store = Store(folder / "data" / "leadgate.db", reserve=0)
    store.open()
    return store


def fill(folder: Path, job: Callable[[Connection], Any]) -> Any:
    """Writes into the folder's store, and leaves it."""
    store = open_store(folder)
    try:
        return asyncio.run(store.write(job))
    finally:
        store.close()


def keep_in(connection: Connection, state: LeadState, **changes: Any) -> str:
    lead_id = keep(connection, **changes)
    values: dict[str, Any] = {"state": state, "next_attempt_at": None, "reason": "the reason"}
    if state is LeadState.PENDING:
        values |= {"next_attempt_at": NOW, "reason": None}
    if state is LeadState.DELIVERED:
        values |= {"vitec_lead_id": "LED1", "delivered_at": NOW, "reason": None}
    connection.execute(update(outbox).where(outbox.c.lead_id == lead_id).values(values))
    return lead_id


@contextmanager
def running(folder: Path) -> Iterator[Store]:
    """A server's hold on the store, in a thread: the lock, and the socket for commands."""
    store = open_store(folder)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    control = listening(store)
    try:
        asyncio.run_coroutine_threadsafe(control.__aenter__(), loop).result(5)
        yield store
        asyncio.run_coroutine_threadsafe(control.__aexit__(None, None, None), loop).result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        store.close()


@pytest.fixture(params=["with the lock", "through the socket"])
def store_path(request: pytest.FixtureRequest, shell: Shell) -> Iterator[Path]:
    """The folder's store, with and without a server that runs."""
    fill(shell.folder, lambda _: None)
    if request.param == "with the lock":
        yield shell.folder
        return
    with running(shell.folder):
        yield shell.folder


def write(folder: Path, job: Callable[[Connection], Any]) -> Any:
    """Into a store that another may hold: as SQLite's own shell would."""
    engine = open_writer(folder / "data" / "leadgate.db")
    with engine.begin() as connection:
        result = job(connection)
    engine.dispose()
    return result


def states(shell: Shell) -> dict[str, str]:
    return {row["id"]: row["status"] for row in json.loads(shell("leads", "list", "--json").out)}


@pytest.mark.parametrize("command", ["list", "show x", "retry x", "release x", "discard x --reason y"])
def test_without_a_store_there_is_nothing_to_do(shell: Shell, command: str) -> None:
    outcome = shell("leads", *command.split())
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "there is no store at data/leadgate.db yet: nothing has been accepted\n"
    assert not list(shell.folder.iterdir())


def test_an_empty_list(shell: Shell) -> None:
    fill(shell.folder, lambda _: None)
    assert shell("leads", "list").out == "no leads\n"
    assert json.loads(shell("leads", "list", "--json").out) == []


def test_the_list_is_all_leads_with_their_states_the_newest_first(shell: Shell) -> None:
    ids = fill(shell.folder, lambda write: [keep_in(write, state) for state in LeadState])
    rows = json.loads(shell("leads", "list", "--json").out)
    assert [(row["id"], row["status"]) for row in rows] == list(
        zip(reversed(ids), reversed(LeadState), strict=True)
    )
    assert set(rows[0]) == {"id", "reference", "status", "form", "receivedAt"}
    assert rows[0]["receivedAt"] == "2026-11-24T09:30:00.000Z"
    lines = shell("leads", "list").out.splitlines()
    assert [line.split(maxsplit=5)[:5] for line in lines] == [
        [row["reference"], row["status"], row["receivedAt"], row["form"], row["id"]] for row in rows
    ]
    waiting = {line.split()[1] for line in lines if line.endswith("the reason")}
    assert waiting == {"held", "quarantined", "discarded"}


def test_the_list_is_filtered(shell: Shell) -> None:
    fill(shell.folder, lambda write: [keep_in(write, state, form=state) for state in LeadState])
    rows = json.loads(shell("leads", "list", "--json", "--state", "held", "--state", "pending").out)
    assert [row["status"] for row in rows] == ["held", "pending"]
    assert [row["form"] for row in json.loads(shell("leads", "list", "--json", "--form", "held").out)] == [
        "held"
    ]
    assert len(json.loads(shell("leads", "list", "--json", "--limit", "2").out)) == 2


def make_story(connection: Connection) -> str:
    keep(connection, email_key="anna")
    lead_id = keep(connection, body=write_body(ENQUIRY), email_key="anna")
    connection.execute(
        update(outbox).where(outbox.c.lead_id == lead_id).values(state=LeadState.HELD, reason="why")
    )
    retry_lead(connection, lead_id, now=NOW, actor="karin")
    return lead_id


def test_a_lead_is_told_whole(shell: Shell) -> None:
    lead_id = fill(shell.folder, make_story)
    story = json.loads(shell("leads", "show", lead_id, "--json").out)
    assert story["id"] == lead_id
    assert story["status"] == "pending"
    assert story["lead"]["contact"]["firstName"] == "Anna"
    assert story["lead"]["marketing"]["utmTags"] == [{"name": "utm_source", "value": "google"}]
    assert [entry["kind"] for entry in story["history"]] == ["received", "retried"]
    assert story["history"][1]["actor"] == "karin"
    plain = shell("leads", "show", story["lead"]["follows"]).out
    assert "marketing" not in plain


def test_a_lead_is_read_by_people(shell: Shell) -> None:
    lead_id = fill(shell.folder, make_story)
    lines = shell("leads", "show", lead_id).out.splitlines()
    assert lines[0].endswith(f"pending  {lead_id}")
    assert "    firstName: Anna" in lines
    assert '  consents: name="newsletter"  label="Nyheter"  given=true' in lines
    assert lines.count("history") == 1  # what a visitor wrote passes for nothing of ours
    assert "    history" in lines
    assert lines[-1] == '  2026-11-24T09:30:00.000Z  retried  actor="karin"'


def test_a_lead_has_three_names(shell: Shell) -> None:
    lead_id = fill(shell.folder, keep)
    reference = json.loads(shell("leads", "list", "--json").out)[0]["reference"]
    for name in (lead_id, lead_id.upper(), reference, reference.lower().replace("-", "")):
        assert json.loads(shell("leads", "show", name, "--json").out)["id"] == lead_id
    assert shell("leads", "show", "0000-0000-00").err == "there is no lead 0000-0000-00\n"


def test_what_the_operator_decides_is_done(store_path: Path, shell: Shell) -> None:
    held, waiting, tested, late = write(
        store_path,
        lambda connection: [
            keep_in(connection, LeadState.HELD),
            keep_in(connection, LeadState.QUARANTINED),
            keep_in(connection, LeadState.QUARANTINED),
            keep_in(connection, LeadState.HELD),
        ],
    )
    assert shell("leads", "retry", held).out == f"{held} will be tried again\n"
    assert shell("leads", "release", waiting).code == 0
    outcome = shell("leads", "discard", tested, late, "--reason", "a test")
    assert outcome.out == f"{tested} is discarded\n{late} is discarded\n"
    assert states(shell) == {held: "pending", waiting: "pending", tested: "discarded", late: "discarded"}
    story = json.loads(shell("leads", "show", tested, "--json").out)
    assert story["reason"] == "a test"
    assert {entry["kind"]: entry.get("actor") for entry in story["history"]} == {
        "received": None,
        "discarded": getpass.getuser(),
    }


def test_leads_that_are_sent_after_all_go_where_the_forms_file_says_by_now(
    store_path: Path, shell: Shell
) -> None:
    shell.set(LEADGATE_VITEC_USERNAME="partner", LEADGATE_VITEC_PASSWORD="password")
    (shell.folder / "forms.toml").write_text(
        '[forms.kontakt]\ncustomer_id = "M2"\nassigned_to_id = "HAN1"\nlead_source_id = "LKA1"\n',
        encoding="utf-8",
    )
    held, waiting = write(
        store_path,
        lambda connection: [
            keep_in(connection, LeadState.HELD),
            keep_in(connection, LeadState.QUARANTINED),
        ],
    )
    assert shell("leads", "retry", held).code == 0
    assert shell("leads", "release", waiting).code == 0
    filed = write(
        store_path, lambda connection: connection.execute(select(outbox.c.customer_id)).scalars().all()
    )
    assert set(filed) == {"M2"}


def test_one_refusal_keeps_no_other_lead_from_its_turn(store_path: Path, shell: Shell) -> None:
    done, held = write(
        store_path,
        lambda connection: [keep_in(connection, LeadState.DELIVERED), keep_in(connection, LeadState.HELD)],
    )
    outcome = shell("leads", "retry", done, "nonsense", held)
    assert outcome.code == 1
    assert outcome.err == f"lead {done} is delivered and cannot be retried\nthere is no lead nonsense\n"
    assert states(shell) == {done: "delivered", held: "pending"}
    assert shell("leads", "discard", held, "--reason", " ").err == "say why it is discarded: --reason\n"


def test_an_operator_without_a_name_is_known_by_number(shell: Shell) -> None:
    held = fill(shell.folder, lambda connection: keep_in(connection, LeadState.HELD))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        shell.monkeypatch.delenv(name, raising=False)
    shell.monkeypatch.setattr("os.getuid", lambda: 4_000_000)
    assert shell("leads", "retry", held).code == 0
    story = json.loads(shell("leads", "show", held, "--json").out)
    assert "uid 4000000" in [entry.get("actor") for entry in story["history"]]


def close_gate(connection: Connection) -> None:
    keep(connection)
    claimed = must_claim(connection)
    gates.close_gate(connection, GATE, claimed, status=401, probe_at=NOW, credential="x", now=NOW)


def test_gates_are_told_and_probed(store_path: Path, shell: Shell) -> None:
    assert shell("gates").out == "all gates are open\n"
    assert shell("gates", "--json").out == "[]\n"
    write(store_path, close_gate)
    assert shell("gates").out == (
        "M1 create: closed since 2026-11-24T09:30:00.000Z (Vitec answered 401 to login default); "
        "next try 2026-11-24T09:30:00.000Z\n"
        "  a wrong user name or password, or Vitec has not opened these calls: `leadgate check --live`. A new "
        "password in a file is tried by itself, one in .env after a restart\n"
    )
    [gate] = json.loads(shell("gates", "--json").out)
    assert gate["customer"] == "M1"
    assert shell("gates", "probe").out == "1 gate will be probed\n"
    assert json.loads(shell("gates", "--json").out)[0]["probeAt"] != gate["probeAt"]


def test_a_destination_that_fails_is_told_beside_the_gates(store_path: Path, shell: Shell) -> None:
    write(store_path, lambda connection: open_circuit(connection, "https://vitec.test", until=NOW, now=NOW))
    assert shell("gates").out == (
        "https://vitec.test: fails, and is left alone since 2026-11-24T09:30:00.000Z; next try "
        "2026-11-24T09:30:00.000Z\n"
        "  leads wait, and go by themselves when it is well: nothing need be done here\n"
    )
    [row] = json.loads(shell("gates", "--json").out)
    assert (row["baseUrl"], row["customer"], row["closedAt"]) == (
        "https://vitec.test",
        None,
        "2026-11-24T09:30:00.000Z",
    )


def test_the_schema_is_told_and_upgraded(shell: Shell) -> None:
    assert shell("db", "current").code == 1
    outcome = shell("db", "upgrade")
    assert outcome.code == 0
    assert outcome.out.startswith("data/leadgate.db is at revision ")
    revision = outcome.out.split()[-1]
    assert shell("db", "current").out == f"{revision} (newest: {revision})\n"
    Path("data/leadgate.db").write_bytes(b"")
    assert shell("db", "current").out == f"none (newest: {revision})\n"


def test_after_a_restored_backup_every_undelivered_lead_is_looked_for(shell: Shell) -> None:
    held = fill(shell.folder, lambda connection: keep_in(connection, LeadState.HELD))
    outcome = shell("db", "restored")
    assert outcome.out == "1 lead will be looked for in Vitec, from 930 seconds on\n"
    story = json.loads(shell("leads", "show", held, "--json").out)
    assert "restored" in [entry["kind"] for entry in story["history"]]


def test_the_schema_is_not_upgraded_beside_a_running_server(shell: Shell) -> None:
    with running(shell.folder):
        assert "another leadgate process" in shell("db", "upgrade").err
        assert shell("db", "current").code == 0


def test_a_file_that_is_no_store_is_told(shell: Shell) -> None:
    Path("data").mkdir()
    Path("data/leadgate.db").write_bytes(b"no database" * 100)
    outcome = shell("leads", "list")
    assert outcome.code == 1
    assert outcome.err == "data/leadgate.db: cannot be read: file is not a database\n"


def test_only_the_owner_may_command(shell: Shell) -> None:
    with running(shell.folder) as store:
        assert stat.S_IMODE(locate_socket(store.path).stat().st_mode) == 0o600
    assert not locate_socket(store.path).exists()


def test_a_dead_servers_socket_is_no_hindrance(shell: Shell) -> None:
    held = fill(shell.folder, lambda connection: keep_in(connection, LeadState.HELD))
    path = locate_socket(shell.folder / "data" / "leadgate.db")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert shell("leads", "retry", held).code == 0
    with running(shell.folder):
        assert shell("leads", "discard", held, "--reason", "x").code == 0


def test_a_path_too_long_for_a_socket_is_met_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / ("f" * 100)
    path = locate_socket(folder / "data" / "leadgate.db")
    assert len(str(path)) < 100
    assert path != locate_socket(tmp_path / "g" / ("f" * 100) / "leadgate.db")
    held = fill(folder, lambda connection: keep_in(connection, LeadState.HELD))
    with running(folder) as store:
        assert path.is_socket()
        assert command_store(store.path, {"do": "retry", "lead": held, "actor": "x"}) == held


def test_a_folder_that_takes_no_socket_is_told(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    locate_socket(store.path).mkdir()

    async def listen() -> None:
        async with listening(store):
            pass

    with pytest.raises(LeadgateError, match=r"leadgate\.db\.sock: cannot listen for commands"):
        asyncio.run(listen())
    store.close()


def ask(path: Path, line: bytes) -> Any:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(path))
        channel.sendall(line)
        channel.shutdown(socket.SHUT_WR)
        return json.loads(channel.makefile().readline() or "null")


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"[]\n", b'{"do": "retry"}\n', b'{"do": "retry", "lead": 3, "actor": "x"}\n']
)
def test_half_a_command_is_refused(shell: Shell, line: bytes) -> None:
    with running(shell.folder) as store:
        assert ask(locate_socket(store.path), line) == {"error": "the command cannot be read"}
        assert ask(locate_socket(store.path), b'{"do": "drop"}\n') == {
            "error": "this version knows no command 'drop'"
        }


def test_an_endless_command_is_abandoned(shell: Shell) -> None:
    with (
        running(shell.folder) as store,
        pytest.raises((ConnectionError, json.JSONDecodeError, AssertionError)),
    ):
        assert ask(locate_socket(store.path), b"x" * 200_000) is not None


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    path = locate_socket(tmp_path / "leadgate.db")
    with socket.socket(socket.AF_UNIX) as silent, ThreadPoolExecutor() as pool:
        silent.bind(str(path))
        silent.listen()
        asked = pool.submit(command_store, tmp_path / "leadgate.db", {"do": "probe_gates", "actor": "eva"})
        silent.accept()[0].close()
        with pytest.raises(OperatorError, match="the running server did not answer"):
            asked.result()
