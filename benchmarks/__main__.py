"""`make bench`: durable acceptance beside a bare endpoint that keeps nothing.

Server on one core, generator on another, runs alternating, medians told.
"""

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
CONNECTIONS = 64

FORMS = """
[forms.kontakt]
customer_id = "M12345"
assigned_to_id = "HAN1"
lead_source_id = "LKA1"
mode = "{mode}"
"""


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    command: list[str]
    environment: dict[str, str]
    url: str
    ready: str


@dataclass(frozen=True, slots=True)
class Result:
    per_second: float
    p99_ms: float
    errors: int


def main() -> None:
    if shutil.which("wrk") is None:
        sys.exit("make bench needs wrk (Debian: apt-get install wrk)")
    with tempfile.TemporaryDirectory() as folder:
        contenders = list_contenders(Path(folder))
        results: dict[str, list[Result]] = {one.name: [] for one in contenders}
        for round_number in range(ROUNDS):
            for one in contenders:
                result = measure(one, round_number)
                results[one.name].append(result)
                print(f"  {one.name}: {result.per_second:,.0f}/s  p99 {result.p99_ms:.1f} ms", flush=True)
    print_table(results)


def list_contenders(folder: Path) -> list[Contender]:
    forms = folder / "forms.toml"
    forms.write_text(FORMS.format(mode="live"), encoding="utf-8")
    environment = {
        "LEADGATE_FORMS": str(forms),
        "LEADGATE_DATABASE_URL": f"sqlite:///{folder / 'leadgate.db'}",
        "LEADGATE_VITEC_USERNAME": "bench",
        "LEADGATE_VITEC_PASSWORD": "bench",
        "LEADGATE_VITEC_BASE_URL": "http://127.0.0.1:9",
        "LEADGATE_RATE_LIMIT": "off",
        "LEADGATE_TRUSTED_PROXIES": "127.0.0.1",
        "LEADGATE_ENV_FILE": os.devnull,
    }
    leadgate = str(Path(sys.executable).with_name("leadgate"))
    uvicorn = [
        sys.executable,
        "-m",
        "uvicorn",
        "--log-level",
        "warning",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
    ]
    return [
        Contender(
            "leadgate, on disk",
            [leadgate, "serve", "--port", "8790", "--no-delivery"],
            environment,
            "http://127.0.0.1:8790/api/v1/forms/kontakt/leads",
            "http://127.0.0.1:8790/readyz",
        ),
        Contender(
            "bare FastAPI, nothing kept",
            [*uvicorn, "--port", "8791", "benchmarks.bare:app"],
            {},
            "http://127.0.0.1:8791/lead",
            "http://127.0.0.1:8791/openapi.json",
        ),
    ]


def measure(one: Contender, round_number: int) -> Result:
    with running(one):
        output = subprocess.run(
            ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(HERE / "lead.lua"),
             one.url, "--", f"{round_number}x{time.time_ns()}"],
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
    line = next(line for line in output.splitlines() if line.startswith("RESULT "))
    per_second, p99, errors = line.split()[1:]
    return Result(float(per_second), float(p99), int(errors))


@contextmanager
def running(one: Contender) -> Iterator[None]:
    process = subprocess.Popen(
        ["taskset", "-c", "0", *one.command],
        env=os.environ | one.environment,
        stdout=subprocess.DEVNULL,
        cwd=HERE.parent,
    )
    try:
        await_ready(one.ready)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def await_ready(url: str) -> None:
    for _ in range(100):
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} did not come up")


def print_table(results: dict[str, list[Result]]) -> None:
    base = results["bare FastAPI, nothing kept"]
    print("\n| what | acknowledged/s | to the bare | p99 ms | errors |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, rows in results.items():
        speed = statistics.median(row.per_second for row in rows)
        ratio = statistics.median(a.per_second / b.per_second for a, b in zip(rows, base, strict=True))
        p99 = statistics.median(row.p99_ms for row in rows)
        print(f"| {name} | {speed:,.0f} | {ratio:.2f} | {p99:.1f} | {sum(row.errors for row in rows)} |")


if __name__ == "__main__":
    main()
