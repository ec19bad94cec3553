"""docs/security.md keeps its word: every control names tests, and every test that it names is there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (\d+) \| .+ \| (.+) \|$", TEXT, re.MULTILINE))


def is_there(file: str, name: str) -> bool:
    path = TESTS / file
    return path.is_file() and bool(
        re.search(rf"^(?:async )?def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_every_control_of_the_checklist_has_a_row() -> None:
    assert list(ROWS) == [str(number) for number in range(1, 35)]


def test_every_control_names_the_tests_that_hold_it() -> None:
    for number, held in ROWS.items():
        named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", held)
        assert [f"{file}::{name}" for file, name in named if not is_there(file, name)] == [], number
        assert named, number
