"""A file that holds a secret: who else may open it."""

import os
import shlex
import stat
from pathlib import Path

from app.log import get_logger

_log = get_logger("secrets")

_told: set[Path] = set()
"""Files that others may open, and that the log has named."""


def read_secret(path: Path) -> str:
    """What it holds, for what is read anew at each use. Raises OSError or UnicodeDecodeError.

    One that others may open by now is named in the log, once, and used: leads would wait for a chmod.
    """
    secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    exposure = find_exposure(path)
    if exposure is None:
        _told.discard(path)
    elif path not in _told:
        _told.add(path)
        _log.warning("secret_file_exposed", file=str(path), cause=exposure)
    return secret


def find_exposure(path: Path) -> str | None:
    """That others may open it and how to end that, as a clause; None when they may not. Raises OSError.

    A group may: root's file with the service's group (0640) is one that the service cannot change. On a mount that
    cannot be written no mode is asked about: it is a container's, its orchestrator put it there (Kubernetes' and
    Docker's secrets are 0644 and 0444), nobody else lives in there, and no chmod would be possible.
    """
    if not path.stat().st_mode & stat.S_IRWXO or os.statvfs(path).f_flag & os.ST_RDONLY:
        return None
    return f"is open to every user of this machine; run chmod o= {shlex.quote(str(path))}"
