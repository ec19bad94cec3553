"""`make chaos`: the whole proof, and its table in docs/reliability.md. Exit 1 when something did not hold."""

import argparse
import asyncio
import platform
import sys
import time
from pathlib import Path

from proof import chaos, fulldisk, model, powercut, restored, upgraded
from proof.scenarios import MUTANTS, POSTGRESQL, SCENARIOS, SQLITE
from proof.table import Row, format_table
from proof.trace import find_obstacle
from proof.trials import run_trials

DOCUMENT = Path(__file__).parent.parent / "docs" / "reliability.md"
_BEGIN, _END = "<!-- proof -->", "<!-- /proof -->"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--leads", type=int, default=40, help="for each seed")
    parser.add_argument("--at-once", type=int, default=4, help="runs side by side")
    parser.add_argument("--write", action="store_true", help="the table into docs/reliability.md")
    options = parser.parse_args()
    began = time.monotonic()
    trials = [
        *chaos.list_trials(SCENARIOS + MUTANTS, database=SQLITE, leads=options.leads),
        *chaos.list_trials(SCENARIOS + MUTANTS, database=POSTGRESQL, leads=options.leads),
        *fulldisk.list_trials(leads=options.leads),
        *restored.list_trials(leads=options.leads),
        *upgraded.list_trials(leads=options.leads),
    ]
    by_trial = asyncio.run(run_trials(trials, seeds=options.seeds, at_once=options.at_once))
    tables = [prove_model(), prove_durability(), by_trial]
    rows = [row for held, part in tables for row in part]
    minutes = (time.monotonic() - began) / 60
    told = (
        f"`python -m proof --seeds {options.seeds} --leads {options.leads}`, {minutes:.0f} minutes, "
        f"Python {platform.python_version()}, {platform.system()}\n\n{format_table(rows)}"
    )
    print("\n" + told)
    if options.write:
        write_table(told)
    return 0 if all(held for held, _ in tables) else 1


def prove_model() -> tuple[bool, list[Row]]:
    rows, held = [], True
    for case in model.list_cases(2):
        verdict = model.explore(case.machine)
        held &= verdict.finding is case.expected
        rows.append(model.make_row(case, verdict))
    return held, rows


def prove_durability() -> tuple[bool, list[Row]]:
    if obstacle := find_obstacle():
        return True, [Row(fault="power cut", trials=0, note=f"skipped: {obstacle}")]
    full = powercut.cut_power(images=400, leads=150, seed=1)
    normal = powercut.cut_power(images=400, leads=150, seed=1, synchronous="normal")
    rows = [full.make_row("power cut"), normal.make_row("mutant: power cut, synchronous=NORMAL")]
    return full.lossy == 0 and full.damaged == 0 and normal.lossy > 0, rows


def write_table(told: str) -> None:
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    DOCUMENT.write_text(f"{before}{_BEGIN}\n\n{told}\n\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
