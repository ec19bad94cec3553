"""From a path to TOML documents: one file, or a directory of them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.forms.findings import Findings


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    path: Path
    content: Mapping[str, Any]

    @property
    def source(self) -> str:
        return str(self.path)


def read_documents(path: Path, *, findings: Findings) -> list[Document]:
    """Every document that can be read, in the order of their names; the rest are findings."""
    documents = (_read_document(one, findings=findings) for one in _list_files(path, findings=findings))
    return [document for document in documents if document is not None]


def _list_files(path: Path, *, findings: Findings) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        names = [one for one in path.iterdir() if one.suffix == ".toml" and not one.name.startswith(".")]
    except OSError as error:
        findings.add_unreadable(str(path), "", f"cannot be read: {error.strerror}")
        return []
    if not names:
        findings.add_unreadable(
            str(path), "", "is a directory without a .toml file; add one, such as kontakt.toml"
        )
    return sorted(names)


def _read_document(path: Path, *, findings: Findings) -> Document | None:
    try:
        # utf-8-sig, because Windows' Notepad opens a file with a byte order mark.
        return Document(path=path, content=tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        message = "does not exist; copy forms.example.toml there, or let LEADGATE_FORMS name another file"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        message = "is no UTF-8 text; save it as UTF-8"
    except tomllib.TOMLDecodeError as error:
        message = f"is not valid TOML: {error}"
    findings.add_unreadable(str(path), "", message)
    return None
