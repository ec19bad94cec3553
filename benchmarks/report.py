"""What was measured, as a table for people and as JSON, in docs/performance.md."""

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"

_BEGIN, _END = "<!-- bench -->", "<!-- /bench -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    what: str
    against: str
    value: float
    goal: float
    unit: str = ""
    at_most: bool = False
    """Whether the goal is a bound from above."""
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def format_table(rows: Sequence[Row]) -> str:
    lines = ["| what | measured against | found | goal | |", "| --- | --- | ---: | ---: | --- |"]
    for row in rows:
        bound = f"{'≤' if row.at_most else '≥'} {_write(row.goal, row.unit)}"
        verdict = "reached" if row.reached else "**missed**"
        lines.append(
            f"| {row.what} | {row.against} | {_write(row.value, row.unit)} | {bound} | {verdict}{_write_note(row)} |"
        )
    return "\n".join(lines)


def _write_note(row: Row) -> str:
    return f": {row.note}" if row.note else ""


def _write(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if unit and value >= 100 else f"{value:.3g} {unit}".strip()


def describe_machine() -> str:
    model = next(
        (line.partition(":")[2].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")),
        "?",
    )
    memory = next((int(line.split()[1]) for line in _read("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({model}), {memory / 2**20:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, load when it ended {os.getloadavg()[0]:.1f}"
    )


def _read(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def write(rows: Sequence[Row], *, command: str) -> None:
    """Between the document's marks, as it was found."""
    found = {
        "machine": describe_machine(),
        "python": sys.version.split()[0],
        "rows": [asdict(row) for row in rows],
    }
    told = (
        f"`{command}`: {describe_machine()}.\n\n{format_table(rows)}\n\n<details><summary>JSON</summary>\n\n"
        f"```json\n{json.dumps(found, indent=1, ensure_ascii=False)}\n```\n\n</details>"
    )
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    DOCUMENT.write_text(f"{before}{_BEGIN}\n\n{told}\n\n{_END}{after}", encoding="utf-8")
