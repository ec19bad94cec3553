"""Disk that is kept occupied, to be given up when there is no other left to record what Vitec said."""

import os
from contextlib import suppress
from pathlib import Path

from app.log import get_logger

_log = get_logger("store")

SIZE = 8 * 1024 * 1024
"""Bytes: room for the outcomes of some thousand leads."""


class Ballast:
    """A file beside the store. At SQLITE_FULL even an update fails, and works again once this is gone."""

    def __init__(self, database: Path, *, size: int = SIZE) -> None:
        self.path = database.with_name(database.name + ".ballast")
        self._size = size

    def take_on(self, *, free: int) -> None:
        """Occupies the disk, where that leaves as much again free."""
        if free < 2 * self._size or self._is_whole():
            return
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                _occupy(file, self._size)
            finally:
                os.close(file)
        except OSError:
            self.drop()

    def _is_whole(self) -> bool:
        with suppress(OSError):
            return self.path.stat().st_size >= self._size
        return False

    def drop(self) -> bool:
        """Gives the room up. Whether there was any."""
        with suppress(OSError):
            self.path.unlink()
            _log.warning("ballast_dropped", size=self._size)
            return True
        return False


def _occupy(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:  # macOS
        os.pwrite(file, bytes(size), 0)
