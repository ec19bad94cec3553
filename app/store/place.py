"""Where the SQLite file may lie: on a disk of this machine, with room to spare."""

import re
import shutil
from pathlib import Path

from app.errors import StoreError

RESERVE = 64 * 1024 * 1024
"""Bytes left free for delivering what was accepted: on a full disk not even an update goes through."""

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


def has_room(folder: Path, *, reserve: int) -> bool:
    return count_free_bytes(folder) >= reserve


def count_free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
