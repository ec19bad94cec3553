"""The one table a proof prints: what went wrong, how often it was tried, and what became of the leads."""

from collections.abc import Iterable
from dataclasses import dataclass

_HEADINGS = ("fault", "trials", "lost", "doubled", "held", "note")
_NUMBERS = {"trials", "lost", "doubled", "held"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of one fault. What a trial is (a lead, a disk image, a state) the note says."""

    fault: str
    trials: int
    lost: int = 0
    doubled: int = 0
    held: int = 0
    """In front of a human: neither lost nor doubled."""
    note: str = ""


def format_table(rows: Iterable[Row]) -> str:
    """Markdown, its columns aligned for those who read it as it is."""
    cells = [_HEADINGS, *(_write_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [_format_line(line, widths) for line in cells]
    rules = [
        "-" * (width - 1) + ":" if heading in _NUMBERS else "-" * width
        for heading, width in zip(_HEADINGS, widths, strict=True)
    ]
    return "\n".join([lines[0], _format_line(rules, widths), *lines[1:]])


def _write_cells(row: Row) -> tuple[str, ...]:
    numbers = (f"{number:,}" for number in (row.trials, row.lost, row.doubled, row.held))
    return tuple(cell.replace("|", "\\|") for cell in (row.fault, *numbers, row.note))


def _format_line(cells: Iterable[str], widths: Iterable[int]) -> str:
    aligned = (
        cell.rjust(width) if heading in _NUMBERS else cell.ljust(width)
        for heading, cell, width in zip(_HEADINGS, cells, widths, strict=True)
    )
    return f"| {' | '.join(aligned)} |"
