"""The documentation keeps its word: links lead somewhere, commands and names exist, the reference is the code's."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from app.cli.commands import app
from app.settings import NAMES
from tests.processes import run, start
from tools.reference import PAGE, write_reference

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").glob("*.md")])
NAMES_OF_PAGES = [str(page.relative_to(ROOT)) for page in PAGES]

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_ELSEWHERE = ("http://", "https://", "mailto:")


def read_prose(page: Path) -> str:
    """Without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def read_blocks(page: Path, language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def list_anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", read_prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES_OF_PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for link in _LINK.findall(read_prose(page)):
        if link.startswith(_ELSEWHERE):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in list_anchors(target), link


def test_every_page_is_found_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for link in _LINK.findall(read_prose(page)):
            target = (page.parent / link.partition("#")[0]).resolve()
            if not link.startswith(_ELSEWHERE) and target.is_file():
                waiting.append(target)
    assert {page for page in PAGES if page.name != "README.md"} <= seen


def list_commands() -> dict[str, list[str]]:
    """What stands after `leadgate` in every shell block, for whichever folder it is called from."""
    found = {}
    for page in PAGES:
        for block in read_blocks(page, "sh"):
            block = re.sub(r"<<'(\w+)'\n.*?^\1$", "", block, flags=re.MULTILINE | re.DOTALL)  # noqa: PLW2901
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else []
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words = words[1:]
                if words and Path(words[0]).name == "leadgate":
                    found[" ".join(words[1:])] = words[1:]
    return found


@pytest.mark.parametrize("line", list_commands())
def test_every_command_is_one(line: str) -> None:
    words = list_commands()[line]
    command: Any = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    command.make_parser(command.context_class(command)).parse_args(list(words))


@pytest.mark.parametrize("name", NAMES_OF_PAGES)
def test_every_setting_that_is_named_is_one(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    known = {*NAMES, "LEADGATE_SITE", "LEADGATE_UPSTREAM", "LEADGATE_URL", "LEADGATE_TEST_REQUIRE_BROWSER"}
    named = {one.removesuffix("_FILE").rstrip("_") for one in re.findall(r"\bLEADGATE_[A-Z_]+", text)}
    assert named - known <= {one for one in named if any(name.startswith(one) for name in known)}


def test_the_reference_is_the_codes() -> None:
    assert PAGE.read_text(encoding="utf-8") == write_reference(), "run make reference"


def test_the_reference_names_tables_and_options_as_they_are_written() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert "Undefined" not in text
    for heading in re.findall(r"^### `(.+)`$", text, re.MULTILINE):
        tomllib.loads(heading if heading.startswith("[[") else f"[{heading}]")
    assert "[--canary FORM]" in text
    assert "| `zip` | none | several |" in text


def test_who_installs_by_the_page_sees_a_lead_delivered(tmp_path: Path) -> None:
    """Its files as they are written there, in an empty folder."""
    page = ROOT / "docs" / "install.md"
    files = re.findall(
        r"^cat > (\S+) <<'(\w+)'\n(.*?)^\2$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    written = {name: text for name, _, text in files}
    assert set(written) == {"forms.toml", ".env"}
    tomllib.loads(written["forms.toml"])
    with start(tmp_path, "sandbox", "--port", "0") as vitec:
        for name, text in written.items():
            (tmp_path / name).write_text(text.replace("http://127.0.0.1:8001", vitec.url), encoding="utf-8")
        (tmp_path / ".env").chmod(0o600)
        checked = run(tmp_path, "check")
        assert checked.returncode == 0, checked.stderr
        assert "ok: 1 form" in checked.stdout
        with start(tmp_path, "serve", "--port", "0") as gateway:
            gateway.deliver()
            assert "delivered" in run(tmp_path, "leads", "list").stdout
