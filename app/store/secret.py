"""The service's secret, made once and kept beside the SQLite file: keys outlive a restart."""

import os
import secrets
from pathlib import Path

from app.errors import StoreError


def load_or_make_secret(database: Path) -> bytes:
    """Raises StoreError when the file can be neither read nor made."""
    path = database.with_name(database.name + ".secret")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        secret = path.read_bytes().strip()
    except OSError as error:
        raise StoreError(f"{path}: cannot be used: {error.strerror}") from None
    if len(secret) < 32:
        raise StoreError(f"{path}: holds no secret; restore it, or set LEADGATE_SECRET_KEY")
    return secret


def _make(path: Path) -> None:
    """Durable before it is first used: a lost secret would turn every repeated lead into a new one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii"
    ) as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)  # noqa: PTH105
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
