"""Secrets: who may read their files, and every place in which none of them is ever seen."""

import re
import shlex
import subprocess
from base64 import b64encode
from pathlib import Path

import httpx
import pytest

from app.environment import read_environment
from app.errors import StoreError
from app.forms.model import Password
from app.log import configure_logging
from app.settings import NAMES, SECRETS
from app.store.secret import load_or_make_secret
from tests.processes import LEADGATE, Service, environment, run, start, start_gateway, write_forms

LOGIN = {"LEADGATE_VITEC_USERNAME": "partner"}
NOWHERE = Path("no .env")


def test_what_opens_something_is_known_as_a_secret() -> None:
    named = {
        name
        for name in NAMES
        if re.search("PASSWORD|SECRET|TOKEN|HASH|KEYS|WEBHOOK|SMTP_URL|DATABASE_URL", name)
    }
    assert {NAMES[name] for name in named} <= SECRETS
    assert {"vitec_password", "secret_key", "database_url"} <= SECRETS


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


def test_a_password_that_everybody_may_read_by_now_is_told_once_until_it_is_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("json")
    file = write_secret(tmp_path / "password", WORD)
    told = []
    for mode in (0o600, 0o644, 0o644, 0o640, 0o604):
        file.chmod(mode)
        assert Password(file=file).read() == WORD
        told.append(capsys.readouterr().err.count("secret_file_exposed"))
    assert told == [0, 1, 0, 0, 1]


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


WRONG = "fel-gurksallad-ett"
WORD = "gurksallad"


def write_secret(path: Path, value: str) -> Path:
    path.touch(0o600)
    path.write_text(value + "\n", encoding="utf-8")
    return path


def read_proc(gateway: Service, name: str) -> bytes:
    path = Path(f"/proc/{gateway.process.pid}/{name}")
    return path.read_bytes() if path.exists() else b""


def ask_everything(url: str) -> str:
    """What the service shows to whoever asks, its measurements with it."""
    paths = (
        "/metrics",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/f/kontakt",
        "/api/v1/forms/kontakt",
        "/admin",
    )
    answers = [httpx.get(url + path) for path in paths]
    return "".join(f"{answer.headers}{answer.text}" for answer in answers)


def test_passwords_are_rotated_without_a_restart_and_seen_nowhere(tmp_path: Path) -> None:
    """In no argument, environment, log, output, answer, measurement or file of the store's."""
    password = write_secret(tmp_path / "password", WRONG)
    key = write_secret(tmp_path / "key", "gurksallad-nyckel-" + "x" * 32)
    names = {
        "LEADGATE_VITEC_PASSWORD": "",
        "LEADGATE_VITEC_PASSWORD_FILE": str(password),
        "LEADGATE_SECRET_KEY_FILE": str(key),
    }
    with (
        start(tmp_path, "sandbox", "--port", "0") as vitec,
        start_gateway(tmp_path, vitec.url, **names) as gateway,
    ):
        lead = gateway.post().json()["reference"]
        assert gateway.await_log("gate_closed")["status"] == 401
        password.write_text("sandbox\n", encoding="utf-8")
        shown = run(tmp_path, "leads", "show", lead, names=names)
        listed = run(tmp_path, "gates", names=names)
        gateway.deliver(message="Efter bytet")
        seen = [
            gateway.said,
            shown.stdout,
            shown.stderr,
            listed.stdout,
            listed.stderr,
            ask_everything(gateway.url),
        ]
        kernel = read_proc(gateway, "cmdline") + read_proc(gateway, "environ")
        assert str(password).encode() in kernel or not kernel
        assert gateway.end() == (0, "")
        seen += gateway.log
    files = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert b"kontakt" in files
    assert WORD not in "".join(seen)
    assert WORD.encode() not in kernel + files
    assert b64encode(f"leadgate:{WRONG}".encode()) not in kernel + files + "".join(seen).encode()
