"""The power fails at any moment: is what was acknowledged still there?

Disks are built for many moments of the real writer's life: what was synced stands, of everything else any part
may have reached the disk, sector by sector and in any order. Each is opened as after a restart.
`python -m proof.powercut [IMAGES [LEADS [SEED]]]`
"""

import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from proof.table import Row, format_table
from proof.trace import (
    DATABASE,
    Acknowledged,
    Created,
    Event,
    FolderSynced,
    Removed,
    Resized,
    Synced,
    Written,
    find_obstacle,
    record,
)

_SECTOR = 512  # what a disk writes whole or not at all
_TORN = 0.3  # of the writes that were not synced; the others reached the disk whole or not at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    images: int
    lossy: int
    """Images in which an acknowledged lead was missing, or without its place in the outbox."""
    most_lost: int
    """Leads, in the worst image."""
    damaged: int
    """Images that SQLite could not read, or found not to be whole."""
    acknowledged: int
    events: int

    def make_row(self, fault: str) -> Row:
        """A trial is an image; lost are those that lost at least one acknowledged lead."""
        lost = f"{self.most_lost} of {self.acknowledged} leads at most"
        note = f"a trial is a disk; {lost}; {self.damaged} damaged; {self.events} events"
        return Row(fault=fault, trials=self.images, lost=self.lossy, note=note)


@dataclass(slots=True)
class _File:
    synced: bytearray = field(default_factory=bytearray)
    loose: list[Written | Resized] = field(default_factory=list)


class Disk:
    """A folder on a file system that keeps its word about syncs, and no other."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._synced_names: dict[str, _File] = {}
        self._loose_names: list[tuple[str, _File | None]] = []

    def apply(self, event: Event) -> None:
        match event:
            case Created(name):
                self._files[name] = _File()
                self._loose_names.append((name, self._files[name]))
            case Removed(name):
                del self._files[name]
                self._loose_names.append((name, None))
            case Written(name) | Resized(name):
                self._files[name].loose.append(event)
            case Synced(name):
                file = self._files[name]
                for change in file.loose:
                    _change(file.synced, change)
                file.loose.clear()
            case FolderSynced():
                _rename(self._synced_names, self._loose_names)
                self._loose_names.clear()

    def cut(self, random: Random, *, survives: float) -> dict[str, bytes]:
        """What is found after a power cut; of what was not synced, that share has reached the disk."""
        names = dict(self._synced_names)
        # File systems journal names in their order, so that a part of them is a beginning.
        reached = sum(random.random() < survives for _ in self._loose_names)
        _rename(names, self._loose_names[:reached])
        return {name: _cut_file(file, random, survives=survives) for name, file in names.items()}


def _rename(names: dict[str, _File], changes: Sequence[tuple[str, _File | None]]) -> None:
    for name, file in changes:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


def _cut_file(file: _File, random: Random, *, survives: float) -> bytes:
    content = bytearray(file.synced)
    for change in file.loose:
        for part in _tear(change) if random.random() < _TORN else (change,):
            if random.random() < survives:
                _change(content, part)
    return bytes(content)


def _tear(change: Written | Resized) -> Iterator[Written | Resized]:
    if isinstance(change, Resized):
        yield change
        return
    start, end = change.offset, change.offset + len(change.data)
    while start < end:
        stop = min(end, (start // _SECTOR + 1) * _SECTOR)
        yield Written(change.name, start, change.data[start - change.offset : stop - change.offset])
        start = stop


def _change(content: bytearray, change: Written | Resized) -> None:
    end = change.length if isinstance(change, Resized) else change.offset
    content.extend(bytes(max(0, end - len(content))))
    if isinstance(change, Resized):
        del content[end:]
    else:
        content[end : end + len(change.data)] = change.data


def replay(events: Sequence[Event], *, images: int, seed: int) -> Outcome:
    """Cuts the power `images` times; one seed, one result."""
    random = Random(seed)
    moments = Counter(_choose_moments(events, random, images=images))
    disk, acknowledged = Disk(), set[str]()
    lossy = most_lost = damaged = 0
    for number, event in enumerate(events):
        disk.apply(event)
        if isinstance(event, Acknowledged):
            acknowledged.add(event.lead_id)
        for _ in range(moments[number]):
            survives = 0.0 if random.random() < 0.3 else random.random()
            found = examine(disk.cut(random, survives=survives))
            lost = len(acknowledged - (found or set()))
            lossy += lost > 0
            most_lost = max(most_lost, lost)
            damaged += found is None
    return Outcome(
        images=images,
        lossy=lossy,
        most_lost=most_lost,
        damaged=damaged,
        acknowledged=len(acknowledged),
        events=len(events),
    )


def _choose_moments(events: Sequence[Event], random: Random, *, images: int) -> list[int]:
    """Half of them just after an acknowledgement, where a missing sync is dearest."""
    dearest = [number for number, event in enumerate(events) if isinstance(event, Acknowledged)]
    return [random.choice(dearest if turn % 2 else range(len(events))) for turn in range(images)]


def examine(files: dict[str, bytes]) -> set[str] | None:
    """The ids of the leads that stand in the outbox; None for a database that is not whole."""
    with tempfile.TemporaryDirectory(prefix="powercut-") as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        try:
            with closing(sqlite3.connect(Path(folder, DATABASE))) as connection:
                return _read_leads(connection)
        except sqlite3.DatabaseError:
            return None


def _read_leads(connection: sqlite3.Connection) -> set[str] | None:
    if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
        return None
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not {"leads", "outbox"} <= tables:  # cut off before the schema was made
        return set()
    kept = connection.execute("SELECT leads.id FROM leads JOIN outbox ON outbox.lead_id = leads.id")
    return {lead_id for (lead_id,) in kept}


def cut_power(*, images: int, leads: int, seed: int, synchronous: str = "full") -> Outcome:
    """Records the real writer and replays it. `"normal"` and `"off"` plant faults that must be seen."""
    with tempfile.TemporaryDirectory(prefix="powercut-") as folder:
        events = record(Path(folder), leads=leads, synchronous=synchronous)
    return replay(events, images=images, seed=seed)


def main(arguments: list[str]) -> int:
    """0 when nothing is lost with FULL, and something with less; also where it has to be skipped."""
    if (obstacle := find_obstacle()) is not None:
        print(f"power cuts: SKIPPED, {obstacle}")
        return 0
    images, leads, seed = (*map(int, arguments), *(1000, 300, 1)[len(arguments) :])
    outcomes = {
        synchronous: cut_power(images=images, leads=leads, seed=seed, synchronous=synchronous)
        for synchronous in ("full", "normal", "off")
    }
    print(format_table(outcome.make_row(_FAULTS[synchronous]) for synchronous, outcome in outcomes.items()))
    product = outcomes.pop("full")
    is_proven = product.lossy == product.damaged == 0 and all(planted.lossy for planted in outcomes.values())
    return 0 if is_proven else 1


_FAULTS = {
    "full": "power cut, synchronous=FULL (the product)",
    "normal": "power cut, synchronous=NORMAL (planted: must lose)",
    "off": "power cut, synchronous=OFF (planted: must lose)",
}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
