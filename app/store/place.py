"""Where a store is kept: what its file or address is, and where a SQLite file may lie."""

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import StoreError

RESERVE = 64 * 1024 * 1024
"""Bytes left free for delivering what was accepted: on a full disk not even an update goes through."""


@dataclass(frozen=True, slots=True)
class Place:
    """A SQLite file by its path or PostgreSQL by its address, and the keys that open what is kept there."""

    at: Path | str
    keys: tuple[str, ...] = field(default=(), repr=False)
    """Fernet keys, newest first; without any what is kept is not encrypted."""


def find_place(place: Place | Path | str) -> Place:
    return place if isinstance(place, Place) else Place(place)


_MOUNTS = Path("/proc/self/mountinfo")
# Their locks and shared memory do not hold between machines, and WAL rests on both.
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs"}


def refuse_network(folder: Path, *, mounts: Path = _MOUNTS) -> None:
    """Raises StoreError for a folder on a network file system, where the system tells (Linux)."""
    if not mounts.exists():
        return
    kind = find_filesystem(folder.resolve(), mounts.read_text(encoding="utf-8", errors="surrogateescape"))
    if kind in _NETWORK:
        raise StoreError(f"{folder}: is on {kind}, where SQLite is not safe; use a local disk or PostgreSQL")


def find_filesystem(folder: Path, mounts: str) -> str | None:
    """The type of the file system that holds a folder, from the text of mountinfo (proc(5))."""
    found: dict[Path, str] = {}
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        found[Path(_unescape(mount.split()[4]))] = source.split()[0]
    return next((found[place] for place in (folder, *folder.parents) if place in found), None)


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def find_free(folder: Path) -> int:
    """Bytes that this process may still write."""
    return shutil.disk_usage(folder).free
