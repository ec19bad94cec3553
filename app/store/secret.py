"""The service's secret, made once and kept beside the SQLite file: keys outlive a restart."""

import os
import secrets
from pathlib import Path
from tempfile import NamedTemporaryFile

from app.errors import StoreError
from app.secret_file import find_exposure


def load_or_make_secret(database: Path, *, named: Path | None = None) -> bytes:
    """Raises StoreError when the file can be neither read nor made.

    `named`: the link by which the database is known, beside which its secret may have been left.
    """
    path = _beside(database)
    left = _beside(named or database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if left != path and left.exists():
                raise StoreError(f"{left}: lies beside a link; move it beside the database, to {path}")
            _make(path)
        secret, exposure = path.read_bytes().strip(), find_exposure(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be used: {error.strerror}") from None
    if len(secret) < 32:
        raise StoreError(f"{path}: holds no secret; restore it, or set LEADGATE_SECRET_KEY")
    if exposure:
        raise StoreError(f"{path}: {exposure}")
    return secret


def _beside(database: Path) -> Path:
    return database.with_name(database.name + ".secret")


def _make(path: Path) -> None:
    """Whole and durable before it is first used: a lost secret would turn every repeated lead into a new one."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=path.name, encoding="ascii") as draft:  # mode 0600
        draft.write(secrets.token_urlsafe(32) + "\n")
        draft.flush()
        os.fsync(draft.fileno())
        try:
            os.link(draft.name, path)  # unlike a rename, never over one that is in use
        except FileExistsError:
            return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
