"""`leadgate` as people run it: a process in a folder, with an environment and two streams."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from signal import SIGTERM
from time import monotonic, sleep
from typing import Any

import httpx

from app.sandbox.config import AGENT, LEAD_SOURCE
from tests.sandboxes import CUSTOMER, LOGIN
from tests.sinks import find_told

LEADGATE = str(Path(sys.executable).with_name("leadgate"))

FORMS = f"""
[forms.kontakt]
customer_id = "{CUSTOMER}"
assigned_to_id = "{AGENT}"
lead_source_id = "{LEAD_SOURCE}"
"""
LOGIN_NAMES = {"LEADGATE_VITEC_USERNAME": LOGIN[0], "LEADGATE_VITEC_PASSWORD": LOGIN[1]}
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens on the discard port."""

ANNA = {
    "firstName": "Anna",
    "lastName": "Bergström",
    "email": "anna@example.com",
    "message": "Vi vill sälja.",
    "pageUrl": "https://agency.example/salja?utm_source=google&utm_medium=cpc",
}
LEADS = "/api/v1/forms/kontakt/leads"


_COVERED = ("tests/test_process.py", "tests/test_demo.py")
"""Whose processes are measured for coverage: that takes as long as a start does, and more of them cover no more."""


def environment(**names: str) -> dict[str, str]:
    """That of this process, without Leadgate's names, and with these."""
    covered = os.environ.get("PYTEST_CURRENT_TEST", "").startswith(_COVERED)
    foreign = ("LEADGATE_",) if covered else ("LEADGATE_", "COVERAGE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | names


def write_forms(folder: Path, text: str = FORMS) -> Path:
    path = folder / "forms.toml"
    path.write_text(text, encoding="utf-8")
    return path


def run(
    folder: Path, *arguments: str, prefix: Sequence[str] = (), names: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """To its end. The prefix is a command that runs it, such as setpriv."""
    return subprocess.run(
        [*prefix, LEADGATE, *arguments],
        cwd=folder,
        env=environment(**names or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@dataclass(slots=True)
class Service:
    """A process that has said that it is ready."""

    process: "subprocess.Popen[str]"
    said: str
    """What stood on its standard output until it was ready."""
    log: list[str]
    """What has stood on its standard error so far."""
    _unread: "Queue[str]"
    _reader: threading.Thread

    @property
    def urls(self) -> list[str]:
        return re.findall(r"http://[\d.]+:\d+", self.said)

    @property
    def url(self) -> str:
        return self.urls[0]

    def post(self, *, key: str | None = None, wait: int | None = None, **changes: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        return httpx.post(self.url + LEADS, json=ANNA | changes, headers=headers, timeout=60)

    def deliver(self, *, key: str | None = None, **changes: Any) -> httpx.Response:
        """The answer to a lead that is in Vitec within a minute, however busy this machine is."""
        answer = self.post(key=key, wait=10, **changes)
        assert answer.status_code == 202, answer.text
        self.await_status(answer.json()["id"], "delivered")
        return answer

    def await_status(self, lead_id: str, status: str) -> None:
        end = monotonic() + 60
        while (found := httpx.get(f"{self.url}/api/v1/leads/{lead_id}").json()["status"]) != status:
            assert monotonic() < end, found
            sleep(0.1)

    def await_log(self, event: str) -> dict[str, Any]:
        """The next line of that event."""
        while True:
            line = self._unread.get(timeout=60)
            if line.startswith("{") and (found := json.loads(line))["event"] == event:
                return dict(found)

    def end(self, name: int = SIGTERM) -> tuple[int, str]:
        """Its exit code, and what it had left to say on standard output."""
        self.process.send_signal(name)
        return self.await_end()

    def await_end(self) -> tuple[int, str]:
        assert self.process.stdout is not None
        code = self.process.wait(60)
        self._reader.join()
        return code, self.process.stdout.read()


@contextmanager
def start(
    folder: Path, *arguments: str, lines: int = 1, names: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """Runs until the block ends, or was ended in it. Its first `lines` say that it is ready."""
    process = subprocess.Popen(
        [LEADGATE, *arguments],
        cwd=folder,
        env=environment(**names or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stdout, stderr = process.stdout, process.stderr
    assert stdout is not None
    assert stderr is not None
    log: list[str] = []
    unread: Queue[str] = Queue()

    def read() -> None:
        for line in stderr:
            log.append(line)
            unread.put(line)

    reader = threading.Thread(target=read)
    reader.start()
    with process:
        try:
            said = "".join(stdout.readline() for _ in range(lines))
            assert said, "".join(log)
            yield Service(process, said, log, unread, reader)
        finally:
            process.terminate()
            process.wait(60)
            reader.join()
    assert not find_told("".join(log)), "the log tells of a visitor or a password"


@contextmanager
def start_gateway(folder: Path, vitec: str = NOWHERE, *arguments: str, **names: str) -> Iterator[Service]:
    """`leadgate serve` on a port of its own, with the sandbox's login."""
    if not (folder / "forms.toml").exists():
        write_forms(folder)
    given = LOGIN_NAMES | {"LEADGATE_VITEC_BASE_URL": vitec} | names
    with start(folder, "serve", "--port", "0", *arguments, names=given) as service:
        yield service
