"""Secrets: who may read their files, and every place in which none of them is ever seen."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from app.errors import StoreError
from app.settings import NAMES, SECRETS, read_environment
from app.store.secret import load_or_make_secret
from tests.processes import LEADGATE, environment, run, write_forms

LOGIN = {"LEADGATE_VITEC_USERNAME": "partner"}
NOWHERE = Path("no .env")


def test_what_opens_something_is_known_as_a_secret() -> None:
    named = {name for name in NAMES if re.search("PASSWORD|SECRET|TOKEN|HASH|KEYS|WEBHOOK|SMTP_URL|DATABASE_URL", name)}
    assert {NAMES[name] for name in named} <= SECRETS
    assert SECRETS >= {"vitec_password", "secret_key", "database_url"}


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666, 0o444])
def test_a_file_that_is_open_to_everybody_is_refused_with_what_closes_it(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "the password"
    file.write_text("x\n", encoding="utf-8")
    file.chmod(mode)
    names = LOGIN | {"LEADGATE_VITEC_PASSWORD_FILE": str(file)}
    [mistake] = read_environment(names, dotenv=NOWHERE).mistakes
    assert mistake.source == "LEADGATE_VITEC_PASSWORD_FILE"
    said, _, command = mistake.message.partition("; run ")
    assert said == "names a file that is open to every user of this machine"
    subprocess.run(shlex.split(command), check=True)
    assert not read_environment(names, dotenv=NOWHERE).mistakes
    assert file.stat().st_mode & 0o777 == mode & 0o770


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_file_of_the_service_or_its_group_is_fine(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "password"
    file.write_text("x\n", encoding="utf-8")
    file.chmod(mode)
    names = LOGIN | {"LEADGATE_VITEC_PASSWORD_FILE": str(file)}
    assert not read_environment(names, dotenv=NOWHERE).mistakes


def test_a_file_that_holds_no_secret_may_be_read_by_all(tmp_path: Path) -> None:
    (tmp_path / "url").touch(0o644)
    (tmp_path / "url").write_text("https://forms.example.se", encoding="utf-8")
    assert not read_environment({"LEADGATE_PUBLIC_URL_FILE": str(tmp_path / "url")}, dotenv=NOWHERE).mistakes


def test_the_services_own_secret_is_refused_too(tmp_path: Path) -> None:
    load_or_make_secret(tmp_path / "leads.db")
    (tmp_path / "leads.db.secret").chmod(0o644)
    with pytest.raises(StoreError, match=r"leads.db.secret: is open to every user .*; run chmod o= /"):
        load_or_make_secret(tmp_path / "leads.db")


@pytest.mark.parametrize(
    ("mode", "line", "warned"),
    [
        (0o644, "LEADGATE_VITEC_PASSWORD=x", True),
        (0o600, "LEADGATE_VITEC_PASSWORD=x", False),
        (0o644, "LEADGATE_VITEC_PASSWORD_FILE=away", False),
        (0o644, "LEADGATE_VITEC_RATE=3", False),
    ],
)
def test_an_env_file_with_a_secret_that_all_may_read_is_a_warning(
    tmp_path: Path, mode: int, line: str, warned: bool
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(line, encoding="utf-8")
    dotenv.chmod(mode)
    warnings = [one for one in read_environment({}, dotenv=dotenv).warnings if one.source == str(dotenv)]
    assert [one.message for one in warnings] == (
        [f"holds a secret and is open to every user of this machine; run chmod o= {dotenv}"] if warned else []
    )


MOUNT = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$2" check'


def test_a_secret_on_a_mount_that_cannot_be_written_is_the_orchestrators_affair(tmp_path: Path) -> None:
    """As Kubernetes and Docker mount theirs, readable by all of a container that holds one user."""
    write_forms(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("x\n", encoding="utf-8")
    secret.chmod(0o444)
    names = LOGIN | {"LEADGATE_VITEC_PASSWORD_FILE": str(secret)}
    assert run(tmp_path, "check", names=names).returncode == 1
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount: a read-only mount is not tested")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-euc", MOUNT, "sh", str(secret), LEADGATE],
        cwd=tmp_path,
        env=environment(**names),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
