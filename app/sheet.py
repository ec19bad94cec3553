"""CSV that a spreadsheet opens without taking any of it for a formula."""

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

# What Excel, LibreOffice or Google Sheets would run, also behind blanks or in full width (OWASP, CSV injection).
_DANGEROUS = "=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20"
_SKIPPED = " \u00a0\ufeff\u200b"


def write_sheet(file: TextIO, rows: Iterable[Sequence[str]]) -> None:
    """As RFC 4180 has it, every cell quoted."""
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    for row in rows:
        writer.writerow([disarm(cell) for cell in row])


def disarm(cell: str) -> str:
    """An apostrophe before what would be run: spreadsheets show the cell as the text that it is."""
    begins = cell.lstrip(_SKIPPED)[:1]
    return ("'" + cell if begins and begins in _DANGEROUS else cell).replace("\0", "")
