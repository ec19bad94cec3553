"""Vitec logins of the forms file: where their passwords are to be had, and whether they can be had now."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.forms.findings import Findings
from app.forms.model import CallGroup, Login, Password
from app.forms.shape import LoginShape, PasswordShape
from app.secret_file import find_exposure

VITEC = "https://connect.maklare.vitec.net"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginTable:
    """A `[vitec.NAME]` as it is written."""

    name: str
    source: str
    folder: Path
    """Where a relative password_file is looked for."""
    shape: LoginShape

    @property
    def key(self) -> str:
        return f"vitec.{self.name}"


def build_login(
    table: LoginTable,
    *,
    default_login: Login | None,
    environ: Mapping[str, str],
    needed: bool,
    findings: Findings,
) -> Login | None:
    """The login, or None where it has no credentials; that is a mistake only if a lead may need them."""
    shape = table.shape
    if not needed and not shape.username and not _is_given(shape):
        return None
    if not shape.username:
        findings.add(table.source, f"{table.key}.username", "is missing; Vitec gave it to you as a partner")
    groups = {group: getattr(shape, group.value) for group in CallGroup}
    passwords = {
        group: _build_password(
            table, given, key=f"{table.key}.{group}", environ=environ, needed=needed, findings=findings
        )
        for group, given in groups.items()
        if given is not None
    }
    return Login(
        name=table.name,
        username=shape.username or "",
        password=_build_password(
            table, shape, key=table.key, environ=environ, needed=needed, findings=findings
        ),
        base_url=shape.base_url or (default_login.base_url if default_login else VITEC),
        group_passwords=passwords,
    )


def _is_given(shape: PasswordShape) -> bool:
    return bool(shape.password_file or shape.password_env)


def _build_password(
    table: LoginTable,
    shape: PasswordShape,
    *,
    key: str,
    environ: Mapping[str, str],
    needed: bool,
    findings: Findings,
) -> Password:
    file, env = shape.password_file, shape.password_env
    path = table.folder / file if file else None
    if file and env:
        findings.add(table.source, key, "has both password_file and password_env; keep one")
    elif path is not None and needed and (problem := _find_fault(path)):
        findings.add(table.source, f"{key}.password_file", problem)
    elif env and needed and not environ.get(env):
        findings.add(table.source, f"{key}.password_env", f"names {env}, which is not set or empty; set it")
    elif not file and not env and (needed or shape is not table.shape):
        findings.add(table.source, key, "has no password; add password_file or password_env")
    return Password(file=path, env=None if file else env)


def _find_fault(path: Path) -> str | None:
    try:
        if not path.read_text(encoding="utf-8").strip():
            return f"names {path}, which is empty"
        exposure = find_exposure(path)
    except OSError as error:
        return f"names {path}, which cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return f"names {path}, which is no UTF-8 text"
    return f"names {path}, which {exposure}" if exposure else None
