"""What is shipped: the wheel with everything inside, the image's recipe, and the lock files."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

from tests.processes import environment

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def list_copied() -> list[str]:
    """What the Dockerfile takes from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment with the wheel in it, built from what the Dockerfile copies and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in list_copied():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    do(BIN / "hatchling", "build", "-t", "wheel", "-d", folder, cwd=source)
    [wheel] = folder.glob("*.whl")
    do(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    do(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=folder)
    return folder / "venv"


def do(*command: object, cwd: Path, **names: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment(**names),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_runs_by_itself(installed: Path, tmp_path: Path) -> None:
    """Templates, styles, presets, catalogs, migrations and the demo's forms are found without a checkout."""
    libraries = {"PYTHONPATH": str(Path(pytest.__file__).parent.parent)}
    leadgate = installed / "bin" / "leadgate"
    where = do(
        installed / "bin" / "python", "-c", "import app; print(app.__file__)", cwd=tmp_path, **libraries
    )
    assert Path(where.strip()).is_relative_to(installed)
    process = subprocess.Popen(
        [leadgate, "demo", "--port", "0"],
        cwd=tmp_path,
        env=environment(**libraries),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(7))
        try:
            page, inbox, gateway, admin = re.findall(r"http://[\d.]+:\d+", said)
            assert admin == gateway
            assert "Tallvinden" in httpx.get(page).text
            assert "Inkorgen" in httpx.get(inbox).text
            form = httpx.get(f"{gateway}/f/vardering?lang=sv")
            assert "Så hanterar vi dina personuppgifter" in form.text
            [style] = re.findall(r'href="(/static/leadgate\.css[^"]*)"', form.text)
            assert httpx.get(gateway + style).status_code == 200
            check_health(gateway)
        finally:
            process.terminate()
        assert process.wait(20) == 0


def check_health(gateway: str) -> None:
    """As the image asks for it."""
    found = re.search(r"HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found
    command = json.loads(found[1].replace("http://127.0.0.1:8000", gateway))
    assert command[0] == "python"
    do(sys.executable, *command[1:], cwd=ROOT)


def test_the_image_is_built_in_two_stages_and_runs_as_nobody() -> None:
    stages = DOCKERFILE.split("\nFROM ")[1:]
    assert len(stages) == 2
    assert "COPY --from=build" in stages[1]
    lines = stages[1].splitlines()
    assert "USER leadgate" in lines
    assert "VOLUME /data" in lines
    assert "STOPSIGNAL SIGTERM" in lines
    assert 'ENTRYPOINT ["leadgate"]' in lines
    assert "pip" not in stages[1]


def is_ignored(path: str) -> bool:
    """By .dockerignore, where the last line that matches stands."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split():
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = [path, *(str(parent) for parent in Path(path).parents)]
        if any(fnmatch.fnmatch(part, pattern) or fnmatch.fnmatch(Path(part).name, pattern) for part in parts):
            ignored = not line.startswith("!")
    return ignored


def test_what_the_image_copies_is_there() -> None:
    for source in list_copied():
        assert (ROOT / source).exists(), source
        assert not is_ignored(source), source


@pytest.mark.parametrize(
    "path", [".env", ".git", "data/leadgate.db", "forms.toml", "secrets/x", ".venv", "app/__pycache__"]
)
def test_what_is_private_stays_out_of_the_image(path: str) -> None:
    assert is_ignored(path)


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=;! ~]", name, maxsplit=1)[0]).lower()


def read_lock(name: str) -> dict[str, str]:
    """Versions by name. Every one has a hash, and none an address."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    pinned = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        head, *hashes = entry.split(" \\\n")
        found = re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ; .*)?", head)
        assert found, head
        assert hashes
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line) for line in hashes)
        pinned[normalize(found[1])] = found[2]
    return pinned


def list_wanted(group: str) -> set[str]:
    wanted: set[str] = set()
    for one in PROJECT["dependency-groups"][group]:
        wanted |= {normalize(one)} if isinstance(one, str) else list_wanted(one["include-group"])
    return wanted


def test_the_locks_are_in_step_with_the_project() -> None:
    run, dev, build = read_lock("run"), read_lock("dev"), read_lock("build")
    assert {normalize(one) for one in PROJECT["project"]["dependencies"]} <= set(run)
    assert list_wanted("dev") <= set(dev)
    assert list_wanted("build") <= set(build)
    assert run.items() <= dev.items()
    assert {name: version for name, version in dev.items() if name in build} == build
