"""`make bench`: what was promised about speed, as ratios, into docs/performance.md. `--quick` writes nothing."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.acceptance import (
    Plan,
    measure_bad_hours,
    measure_beside_others,
    measure_long_past,
    measure_memory,
    measure_postgresql,
)
from benchmarks.delivery import measure_delay, measure_throughput
from benchmarks.pages import measure_page, measure_sizes, measure_start
from benchmarks.report import Row, format_table, write

TRIALS: dict[str, Callable[[Path, Plan], Iterator[Row]]] = {
    "acceptance": measure_beside_others,
    "trouble": measure_bad_hours,
    "past": measure_long_past,
    "postgresql": measure_postgresql,
    "throughput": measure_throughput,
    "delay": measure_delay,
    "page": measure_page,
    "memory": measure_memory,
    "start": measure_start,
    "sizes": measure_sizes,
}
"""The most valuable first."""

WHOLE = Plan()
QUICK = Plan(seconds=2, rounds=1, past=20_000, many=5000, peers=False)


def main() -> None:
    asked = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    asked.add_argument("trials", nargs="*", metavar="trial", help=f"some of: {', '.join(TRIALS)}")
    asked.add_argument("--quick", action="store_true", help="short, once, and not written down")
    asked.add_argument(
        "--node-red", action="store_true", help="beside Node-RED too (npm install -g node-red)"
    )
    asked.add_argument("--seconds", type=int, default=WHOLE.seconds, help="of each measurement")
    asked.add_argument("--rounds", type=int, default=WHOLE.rounds, help="of which the median is told")
    given = asked.parse_args()
    asked_for = Plan(seconds=given.seconds, rounds=given.rounds, node_red=given.node_red)
    plan = QUICK if given.quick else asked_for
    if unknown := set(given.trials) - set(TRIALS):
        asked.error(f"no such trial: {', '.join(sorted(unknown))}")
    _require()
    rows = [row for name in given.trials or TRIALS for row in _run(name, plan)]
    print(f"\n{format_table(rows)}")
    if not given.quick and not given.trials:
        write(rows, command=" ".join(["python -m benchmarks", *sys.argv[1:]]))


def _require() -> None:
    if missing := [name for name in ("wrk", "taskset") if shutil.which(name) is None]:
        sys.exit(f"make bench needs {' and '.join(missing)} (Debian: apt-get install wrk util-linux)")
    if (os.cpu_count() or 1) < 2:
        sys.exit("make bench needs two cores: one for the server, one for the generator")


def _run(name: str, plan: Plan) -> list[Row]:
    print(f"{name} ...", flush=True)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        return list(TRIALS[name](Path(folder), plan))


if __name__ == "__main__":
    main()
