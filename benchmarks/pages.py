"""What a visitor's browser gets, and how soon there is somebody to give it."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.acceptance import Plan
from benchmarks.fill import write_forms
from benchmarks.load import drive, median_ratio
from benchmarks.processes import leadgate, running, uvicorn
from benchmarks.report import Row

_OURS, _RAW = "http://127.0.0.1:8790/f/kontakt", "http://127.0.0.1:8791/page"


def measure_page(folder: Path, plan: Plan) -> Iterator[Row]:
    write_forms(folder)
    own, speeds = leadgate(folder, "--no-delivery"), dict[str, list[float]](ours=[], raw=[])
    bytes_of_page = folder / "page.html"
    for _ in range(plan.rounds):
        with running(own):
            bytes_of_page.write_bytes(_get(_OURS))
            speeds["ours"].append(drive(_OURS, seconds=plan.seconds, script="page.lua").per_second)
        with running(uvicorn("benchmarks.peers:page", port=8791, BENCH_PAGE=str(bytes_of_page))):
            speeds["raw"].append(drive(_RAW, seconds=plan.seconds, script="page.lua").per_second)
    ours, raw = (median(speeds[name]) for name in ("ours", "raw"))
    yield Row(
        what="form page",
        against="the same bytes from a bare Starlette route",
        value=median_ratio(speeds["ours"], speeds["raw"]),
        goal=0.7,
        note=f"{ours:,.0f} and {raw:,.0f} a second",
    )


def measure_sizes(folder: Path, _plan: Plan) -> Iterator[Row]:
    write_forms(folder)
    with running(leadgate(folder, "--no-delivery")):
        for what, path, goal in (
            ("embed script", "/embed/v1.js", 2.5),
            ("framed document", "/f/kontakt", 15),
        ):
            size = len(_get(f"http://127.0.0.1:8790{path}", "gzip")) / 1000
            yield Row(what=f"{what}, gzipped", against="", value=size, goal=goal, unit="kB", at_most=True)


def measure_start(folder: Path, _plan: Plan) -> Iterator[Row]:
    write_forms(folder)
    found = []
    for _ in range(5):
        with running(leadgate(folder)) as server:
            found.append(server.ready_after)
    yield Row(
        what="import and start to ready", against="", value=median(found), goal=1.2, unit="s", at_most=True
    )


def _get(url: str, encoding: str = "identity") -> bytes:
    request = urllib.request.Request(url, headers={"Accept-Encoding": encoding})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: bytes = answer.read()
    return found
