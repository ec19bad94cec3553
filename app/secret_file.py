"""A file that holds a secret: who else may open it."""

import os
import shlex
import stat
from pathlib import Path


def find_exposure(path: Path) -> str | None:
    """That others may open it and how to end that, as a clause; None when they may not. Raises OSError.

    A group may: root's file with the service's group (0640) is one that the service cannot change. On a mount that
    cannot be written no mode is asked about: it is a container's, its orchestrator put it there (Kubernetes' and
    Docker's secrets are 0644 and 0444), nobody else lives in there, and no chmod would be possible.
    """
    if not path.stat().st_mode & stat.S_IRWXO or os.statvfs(path).f_flag & os.ST_RDONLY:
        return None
    return f"is open to every user of this machine; run chmod o= {shlex.quote(str(path))}"
