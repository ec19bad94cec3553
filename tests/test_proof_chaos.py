"""A short form of the proof: real processes, killed and stopped, a Vitec that fails, and a planted bug."""

import asyncio

import pytest

from proof.chaos import AFTER, BEFORE, Scenario, run_scenario


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(name="kills, stops and faults", faults=BEFORE + AFTER, kill=0.02, stop=0.01),
        Scenario(name="nothing may be read", faults=AFTER, reads="reads_forbidden", kill=0.01),
    ],
    ids=lambda scenario: scenario.name,
)
def test_nothing_is_lost_and_nothing_doubled(scenario: Scenario) -> None:
    row = asyncio.run(run_scenario(scenario, seed=1, leads=15))
    assert row.trials >= 15
    assert (row.lost, row.doubled) == (0, 0)
    assert "never came to rest" not in row.note
    assert row.held == 0 or scenario.reads


def test_a_planted_bug_is_seen() -> None:
    mutant = Scenario(name="sent again without looking", faults=AFTER, mutant="blind_retry")
    row = asyncio.run(run_scenario(mutant, seed=1, leads=10))
    assert row.doubled > 0
