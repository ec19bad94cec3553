"""Servers of a measurement: started on their core, awaited, looked at, ended."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
SERVER, GENERATOR = "0", "1"
"""Cores. Peers, database and Vitec's stand-in are placed by whoever starts them."""

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    command: tuple[str, ...]
    ready: str
    """The address that answers once it is up."""
    environment: dict[str, str] = field(default_factory=dict)
    core: str = SERVER


def leadgate(folder: Path, *arguments: str, port: int = 8790, **settings: str) -> Program:
    """`leadgate serve`. Settings are named as in the environment, in lower case and without LEADGATE_."""
    values = {
        "forms": str(folder / "forms.toml"),
        "database_url": f"sqlite:///{folder / 'leadgate.db'}",
        "vitec_username": "leadgate",
        "vitec_password": "sandbox",
        "vitec_base_url": "http://127.0.0.1:9",
        "rate_limit": "off",
        "trusted_proxies": "127.0.0.1",
        "env_file": os.devnull,
    } | settings
    return Program(
        command=(str(Path(sys.executable).with_name("leadgate")), "serve", "--port", str(port), *arguments),
        ready=f"http://127.0.0.1:{port}/readyz",
        environment={f"LEADGATE_{name.upper()}": value for name, value in values.items()},
    )


def uvicorn(app: str, *, port: int, core: str = SERVER, **environment: str) -> Program:
    """An application by its name, or by that of a function that makes one."""
    options = ("--log-level", "error", "--loop", "uvloop", "--http", "httptools", "--no-access-log")
    return Program(
        command=(
            *(sys.executable, "-m", "uvicorn", *options, "--port", str(port)),
            *(["--factory"] if app.partition(":")[2].startswith("make_") else []),
            app,
        ),
        ready=f"http://127.0.0.1:{port}/openapi.json",
        environment=environment,
        core=core,
    )


def node_red(folder: Path, *, port: int) -> Program:
    """A flow that answers a POST; `node-red` comes from npm."""
    nodes = [
        {"id": "flow", "type": "tab", "label": "leads"},
        {"id": "in", "type": "http in", "z": "flow", "url": "/lead", "method": "post", "wires": [["out"]]},
        {"id": "out", "type": "http response", "z": "flow", "statusCode": "202", "wires": []},
    ]
    (folder / "flows.json").write_text(json.dumps(nodes), encoding="utf-8")
    return Program(
        command=("node-red", "--port", str(port), "--userDir", str(folder), str(folder / "flows.json")),
        ready=f"http://127.0.0.1:{port}/",
    )


@dataclass(frozen=True, slots=True)
class Running:
    pid: int
    ready_after: float
    """Seconds from its start, imports and all."""

    def measure_memory(self) -> int:
        """Bytes resident now."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024


@contextmanager
def running(program: Program) -> Iterator[Running]:
    begun = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "-c", program.core, *program.command],
        env=os.environ | program.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        _await(program.ready, process)
        yield Running(process.pid, time.perf_counter() - begun)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError as error:
            if error.code == 404:  # it answers, and has nothing there
                return
        except OSError:
            pass
        time.sleep(0.01)
    sys.exit(f"{url} did not come up")
