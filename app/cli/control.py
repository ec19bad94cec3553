"""The operator's socket: commands beside a running server are carried out by its own writer."""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from app.errors import LeadgateError, OperatorError
from app.log import get_logger
from app.store.gates import probe_now
from app.store.leads import find_lead_id
from app.store.operator import discard_lead, release_lead, retry_lead
from app.store.store import Store

_log = get_logger("control")

_LONGEST_PATH = 100  # of sockaddr_un's 104 (macOS) and 108 (Linux)
_LONGEST_LINE = 64 * 1024
_ANSWER_WITHIN = 10.0

Command = dict[str, Any]


def locate_socket(database: Path) -> Path:
    """Beside the store; in the temporary folder where that path is too long for a socket."""
    beside = database.absolute().with_name(database.name + ".sock")
    if len(os.fsencode(beside)) <= _LONGEST_PATH:
        return beside
    return Path(gettempdir()) / f"leadgate-{os.getuid()}-{sha256(os.fsencode(beside)).hexdigest()[:16]}.sock"


async def carry_out(store: Store, command: Command) -> Any:
    """Does what a command says, in one transaction. Raises OperatorError."""
    now = datetime.now(UTC)
    actor = str(command.get("actor", "operator"))
    if command.get("do") == "probe_gates":
        return await store.write(lambda connection: probe_now(connection, now=now))
    act = _ACTS.get(str(command.get("do")))
    if act is None:
        raise OperatorError(f"unknown command {command.get('do')!r}")

    def decide(connection: Any) -> str:
        lead_id = find_lead_id(connection, str(command["lead"]))
        act(connection, lead_id, command, now, actor)
        return lead_id

    lead_id = await store.write(decide)
    store.wake()
    return lead_id


def _retry(connection: Any, lead_id: str, _command: Command, now: datetime, actor: str) -> None:
    retry_lead(connection, lead_id, now=now, actor=actor)


def _release(connection: Any, lead_id: str, _command: Command, now: datetime, actor: str) -> None:
    release_lead(connection, lead_id, now=now, actor=actor)


def _discard(connection: Any, lead_id: str, command: Command, now: datetime, actor: str) -> None:
    discard_lead(connection, lead_id, reason=str(command.get("reason", "")), now=now, actor=actor)


_ACTS: dict[str, Callable[[Any, str, Command, datetime, str], None]] = {
    "retry": _retry,
    "release": _release,
    "discard": _discard,
}


@dataclass(slots=True)
class ControlServer:
    """Listens with mode 0600: who may write the store's folder may command."""

    store: Store
    path: Path
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)  # the lock file is held: whoever made it is gone
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._answer, self.path, limit=_LONGEST_LINE)
        finally:
            os.umask(before)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                line = await reader.readline()
                writer.write(json.dumps(await self._try(line)).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            _log.warning("command_abandoned")
        finally:
            writer.close()

    async def _try(self, line: bytes) -> Command:
        try:
            command = json.loads(line)
            return {"result": await carry_out(self.store, command)}
        except LeadgateError as error:
            return {"error": str(error)}
        except (ValueError, KeyError, TypeError, AttributeError):
            return {"error": "unreadable command"}


def ask_server(path: Path, command: Command) -> Any:
    """What the running server answers. Raises ConnectionError when none runs, OperatorError when it refuses."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(_ANSWER_WITHIN + 1)
        try:
            channel.connect(str(path))
        except OSError as error:
            raise ConnectionError from error
        channel.sendall(json.dumps(command).encode() + b"\n")
        with channel.makefile("rb") as answers:
            line = answers.readline()
    answer = json.loads(line) if line else {"error": "the server did not answer"}
    if "error" in answer:
        raise OperatorError(answer["error"])
    return answer["result"]


def command_store(database: Path, command: Command) -> Any:
    """Through the running server, or with the lock when none runs. Raises LeadgateError."""
    try:
        return ask_server(locate_socket(database), command)
    except ConnectionError:
        return asyncio.run(_with_own_store(database, lambda store: carry_out(store, command)))


async def _with_own_store(database: Path, act: Callable[[Store], Awaitable[Any]]) -> Any:
    store = Store(database)
    store.open()
    try:
        return await act(store)
    finally:
        store.close()
