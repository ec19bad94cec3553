"""That the ear which the whole suite is heard with is not deaf."""

import json
import logging
from collections.abc import Callable

import pytest
import structlog

from app.log import get_logger
from tests.conftest import pytest_runtest_call
from tests.sinks import PERSONAL, SECRETS, find_told, overhearing

WORDS = [*PERSONAL, *SECRETS]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("write", [str, json.dumps, repr])
def test_a_word_is_found_however_it_is_written(word: str, write: Callable[[str], str]) -> None:
    assert find_told(f"…{write(word)}…") == [word]


@pytest.mark.parametrize("word", WORDS)
def test_what_is_logged_is_overheard(word: str) -> None:
    with overhearing() as heard:
        get_logger("sinks").info("lead_accepted", lead=word)
        logging.getLogger("library").warning(word)
    assert [find_told(line) for line in heard.getvalue().splitlines()] == [[word], [word]]


def test_it_is_overheard_after_a_test_has_forgotten_how_to_log() -> None:
    structlog.reset_defaults()
    with overhearing() as heard:
        get_logger("forgetful").error("defect", word=PERSONAL[0])
    assert find_told(heard.getvalue()) == [PERSONAL[0]]


def test_a_test_that_logs_a_visitor_fails() -> None:
    hook = pytest_runtest_call()
    next(hook)
    get_logger("sinks").info("lead_accepted", lead=PERSONAL[0])
    with pytest.raises(AssertionError, match="tells of a visitor"):
        hook.send(None)


def test_a_test_that_logs_no_more_than_an_id_passes() -> None:
    hook = pytest_runtest_call()
    next(hook)
    get_logger("sinks").info("lead_accepted", lead="01890000-0000-7000-8000-000000000000")
    with pytest.raises(StopIteration):
        hook.send(None)
