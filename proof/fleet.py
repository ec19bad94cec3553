"""The processes of a run: started, killed, stopped, continued, and started again whenever they die."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom

_LOOK_EVERY = 0.25
_CONTINUE_AFTER = 2.0
RESPITE_EVERY = 3
"""Lives, of which one begins in peace: see gateway.py."""
_RESPITE = 6.0
_PORTS = SystemRandom()
ROOT = Path(__file__).parent.parent


def make_environment(names: Mapping[str, str]) -> dict[str, str]:
    """This process's own, but for whoever counts the lines it runs: to count them doubles the time of a start."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return inherited | dict(names)


def free_port() -> int:
    """None that the kernel would give to an outgoing connection: a gateway that was killed must get it again."""
    while True:
        port = _PORTS.randrange(20_000, 32_000)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


@dataclass(slots=True, kw_only=True)
class Member:
    """One gateway process, again and again until it is told to end."""

    arguments: Sequence[str]
    names: Mapping[str, str]
    log: Path
    module: str = "proof.gateway"
    root: Path = ROOT
    dice: Random = field(default_factory=Random)
    every: float = 0
    """Seconds, on average, between kills and stops."""
    kills: int = 0
    stops: int = 0
    process: asyncio.subprocess.Process | None = None
    _ending: bool = False
    _life: int = 0
    _keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._ending = False
        self._keeper = asyncio.create_task(self._keep_running())

    async def _keep_running(self) -> None:
        while not self._ending:
            self.process = await self._launch()
            await self._watch(self.process)
            self.kills += self.process.returncode == -signal.SIGKILL
            self._life += 1

    async def _launch(self) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self.module,
                *self.arguments,
                env=make_environment(self.names) | {"LEADGATE_PROOF_LIFE": str(self._life)},
                cwd=self.root,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Until it ends. One that was stopped is continued after two seconds, as a machine that was paused is."""
        ended = asyncio.create_task(process.wait())
        stopped = 0.0
        clock = asyncio.get_running_loop().time
        armed_at = clock() + (_RESPITE if self._life % RESPITE_EVERY == RESPITE_EVERY - 1 else 0)
        while not ended.done():
            await asyncio.wait([ended], timeout=_LOOK_EVERY)
            if ended.done():
                return
            stopped = stopped + _LOOK_EVERY if _is_stopped(process.pid) else 0
            if stopped >= _CONTINUE_AFTER or (stopped and self._ending):
                self.stops += 1
                stopped = 0
                process.send_signal(signal.SIGCONT)
            elif clock() >= armed_at and self.every and self.dice.random() < _LOOK_EVERY / self.every:
                process.send_signal(self.dice.choice((signal.SIGKILL, signal.SIGSTOP)))

    async def end(self) -> None:
        """By SIGTERM, as an operator would."""
        self._ending = True
        self.every = 0
        while self._keeper is not None and not self._keeper.done():
            if self.process is not None and self.process.returncode is None:
                with suppress(ProcessLookupError):
                    self.process.terminate()
            await asyncio.wait([self._keeper], timeout=5)


def _is_stopped(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"
    return False


@asynccontextmanager
async def running(*arguments: str, names: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that nobody harms, ended with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        *arguments,
        env=make_environment(names),
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def ask(*arguments: str, names: Mapping[str, str]) -> str:
    """What a command says. Raises RuntimeError with its complaint."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        *arguments,
        env=make_environment(names),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(complaint.decode())
    return output.decode()
