"""A short form of the proof: real processes, killed and stopped, a Vitec that fails, and a planted bug."""

import asyncio
from collections.abc import Iterator

import pytest

from proof import fulldisk, restored, upgraded
from proof.chaos import run_scenario
from proof.postgresql import Server, run_server
from proof.scenarios import AFTER, BEFORE, POSTGRESQL, SQLITE, Scenario
from proof.table import Row
from proof.trials import Trial, add_notes, run_trials

# Each waits for settle times and leases, and for processes that start again and again.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_server() as server:
        yield server


def check(trial: Trial, seed: int = 1) -> None:
    if trial.obstacle:
        pytest.skip(trial.obstacle)
    row = asyncio.run(trial.run(seed))
    assert trial.is_passed(row), row


@pytest.mark.parametrize("database", [SQLITE, POSTGRESQL])
@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(name="kills, stops and faults", faults=BEFORE + AFTER, kill=0.02, stop=0.01),
        Scenario(name="nothing may be read", faults=AFTER, reads="reads_forbidden", kill=0.01),
    ],
    ids=lambda scenario: scenario.name,
)
def test_nothing_is_lost_and_nothing_doubled(scenario: Scenario, database: str, server: Server) -> None:
    row = asyncio.run(
        run_scenario(scenario, seed=1, leads=10, server=server if database == POSTGRESQL else None)
    )
    assert row.trials >= 10
    assert (row.lost, row.doubled) == (0, 0)
    assert "never came to rest" not in row.note
    assert row.held == 0 or scenario.may_hold


def test_two_servers_and_two_deliverers_share_the_leads(server: Server) -> None:
    scenario = Scenario(name="a fleet", faults=BEFORE + AFTER, servers=2, deliverers=2, every=6)
    row = asyncio.run(run_scenario(scenario, seed=1, leads=10, server=server))
    assert (row.trials, row.lost, row.doubled, row.held, "rest" in row.note) == (11, 0, 0, 0, False)


def test_a_planted_bug_is_seen() -> None:
    mutant = Scenario(name="sent again without looking", faults=AFTER, mutant="blind_retry")
    row = asyncio.run(run_scenario(mutant, seed=1, leads=10))
    assert row.doubled > 0


def test_a_full_disk_refuses_new_leads_and_delivers_the_old() -> None:
    (trial,) = fulldisk.list_trials(leads=10)
    check(trial)


@pytest.mark.parametrize("trial", restored.list_trials(leads=12), ids=lambda trial: trial.fault)
def test_after_a_restored_backup_nothing_is_sent_twice(trial: Trial) -> None:
    check(trial)


@pytest.mark.parametrize("trial", upgraded.list_trials(leads=24), ids=lambda trial: trial.fault)
def test_an_upgrade_under_load_costs_no_lead(trial: Trial) -> None:
    check(trial)


def test_a_trial_that_breaks_off_fails_and_stops_no_other() -> None:
    async def break_off(_seed: int) -> Row:
        raise TimeoutError

    async def pass_by(_seed: int) -> Row:
        return Row(fault="whole", trials=1)

    trials = [Trial(fault="broken", run=break_off), Trial(fault="whole", run=pass_by)]
    passed, (broken, whole) = asyncio.run(run_trials(trials, seeds=2, at_once=2))
    assert not passed
    assert (broken.note, broken.trials) == ("2 broken off by TimeoutError", 0)
    assert whole.trials == 2


def test_notes_add_up() -> None:
    assert add_notes(["2 kills, 1 stops", "", "3 kills, 0 stops", "odd", "odd"]) == "5 kills, 1 stops, odd"
