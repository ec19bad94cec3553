"""README.md keeps its word: every command in it is run, every name exists, every answer has the shape shown."""

import itertools
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.configuration import read_configuration
from app.environment import read_environment
from app.settings import NAMES, Settings
from tests.conftest import Shell
from tests.processes import FORMS, LOGIN_NAMES, Service, run, start, start_gateway, write_forms

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

SHOWN = "2N4H-CW26-CZ"
"""The reference that README shows."""


def read_blocks(language: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for kind, text in blocks if kind == language]


def read_commands() -> list[list[str]]:
    """Each command of the shell blocks, in words, without its comment."""
    text = "".join(read_blocks("sh")).replace("\\\n", " ")
    commands, rest = [], ""
    for line in text.splitlines(keepends=True):
        rest += line
        try:
            words = shlex.split(rest, comments=True)
        except ValueError:  # within quotes that the next line closes
            continue
        commands.append(words)
        rest = ""
    return [words for words in commands if words]


COMMANDS = read_commands()


def choose(*prefix: str) -> list[list[str]]:
    return [words for words in COMMANDS if words[: len(prefix)] == list(prefix)]


def of_leadgate() -> list[list[str]]:
    """What stands after `leadgate`, without the environment before it."""
    found = []
    for words in COMMANDS:
        index = next((index for index, word in enumerate(words) if Path(word).name == "leadgate"), None)
        if index is not None and words[0] != "docker":
            found.append(words[index + 1 :])
    return found


def test_every_command_is_known_here() -> None:
    known = [choose(name) for name in ("make", "cp", "export", "curl", "docker")]
    assert sum(map(len, known)) + len(of_leadgate()) == len(COMMANDS)
    assert {" ".join(words[:2]).split(" --")[0] for words in of_leadgate()} == {
        "check",
        "serve",
        "leads list",
        "leads show",
        "leads retry",
        "notices",
        "gates",
        "db current",
    }


@pytest.mark.parametrize("target", [words[1] for words in choose("make")])
def test_make_knows_the_target(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_settings_are_those_that_there_are() -> None:
    rows = re.findall(r"^\| `(LEADGATE_\w+)` \| (.+?) \| .+ \|$", README, re.MULTILINE)
    assert [name for name, _ in rows] == list(NAMES)
    for name, told in rows:
        default = getattr(Settings(), NAMES[name])
        written = re.fullmatch(r"`([^`]+)`", told)
        if written is None:
            assert default in {None, ()} or NAMES[name] == "log_format", name
        else:
            read = read_environment({name: written[1]}, dotenv=Path("none"))
            assert not read.mistakes
            assert getattr(read.settings, NAMES[name]) == default, name


def test_the_names_that_are_exported_are_settings() -> None:
    names = {word.partition("=")[0] for words in choose("export") for word in words[1:]}
    names |= {name for words in COMMANDS for name in re.findall(r"LEADGATE_\w+", " ".join(words))}
    assert {name.removesuffix("_FILE") for name in names} <= set(NAMES)


def test_local_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif "://" not in target:
            assert (ROOT / target).exists(), target


def test_the_example_of_a_form_works(shell: Shell) -> None:
    [block] = read_blocks("toml")
    write_forms(shell.folder, block)
    shell.set(**LOGIN_NAMES)
    assert set(read_configuration().forms.forms) == set(tomllib.loads(block)["forms"])


def test_the_forms_that_are_copied_pass_the_check(shell: Shell) -> None:
    [[_, source, target]] = choose("cp")
    (shell.folder / target).write_bytes((ROOT / source).read_bytes())
    shell.set(**LOGIN_NAMES)
    [check] = [words for words in of_leadgate() if words == ["check"]]
    assert shell(*check).code == 0
    assert shell("route", "kontakt", "--zip", "169 55").code == 0


def post_as_shown(url: str) -> httpx.Response:
    [[_, *words]] = choose("curl")
    given: dict[str, list[str]] = {"-H": [], "-d": []}
    [address] = [word for word in words if word.startswith("http")]
    for flag, value in itertools.pairwise(words):
        if flag in given:
            given[flag].append(value)
    headers = dict(header.split(": ", 1) for header in given["-H"])
    path = address.removeprefix("http://127.0.0.1:8000")
    return httpx.post(url + path, headers=headers, content=given["-d"][0].encode())


def read_answer() -> tuple[str, dict[str, str], dict[str, Any]]:
    """The status line, headers and body that README shows."""
    [block] = [block for block in read_blocks("") if block.startswith("HTTP/1.1")]
    head, body = block.split("\n\n")
    status, *lines = head.splitlines()
    return status, dict(line.split(": ", 1) for line in lines), json.loads(body)


def test_the_commands_work_one_after_another(tmp_path: Path) -> None:
    """The path through README: the stand-in, the server with the environment shown, a lead, the operator."""
    write_forms(tmp_path, FORMS)
    with start(tmp_path, "sandbox", "--port", "0") as vitec:
        httpx.post(vitec.url + "/sandbox/faults", json={"name": "400", "times": 1})
        shown = dict(
            word.split("=", 1)
            for words in COMMANDS
            if words[0].startswith("LEADGATE_")
            for word in words
            if "=" in word
        )
        assert shown.pop("LEADGATE_VITEC_BASE_URL") == "http://127.0.0.1:8001"
        with start_gateway(tmp_path, vitec.url, **shown) as gateway:
            answer = post_as_shown(gateway.url)
            check_answer(answer)
            assert post_as_shown(gateway.url).json()["id"] == answer.json()["id"]
            gateway.await_log("lead_held")
            operate(tmp_path, gateway, answer.json()["reference"])


def check_answer(answer: httpx.Response) -> None:
    status, headers, body = read_answer()
    assert f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}" == status
    assert list(answer.json()) == list(body)
    assert answer.json()["status"] == body["status"]
    for name, value in headers.items():
        assert shape(answer.headers[name]) == shape(value)
    assert shape(answer.json()["receivedAt"]) == shape(body["receivedAt"])
    for reference in (answer.json()["reference"], SHOWN, body["reference"]):
        assert re.fullmatch("[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{2}", reference)


def shape(text: str) -> str:
    return re.sub(r"[0-9A-Z]", "0", re.sub(r"[0-9a-f]{4,}", "h", text))


def operate(folder: Path, gateway: Service, reference: str) -> None:
    commands = [words for words in of_leadgate() if words[0] not in {"check", "serve"}]
    for words in commands:
        done = run(folder, *[word.replace(SHOWN, reference) for word in words])
        assert (done.returncode, done.stderr) == (0, ""), words
        if words[0] == "leads":
            assert reference in done.stdout
    gateway.await_log("lead_delivered")


def test_the_image_is_run_as_the_dockerfile_says() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    build, launch = choose("docker")
    assert build == ["docker", "build", "-t", "leadgate", "."]
    assert launch[-1] == "leadgate"
    assert "--read-only" in launch
    mounts = [value.split(":") for flag, value in itertools.pairwise(launch) if flag == "-v"]
    assert f"VOLUME {mounts[0][1]}\n" in dockerfile
    assert f"LEADGATE_FORMS={mounts[1][1]} " in dockerfile
    assert f"EXPOSE {launch[launch.index('-p') + 1].split(':')[1]}\n" in dockerfile
