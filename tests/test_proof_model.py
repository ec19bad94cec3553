"""The exhaustive model: the design is safe in every world, and each mechanism taken away is missed."""

from dataclasses import replace
from random import Random

import pytest

from proof.machine import Intent, Lead, Machine, Reading, Request, Sight, State, Step, Worker
from proof.model import Case, Finding, explore, list_cases, main, make_canonical, make_row
from proof.steps import begin, list_next
from proof.table import Row, format_table

# Thousands of examples of what other tests cover, each traced, would take twice as long.
pytestmark = pytest.mark.no_cover

_CASES = list_cases()


def find_case(name: str) -> Case:
    return next(case for case in _CASES if case.name == name)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_the_design_is_safe_and_every_mechanism_taken_away_is_missed(case: Case) -> None:
    verdict = explore(case.machine)
    assert verdict.finding is case.expected
    assert bool(verdict.story) == (case.expected is not Finding.SAFE)
    if case.expected is Finding.DUPLICATE:
        created = [what for what in verdict.story if what.startswith("Vitec creates the lead")]
        assert len(created) == 2


def test_the_story_of_a_duplicate_can_be_read() -> None:
    assert explore(find_case("unknown outcome retried blindly").machine).story == (
        "worker 1 claims",
        "worker 1 commits its intent",
        "worker 1 sends",
        "Vitec creates the lead and says 500",
        "worker 1 records that it does not know",
        "worker 1 claims",
        "worker 1 commits its intent",
        "worker 1 sends",
        "Vitec creates the lead and says 200",
    )


def test_without_the_guard_a_worker_wakes_past_its_deadline_and_sends() -> None:
    story = explore(find_case("no send guard").machine).story
    assert any(what.endswith("wakes past its deadline and sends") for what in story)


def test_a_settle_time_longer_than_needed_is_safe_too() -> None:
    assert explore(Machine(settle=4, creates=1)).finding is Finding.SAFE


def test_a_slower_vitec_needs_a_longer_settle_time() -> None:
    slow = Machine(late=2, lag=2, settle=3, creates=1)
    assert explore(slow).finding is Finding.DUPLICATE
    assert explore(replace(slow, settle=4)).finding is Finding.SAFE


def test_a_lead_stands_in_front_of_a_human_where_looking_is_worth_nothing() -> None:
    for reading in (Reading.UNPROVEN, Reading.BLIND, Reading.FORBIDDEN):
        assert explore(Machine(workers=1, reading=reading)).held > 0


def test_a_search_that_was_not_finished_proves_nothing() -> None:
    verdict = explore(Machine(), limit=100)
    assert verdict.finding is Finding.UNFINISHED
    assert verdict.story == ()


def test_states_that_differ_in_names_alone_are_one() -> None:
    waiting, ready = Worker(Step.WAITING, request=1), Worker(Step.READY, current=True, request=2, deadline=1)
    one = State(
        lead=Lead.PENDING,
        leased=True,
        look_first=False,
        creates=0,
        intent=Intent(request=2, deadline=1, settle=2),
        workers=(waiting, ready),
        requests=(Request(number=1, life=1),),
        vitec=(1, 0),
        sight=Sight.CLEAR,
    )
    other = one._replace(
        intent=Intent(request=7, deadline=1, settle=2),
        workers=(ready._replace(request=7), waiting._replace(request=3)),
        requests=(Request(number=3, life=1),),
        vitec=(0, 1),
    )
    assert make_canonical(one) == make_canonical(other)
    assert make_canonical(one) != make_canonical(one._replace(workers=(waiting, waiting)))


def test_names_change_nothing_about_what_may_come_next() -> None:
    for machine in (Machine(workers=3), Machine(workers=3, fence=False, reading=Reading.FADING)):
        random, state = Random(1), begin(machine)
        for _ in range(1000):
            following = [after for _, after in list_next(machine, state)]
            renamed = list_next(machine, make_canonical(state))
            assert set(map(make_canonical, following)) == {make_canonical(after) for _, after in renamed}
            state = random.choice(following)


def test_what_came_out_otherwise_than_expected_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["1"]) == 1  # one worker alone cannot race with itself
    printed = capsys.readouterr().out
    assert "safe, MUST BE DUPLICATE" in printed
    assert "1 workers; a trial is a state" in printed
    assert "no intent:\n  worker 1 claims" in printed


def test_a_row_says_what_was_found() -> None:
    case = find_case("silence taken for success")
    row = make_row(case, explore(case.machine))
    assert (row.lost, row.doubled, row.note) == (1, 0, "LOST in 4 steps, as it must be")


def test_the_table_is_markdown() -> None:
    rows = [
        Row(fault="kill -9 | SIGSTOP", trials=12_000, held=3, note="seed 7"),
        Row(fault="none", trials=1),
    ]
    assert format_table(rows).splitlines() == [
        "| fault              | trials | lost | doubled | held | note   |",
        "| ------------------ | -----: | ---: | ------: | ---: | ------ |",
        "| kill -9 \\| SIGSTOP | 12,000 |    0 |       0 |    3 | seed 7 |",
        "| none               |      1 |    0 |       0 |    0 |        |",
    ]
