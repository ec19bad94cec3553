"""`wrk` on its own core, and what it tells."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.processes import GENERATOR

_SCRIPTS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Load:
    per_second: float
    p99_ms: float
    errors: int


def drive(
    url: str, *, seconds: int, connections: int = 64, script: str = "lead.lua", encoding: str = "identity"
) -> Load:
    """Posts leads, each from another person at another address; with `page.lua` it gets a page."""
    told = subprocess.run(
        [
            *("taskset", "-c", GENERATOR, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"),
            *("-s", str(_SCRIPTS / script), url, "--", str(time.time_ns()), encoding),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    line = next(line for line in told.splitlines() if line.startswith("RESULT "))
    per_second, p99, errors = line.split()[1:]
    return Load(float(per_second), float(p99), int(errors))


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Of rounds that were run next to each other: the machine's own speed wanders."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))
