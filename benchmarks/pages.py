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

_OURS, _RAW = "http://127.0.0.1:8790/f/kontakt", "http://127.0.0.1:8791"
_PAGE_ROWS = {
    "identity": ("form page", "the same bytes from a bare Starlette route"),
    "gzip": ("form page, compressed as browsers ask for it", "that route behind Starlette's GZipMiddleware"),
}


def measure_page(folder: Path, plan: Plan) -> Iterator[Row]:
    write_forms(folder)
    own, bytes_of_page = leadgate(folder, "--no-delivery"), folder / "page.html"
    bare = uvicorn("benchmarks.peers:page", port=8791, BENCH_PAGE=str(bytes_of_page))
    speeds: dict[tuple[str, str], list[float]] = {
        (who, encoding): [] for who in ("ours", "raw") for encoding in _PAGE_ROWS
    }
    for _ in range(plan.rounds):
        for who, server in (("ours", own), ("raw", bare)):
            with running(server):
                if who == "ours":
                    bytes_of_page.write_bytes(_get(_OURS))
                for encoding in _PAGE_ROWS:
                    url = _OURS if who == "ours" else f"{_RAW}/{encoding}"
                    load = drive(url, seconds=plan.seconds, script="page.lua", encoding=encoding)
                    speeds[who, encoding].append(load.per_second)
    for encoding, (what, against) in _PAGE_ROWS.items():
        ours, raw = (speeds[who, encoding] for who in ("ours", "raw"))
        yield Row(
            what=what,
            against=against,
            value=median_ratio(ours, raw),
            goal=0.7,
            note=f"{median(ours):,.0f} and {median(raw):,.0f} a second",
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
