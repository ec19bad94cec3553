"""The operator's commands: carried out by a running server through its socket, or with the lock when none runs."""

import asyncio
import getpass
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from sqlalchemy import Connection

from app.cli.retention import purge
from app.errors import LeadgateError, OperatorError
from app.forms.model import Retention
from app.lead import Account
from app.log import get_logger
from app.store.erasure import erase_lead
from app.store.extracts import Share, note_export
from app.store.gates import probe_now
from app.store.keyring import rekey_batch
from app.store.leads import find_lead_id
from app.store.operator import Locate, discard_lead, mark_restored, release_lead, retry_lead
from app.store.place import Place, find_place
from app.store.sealed import find_vault
from app.store.store import Store

_log = get_logger("control")

_LONGEST_PATH = 100  # bytes, of sockaddr_un's 104 (macOS) and 108 (Linux)
_LONGEST_LINE = 64 * 1024
_ANSWER_WITHIN = 10.0
# It writes the whole file, or goes through all that has gathered in years.
_SLOW = {"wipe", "purge"}
_SLOW_WITHIN = 600.0

# Rows to a transaction, a few milliseconds: visitors wait behind it.
_REKEY_BATCH = 100
_AT_A_TIME = 5.0

Command = dict[str, Any]

Plant = Callable[[str, str], Awaitable[Any]]
"""Keeps a canary of that form, for whoever wants one. Raises LeadgateError."""


def locate_socket(database: Path) -> Path:
    """Beside the store; in the temporary folder where that path is too long for a socket."""
    beside = database.absolute().with_name(database.name + ".sock")
    if len(os.fsencode(beside)) <= _LONGEST_PATH:
        return beside
    return Path(gettempdir()) / f"leadgate-{sha256(os.fsencode(beside)).hexdigest()[:32]}.sock"


async def carry_out(store: Store, command: Command) -> Any:
    """Does what a command says, in one transaction. Raises OperatorError or StoreError; KeyError for half a command."""
    if command["do"] == "wipe":
        return await store.wipe(thoroughly=True)
    if command["do"] == "rekey":
        return await _rekey(store, command)
    if command["do"] == "purge":
        return await purge(store, _read_retention(command["retention"]))
    if command["do"] not in {"retry", "release", "discard", "erase", "exported", "probe_gates", "restored"}:
        raise OperatorError(f"this version knows no command {command['do']!r}")
    done = await store.write(partial(_act, command=command, now=store.now()))
    store.wake()
    return done


def _act(connection: Connection, *, command: Command, now: datetime) -> Any:
    actor = str(command["actor"])
    if command["do"] == "probe_gates":
        return probe_now(connection, now=now, actor=actor)
    if command["do"] == "exported":
        shares = [Share(**share) for share in command["shares"]]
        return note_export(connection, shares, now=now, actor=actor)
    if command["do"] == "restored":
        settle = timedelta(seconds=float(command["settle"]))
        return mark_restored(connection, first_look_at=now + settle, now=now, actor=actor)
    lead_id = find_lead_id(connection, command["lead"])
    match command["do"]:
        case "retry":
            retry_lead(connection, lead_id, locate=_read_account(command), now=now, actor=actor)
        case "erase":
            return asdict(erase_lead(connection, lead_id, now=now, actor=actor))
        case "release":
            testing = str(command.get("testing", "")).split(",")
            locate = _read_account(command)
            release_lead(connection, lead_id, testing=testing, locate=locate, now=now, actor=actor)
        case _:
            discard_lead(connection, lead_id, reason=str(command["reason"]), now=now, actor=actor)
    return lead_id


def _read_account(command: Command) -> Locate:
    """Where the lead goes by the forms file of whoever commands; they may know none."""
    told = command.get("account")
    account = (
        None if told is None else Account(login=str(told["login"]), customer_id=str(told["customer_id"]))
    )
    return lambda _: account


def _read_retention(told: dict[str, dict[str, float]]) -> dict[str, Retention]:
    return {
        form: Retention(**{state: timedelta(seconds=seconds) for state, seconds in terms.items()})
        for form, terms in told.items()
    }


async def _rekey(store: Store, command: Command) -> Command:
    """As much as a few seconds allow."""
    if await store.read(lambda connection: find_vault(connection.dialect).newest) != command["newest"]:
        raise OperatorError(
            "the running server does not encrypt with the newest of LEADGATE_ENCRYPTION_KEYS; restart it with them"
        )
    clock = asyncio.get_running_loop().time
    until, after, done, left = clock() + _AT_A_TIME, command["after"], 0, 0
    while True:
        batch = await store.write(partial(rekey_batch, after=after, limit=_REKEY_BATCH))
        after, done, left = batch.after, done + batch.done, left + batch.left
        if after is None or clock() > until:
            return {"after": after, "done": done, "left": left}


@asynccontextmanager
async def listening(store: Store, *, plant: Plant | None = None) -> AsyncIterator[None]:
    """Answers on the store's socket, mode 0600: who may write the store may command. Raises LeadgateError."""
    path = locate_socket(store.path)
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)  # the lock is held: whoever made it is gone
        server = await asyncio.start_unix_server(_Desk(store, plant).answer, path, limit=_LONGEST_LINE)
    except OSError as error:
        raise LeadgateError(f"{path}: cannot listen for commands: {error.strerror}") from None
    finally:
        os.umask(before)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Desk:
    store: Store
    plant: Plant | None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                line = await reader.readline()
            async with asyncio.timeout(_SLOW_WITHIN):
                writer.write(json.dumps(await self._try(line)).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            _log.warning("command_abandoned")
        finally:
            writer.close()

    async def _try(self, line: bytes) -> Command:
        try:
            command = json.loads(line)
            if command["do"] == "canary" and self.plant is not None:
                return {"result": await self.plant(str(command["form"]), str(command["actor"]))}
            return {"result": await carry_out(self.store, command)}
        except LeadgateError as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"error": "the command cannot be read"}


def command_store(place: Place | Path | str, command: Command) -> Any:
    """Through the server that holds the SQLite file, or by itself where nobody need. Raises LeadgateError."""
    at = find_place(place).at
    channel = find_server(at)
    return asyncio.run(_carry_out_alone(place, command)) if channel is None else ask(channel, command)


def find_server(database: Path | str) -> socket.socket | None:
    """The server that holds the SQLite file; None where nobody does, or nobody need."""
    return _connect(locate_socket(database)) if isinstance(database, Path) else None


def _connect(path: Path) -> socket.socket | None:
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(_ANSWER_WITHIN + 1)
    try:
        channel.connect(str(path))
    except OSError:  # nobody is there, or the socket of a server that died
        channel.close()
        return None
    return channel


def ask(channel: socket.socket, command: Command) -> Any:
    """What the server says to a command, its one on this channel. Raises OperatorError."""
    if command["do"] in _SLOW:
        channel.settimeout(_SLOW_WITHIN + 1)
    try:
        with channel:
            channel.sendall(json.dumps(command).encode() + b"\n")
            with channel.makefile("rb") as answers:
                answer = json.loads(answers.readline())
    except (OSError, ValueError):
        raise OperatorError("the running server did not answer; look whether it was done") from None
    if "error" in answer:
        raise OperatorError(answer["error"])
    return answer["result"]


def name_actor() -> str:
    """Who is at the terminal."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid {os.getuid()}"


async def _carry_out_alone(place: Place | Path | str, command: Command) -> Any:
    store = Store(place)
    store.open()
    try:
        return await carry_out(store, command)
    finally:
        store.close()
