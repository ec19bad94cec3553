"""From an acknowledgement to Vitec's id, and how many get there at once."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.acceptance import LEADS, Plan
from benchmarks.fill import fill, read_deliveries, write_forms
from benchmarks.processes import GENERATOR, leadgate, running, uvicorn
from benchmarks.report import Row

_VITEC = "http://127.0.0.1:8798"
_CONCURRENCIES = (5, 10)
"""What is set by default, and twice that."""
_DELAY = 0.05
_CALLS = 3
"""For each lead: its contact, that contact's leads as they stand, and the lead."""
_ALONE = 40


def measure_throughput(folder: Path, plan: Plan) -> Iterator[Row]:
    for concurrency in _CONCURRENCIES:
        yield _measure_throughput(folder, plan, concurrency)


def _measure_throughput(folder: Path, plan: Plan, concurrency: int) -> Row:
    write_forms(folder)
    database = folder / f"waiting{concurrency}.db"
    possible = concurrency / (_CALLS * _DELAY)
    number = int(possible * plan.seconds * 2)
    fill(database, number, delivered=False)
    own = leadgate(
        folder,
        database_url=f"sqlite:///{database}",
        vitec_base_url=_VITEC,
        vitec_concurrency=str(concurrency),
        vitec_rate="1000",
    )
    with (
        running(uvicorn("benchmarks.peers:vitec", port=8798, core=GENERATOR, BENCH_DELAY=str(_DELAY))),
        running(own),
    ):
        moments = _await_deliveries(database, number)
    # The first and the last of them are not delivered at full width.
    middle = moments[len(moments) // 10 : len(moments) * 9 // 10]
    found = (len(middle) - 1) / (middle[-1] - middle[0])
    return Row(
        what=f"delivery throughput, Vitec at 50 ms, {concurrency} at once",
        against=f"{concurrency} ÷ (3 calls of 50 ms)",
        value=found / possible,
        goal=0.9,
        note=f"{found:.0f} leads a second",
    )


def _await_deliveries(database: Path, number: int) -> list[float]:
    until = time.monotonic() + 120
    found: list[tuple[float, float]] = []
    while len(found) < number and time.monotonic() < until:
        time.sleep(0.5)
        found = read_deliveries(database)
    assert len(found) > number // 2, f"{len(found)} of {number} leads were delivered"
    return [delivered for _, delivered in found]


def measure_delay(folder: Path, _plan: Plan) -> Iterator[Row]:
    write_forms(folder)
    with running(uvicorn("benchmarks.peers:vitec", port=8798, core=GENERATOR)):
        own = leadgate(folder, vitec_base_url=_VITEC, vitec_rate="1000")
        with running(own):
            for number in range(_ALONE):
                _post(number)
                time.sleep(0.15)
            time.sleep(1)
    delays = [
        1000 * (delivered - received) for received, delivered in read_deliveries(folder / "leadgate.db")
    ]
    assert len(delays) == _ALONE, f"{len(delays)} of {_ALONE} leads were delivered"
    yield Row(
        what="from the request to Vitec's id, idle, median",
        against="Vitec at 0 ms",
        value=median(delays),
        goal=50,
        unit="ms",
        at_most=True,
        note="the commit before the acknowledgement included",
    )


def _post(number: int) -> None:
    body = {"firstName": "Anna", "lastName": "Berg", "email": f"anna.{number}@example.com", "message": "Hej!"}
    request = urllib.request.Request(
        LEADS, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202
