"""Trials by seed, several side by side, added up to a row each."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from proof.table import Row, format_table

_BROKEN = "broken off by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One row of the table."""

    fault: str
    run: Callable[[int], Coroutine[Any, Any, Row]]
    """By its seed."""
    obstacle: str | None = None
    """Why it cannot be done on this machine."""
    may_hold: bool = False
    """Whether a human may be needed."""
    must_double: bool = False
    """Whether a bug is planted, which must be seen."""

    def is_passed(self, row: Row) -> bool:
        if self.obstacle:
            return True
        if _BROKEN in row.note:
            return False
        if self.must_double:
            return row.doubled > 0
        unheld = self.may_hold or row.held == 0
        return row.lost == row.doubled == 0 and unheld and "never came to rest" not in row.note


async def run_trials(trials: Sequence[Trial], *, seeds: int, at_once: int) -> tuple[bool, list[Row]]:
    """Whether all passed, and their rows, each printed when it is known."""
    turns = asyncio.Semaphore(at_once)

    async def run(trial: Trial, seed: int) -> Row:
        async with turns:
            try:
                return await trial.run(seed)
            except Exception as error:  # noqa: BLE001 - the other trials go on; this one has failed
                return Row(fault=trial.fault, trials=0, note=f"1 {_BROKEN} {type(error).__name__}")

    begun = [
        [
            asyncio.ensure_future(run(trial, seed))
            for seed in range(0 if trial.obstacle else 1 if trial.must_double else seeds)
        ]
        for trial in trials
    ]
    rows = []
    for trial, runs in zip(trials, begun, strict=True):
        row = _add_up(trial, await asyncio.gather(*runs))
        rows.append(row)
        print(format_table([row]).splitlines()[-1], flush=True)
    return all(trial.is_passed(row) for trial, row in zip(trials, rows, strict=True)), rows


def _add_up(trial: Trial, rows: Sequence[Row]) -> Row:
    return Row(
        fault=trial.fault,
        trials=sum(row.trials for row in rows),
        lost=sum(row.lost for row in rows),
        doubled=sum(row.doubled for row in rows),
        held=sum(row.held for row in rows),
        note=f"skipped: {trial.obstacle}" if trial.obstacle else add_notes([row.note for row in rows]),
    )


def add_notes(notes: Sequence[str]) -> str:
    """`2 kills, 1 stops` and `3 kills, 0 stops` are `5 kills, 1 stops`; what is no number is said once."""
    sums: dict[str, int] = {}
    for part in (part for note in notes for part in note.split(", ") if part):
        number, _, words = part.partition(" ")
        if number.isdigit():
            sums[words] = sums.get(words, 0) + int(number)
        else:
            sums.setdefault(part, -1)
    return ", ".join(words if count < 0 else f"{count} {words}" for words, count in sums.items())
