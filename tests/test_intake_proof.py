"""Proof of work: what counts as done, and for whom."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from altcha import Challenge, Payload, solve_challenge
from hypothesis import given
from hypothesis import strategies as st

from app.intake.proof import GOOD_FOR, Challenger, Work
from tests.submissions import form

CHALLENGER = Challenger(b"secret")


def solve(challenge: dict[str, Any]) -> str:
    asked = Challenge.from_dict(challenge)
    solution = solve_challenge(asked)
    assert solution is not None
    return Payload(asked, solution).to_base64()


@cache
def solved() -> tuple[datetime, str]:
    now = datetime.now(UTC)
    return now, solve(CHALLENGER.issue(form(), now=now))


def test_a_solved_challenge_is_work_done_and_known_by_its_nonce() -> None:
    now, payload = solved()
    answer = CHALLENGER.check(payload, form(), now=now)
    assert answer.work is Work.DONE
    assert answer.proof
    assert answer.proof.nonce == read(payload)["challenge"]["parameters"]["nonce"]
    assert answer.proof.expires_at == now.replace(microsecond=0) + GOOD_FOR


def read(payload: str) -> Any:
    return json.loads(base64.b64decode(payload))


def write(content: Any) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


def test_no_payload_is_no_answer() -> None:
    assert CHALLENGER.check(None, form(), now=solved()[0]).work is Work.NONE
    assert CHALLENGER.check("", form(), now=solved()[0]).work is Work.NONE


def test_work_for_another_form_another_secret_or_too_late_is_not_done() -> None:
    now, payload = solved()
    other = replace(form(), name="other")
    late = now + GOOD_FOR + timedelta(seconds=1)
    assert CHALLENGER.check(payload, other, now=now).work is Work.NOT_DONE
    assert CHALLENGER.check(payload, form(), now=late).work is Work.NOT_DONE
    assert Challenger(b"other").check(payload, form(), now=now).work is Work.NOT_DONE
    past = datetime.now(UTC) - GOOD_FOR - timedelta(seconds=5)
    assert CHALLENGER.check(solve(CHALLENGER.issue(form(), now=past)), form(), now=past).work is Work.NOT_DONE


@pytest.mark.parametrize(
    "change",
    [
        {"cost": 1},
        {"keyPrefix": ""},
        {"expiresAt": 99_999_999_999},
        {"data": {"form": "other"}},
        {"nonce": "0" * 32},
        {"algorithm": "SHA-256"},
    ],
)
def test_a_challenge_that_was_changed_is_none_of_ours(change: dict[str, Any]) -> None:
    now, payload = solved()
    content = read(payload)
    content["challenge"]["parameters"] |= change
    assert CHALLENGER.check(write(content), form(), now=now).work is Work.NOT_DONE


@pytest.mark.parametrize(
    "change", [{"counter": -1}, {"counter": "0"}, {"derivedKey": "00" * 32}, {"counter": 2**32}]
)
def test_a_wrong_solution_is_no_work(change: dict[str, Any]) -> None:
    now, payload = solved()
    content = read(payload)
    content["solution"] |= change
    assert CHALLENGER.check(write(content), form(), now=now).work is Work.NOT_DONE


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)


@given(
    payload=st.one_of(
        ANY,
        ANY.map(write),
        st.fixed_dictionaries({"challenge": ANY, "solution": ANY}).map(write),
        st.text().map(lambda text: text * 500),
        st.just("none"),
    ).filter(lambda one: one is not None and one != "")
)
def test_whatever_else_comes_is_work_not_done(payload: Any) -> None:
    assert CHALLENGER.check(payload, form(), now=datetime.now(UTC)).work is Work.NOT_DONE
