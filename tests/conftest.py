"""What more than one test file needs."""

import os
import shutil
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from app.cli import main
from tests.stages import serve_agency, serve_embedded, set_stage

__all__ = ["serve_agency", "serve_embedded", "set_stage"]
from tests.sinks import find_told, overhearing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first: at the end one worker would do it while the others wait."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Fails every test in which the log learns who the visitor is, or a password."""
    with overhearing() as heard:
        result = yield
    assert not find_told(heard.getvalue()), "the log tells of a visitor or a password"
    return result


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Shell:
    """`leadgate` in this process: quick, for commands that end by themselves."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> Outcome:
        self.monkeypatch.setattr(sys, "argv", ["leadgate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self.capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    def set(self, **names: str) -> None:
        for name, value in names.items():
            self.monkeypatch.setenv(name, value)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """In an empty folder, with nothing of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("LEADGATE_"):
            monkeypatch.delenv(name)
    return Shell(tmp_path, monkeypatch, capsys)


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIETLY = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's own Chromium. For modules without a test of asyncio's: both would run the thread's loop."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        if os.environ.get("LEADGATE_TEST_REQUIRE_BROWSER") == "1":
            pytest.fail("LEADGATE_TEST_REQUIRE_BROWSER=1, and no Chromium is installed")
        pytest.skip("no Chromium is installed: what a browser does is not tested")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIETLY)
        yield browser
        browser.close()
