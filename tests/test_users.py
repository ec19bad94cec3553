"""Who may open the admin pages: the file of users, passwords and their hashes."""

import asyncio
import os
import pty
from pathlib import Path

import pytest

from app import passwords
from app.cli.configuration import read_configuration
from app.errors import ConfigurationError
from app.forms.reader import read_forms
from app.passwords import Verifier, check_hash, hash_password
from app.users import find_strangers, read_users
from tests.admins import FORMS, HASH, PASSWORD, make_users
from tests.conftest import Shell
from tests.gateways import LOGIN
from tests.processes import write_forms

ROOT = Path(__file__).parent.parent


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "users.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def mistakes(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        read_users(path)
    return [str(mistake).removeprefix(f"{path}: ") for mistake in refused.value.mistakes]


def test_each_user_sees_the_customers_listed(tmp_path: Path) -> None:
    text = f"""
    [users.eva]
    password_hash = "{HASH}"
    customers = ["M1", "M2"]
    [users."k.ek"]
    password_hash = "{HASH}"
    customers = "all"
    """
    users = read_users(write(tmp_path, text), admin_hash=HASH)
    assert list(users) == ["admin", "eva", "k.ek"]
    assert users["eva"].sees("M2")
    assert not users["eva"].sees("M3")
    assert users["k.ek"].sees("M3")
    assert users["admin"].sees("M3")
    assert HASH not in repr(users)


def test_nobody_is_nobody() -> None:
    assert read_users(None) == {}


def test_every_mistake_is_told_and_no_hash(tmp_path: Path) -> None:
    text = f"""
    lösen = 1
    [users.admin]
    password_hash = "{HASH}"
    customers = "all"
    [users.Eva]
    password_hash = "secret-in-the-clear"
    customer = ["M1"]
    [users.karin]
    password_hash = "$argon2id$v=19$m=99999999,t=1,p=1$c29tZXNhbHQ$lA7l0SB6xEKgWTbVCJsWXw"
    customers = []
    [users.nils]
    customers = ["M1", 2]
    [users]
    bo = 1
    """
    found = mistakes(write(tmp_path, text.replace("lösen", '"lösen"')))
    assert found == [
        "lösen: is unknown; each user is a [users.NAME]",
        "users.admin: is LEADGATE_ADMIN_PASSWORD_HASH's; choose another name",
        "users.Eva: must be 1 to 40 lower-case letters, digits, dots, hyphens or underscores",
        "users.Eva.customer: is unknown. Did you mean customers?",
        "users.Eva.password_hash: is no Argon2 hash; make one with `leadgate hash-password`",
        'users.Eva.customers: must be a list such as ["M12345"], or "all"',
        "users.karin.password_hash: is no Argon2 hash; make one with `leadgate hash-password`",
        'users.karin.customers: must be a list such as ["M12345"], or "all"',
        "users.nils.password_hash: is no Argon2 hash; make one with `leadgate hash-password`",
        'users.nils.customers: must be a list such as ["M12345"], or "all"',
        "users.bo: must be a table with password_hash and customers",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "users: names nobody; write a [users.NAME] with password_hash and customers"),
        ("users = 1", "users: names nobody; write a [users.NAME] with password_hash and customers"),
        ("[users", "is not valid TOML: Expected ']' at the end of a table declaration (at end of document)"),
    ],
)
def test_a_file_that_names_nobody_is_a_mistake(tmp_path: Path, text: str, told: str) -> None:
    assert mistakes(write(tmp_path, text)) == [told]


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "users.toml") == ["cannot be read: No such file or directory"]
    path = tmp_path / "latin.toml"
    path.write_bytes(b"\xe5")
    assert mistakes(path) == ["is no UTF-8 text; save it as UTF-8"]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o607])
def test_a_file_that_anybody_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    text = f'[users.eva]\npassword_hash = "{HASH}"\ncustomers = "all"'
    assert mistakes(write(tmp_path, text, mode)) == [
        f"is open to every user of this machine; run chmod o= {tmp_path}/users.toml"
    ]


def test_a_customer_that_no_form_has_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "forms.toml"
    path.write_text(FORMS, encoding="utf-8")
    forms = read_forms(path, default_login=LOGIN, environ={})
    users = make_users(eva=["M1", "M2", "M22"], karin=None)
    assert [str(one) for one in find_strangers(users.current, forms, Path("u.toml"))] == [
        "u.toml: users.eva.customers: no form brings leads to M22."
    ]


def test_the_example_names_its_users(tmp_path: Path) -> None:
    text = (ROOT / "users.example.toml").read_text(encoding="utf-8")
    users = read_users(write(tmp_path, text.replace("$argon2id$v=19$m=65536,t=3,p=1$…", HASH)))
    assert {name: user.customers for name, user in users.items()} == {
        "eva": frozenset({"M12345", "M30011"}),
        "byran": None,
    }


def test_mistakes_of_users_forms_and_environment_are_told_together(shell: Shell) -> None:
    write_forms(shell.folder, "[forms.kontakt]")
    write(shell.folder, "")
    shell.set(
        LEADGATE_USERS="users.toml", LEADGATE_ADMIN_PASSWORD_HASH="in the clear", LEADGATE_VITEC_RATE="fast"
    )
    outcome = shell("check")
    assert outcome.code == 1
    for one in (
        "users.toml: users: names nobody",
        "LEADGATE_ADMIN_PASSWORD_HASH: is no Argon2 hash",
        "VITEC_RATE",
    ):
        assert one in outcome.err
    assert "customer_id" in outcome.err
    assert "in the clear" not in outcome.err


def test_a_hash_in_a_file_is_read_anew(shell: Shell) -> None:
    from app.cli.configuration import reread_users  # noqa: PLC0415

    write_forms(
        shell.folder, FORMS.replace("[forms.solviken]\nreceiver", "[forms.solviken]\nmode = 'test'\nreceiver")
    )
    file = shell.folder / "hash"
    file.write_text(HASH + "\n", encoding="utf-8")
    file.chmod(0o600)
    shell.set(
        LEADGATE_ADMIN_PASSWORD_HASH_FILE="hash", LEADGATE_VITEC_USERNAME="u", LEADGATE_VITEC_PASSWORD="p"
    )
    settings = read_configuration().settings
    other = HASH.replace("m=8", "m=16")
    file.write_text(other, encoding="utf-8")
    assert reread_users(settings)["admin"].password_hash == other
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="names a file that is open to every user"):
        reread_users(settings)
    file.write_text("nothing", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="names a file without an Argon2 hash in it"):
        reread_users(settings)
    file.unlink()
    with pytest.raises(ConfigurationError, match="names a file that cannot be read"):
        reread_users(settings)


def test_a_hash_is_argon2id_as_rfc_9106_recommends_it() -> None:
    made = hash_password(PASSWORD)
    assert made.startswith("$argon2id$v=19$m=65536,t=3,")
    assert check_hash(made) == made
    assert made != hash_password(PASSWORD)


@pytest.mark.parametrize("password", ["", "elva tecken", "x" * 1001])
def test_what_is_too_short_or_too_long_is_no_password(password: str) -> None:
    with pytest.raises(ValueError, match="must have 12 to 1000 characters"):
        hash_password(password)


def test_the_right_password_is_right_on_every_keyboard() -> None:
    composed, decomposed = "Göteborgs hamn", "Go\u0308teborgs hamn"
    made = hash_password(composed)

    async def verify(password: str) -> bool:
        return await Verifier().verify(made, password)

    assert asyncio.run(verify(decomposed))
    assert not asyncio.run(verify("Goteborgs hamn"))
    assert not asyncio.run(verify("x" * 1001))
    assert not asyncio.run(verify("\ud800"))


def test_a_hash_that_broke_lets_nobody_in() -> None:
    assert not asyncio.run(Verifier().verify("$argon2id$v=19$m=8,t=1,p=1$AAAA$", PASSWORD))


def test_so_many_at_once_are_turned_away_and_the_known_are_not() -> None:
    async def flood() -> tuple[int, int, bool]:
        verifier = Verifier()
        asked = [verifier.verify(HASH, "wrong password") for _ in range(50)]
        known = verifier.verify(HASH, PASSWORD, trusted=True)
        *answers, let_in = await asyncio.gather(*asked, known, return_exceptions=True)
        refused = sum(isinstance(answer, passwords.TooManyAtOnce) for answer in answers)
        return refused, answers.count(False), let_in is True

    assert asyncio.run(flood()) == (30, 20, True)


def test_the_command_reads_one_line_and_prints_a_hash(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n", encoding="utf-8")
    with path.open(encoding="utf-8") as line:
        monkeypatch.setattr("sys.stdin", line)
        outcome = shell("hash-password")
    assert outcome.code == 0
    assert asyncio.run(Verifier().verify(outcome.out.strip(), PASSWORD))
    path.write_text("short\n", encoding="utf-8")
    with path.open(encoding="utf-8") as line:
        monkeypatch.setattr("sys.stdin", line)
        outcome = shell("hash-password")
    assert (outcome.code, outcome.err) == (1, "the password must have 12 to 1000 characters\n")


def test_a_password_is_no_argument(shell: Shell) -> None:
    assert shell("hash-password", PASSWORD).code == 2


@pytest.mark.parametrize(("second", "code"), [(PASSWORD, 0), ("something else entirely", 1)])
def test_at_a_terminal_it_is_asked_for_twice(tmp_path: Path, second: str, code: int) -> None:
    import sys  # noqa: PLC0415

    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "app", "hash-password"])
    said = b""
    for answer in (PASSWORD, second):
        while not said.endswith(b": "):
            said += os.read(terminal, 1000)
        os.write(terminal, answer.encode() + b"\n")
        said += b"\n"
    while True:
        try:
            piece = os.read(terminal, 1000)
        except OSError:
            break
        if not piece:
            break
        said += piece
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    assert PASSWORD.encode() not in said
    assert (b"$argon2id$" in said) == (code == 0)
