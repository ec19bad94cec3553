"""Every state the delivery machine can reach: none with two leads in Vitec, none from which there is no way on.

`python -m proof.model [WORKERS]` explores the design in every world, then each mechanism's absence.
"""

import sys
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from proof.machine import Intent, Lead, Machine, Reading, Request, State, Step, Worker
from proof.steps import begin, list_next
from proof.table import Row, format_table


class Finding(StrEnum):
    SAFE = "safe"
    DUPLICATE = "DUPLICATE"
    LOST = "LOST"
    """Recorded as delivered, and not in Vitec."""
    STUCK = "STUCK"
    UNFINISHED = "UNFINISHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    finding: Finding
    states: int
    held: int
    """States in which the lead stands in front of a human."""
    story: tuple[str, ...] = ()
    """The shortest way to what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    machine: Machine
    expected: Finding


def list_cases(workers: int = 2) -> list[Case]:
    design = Machine(workers=workers)
    worlds = [
        Case(
            name=f"the design, reading {reading}",
            machine=replace(design, reading=reading),
            expected=Finding.SAFE,
        )
        for reading in Reading
    ]
    spare = [
        Case(name="index without fence", machine=replace(design, fence=False), expected=Finding.SAFE),
        Case(name="fence without index", machine=replace(design, index=False), expected=Finding.SAFE),
    ]
    return [*worlds, *spare, *_list_mutants(design)]


def _list_mutants(design: Machine) -> list[Case]:
    blind = replace(design, reading=Reading.BLIND)
    mutants = {
        "no intent": replace(design, intent=False),
        "unknown outcome retried blindly": replace(design, reconciles_unknown=False),
        "expired lease retried, not reconciled": replace(design, reconciles_open=False),
        "no send guard": replace(design, guard=False),
        "settle time a tick too short": replace(design, settle=design.settle - 1),
        "settle time read off a clock that jumps": replace(design, observed_time=False),
        "a look asked before the settle time counts": replace(design, asked_after_settle=False),
        "one negative is enough": replace(design, negatives=1),
        "two negatives in the same moment": replace(design, apart=False),
        "no canary, reading blind": replace(blind, canary=False),
        "canary asked before the look": replace(design, reading=Reading.FADING, canary_after_look=False),
        "neither fence nor index": replace(design, fence=False, index=False),
        "on_ambiguous = resend (chosen), reading blind": replace(blind, resends=True),
    }
    cases = [
        Case(name=name, machine=machine, expected=Finding.DUPLICATE) for name, machine in mutants.items()
    ]
    silence = replace(design, believes_silence=True)
    stuck = {
        "a lease that never runs out": replace(design, leases_expire=False),
        "a retry that does not count creates anew": replace(design, renews=False),
    }
    return [
        *cases,
        Case(name="silence taken for success", machine=silence, expected=Finding.LOST),
        *(Case(name=name, machine=machine, expected=Finding.STUCK) for name, machine in stuck.items()),
    ]


def explore(machine: Machine, *, limit: int = 5_000_000) -> Verdict:
    """Breadth first, so that the story of what was found is the shortest; UNFINISHED past `limit` states."""
    search = _Search(machine)
    finding = Finding.SAFE
    index = 0
    while index < len(search.states) and finding is Finding.SAFE:
        finding = search.expand(index)
        index += 1
        if len(search.states) > limit:
            finding = Finding.UNFINISHED
    last = index - 1
    if finding is Finding.SAFE and (stuck := search.find_stuck()) is not None:
        finding, last = Finding.STUCK, stuck
    return Verdict(
        finding=finding,
        states=len(search.states),
        held=sum(1 for state in search.states if state.lead is Lead.HELD),
        story=search.tell(last) if finding not in {Finding.SAFE, Finding.UNFINISHED} else (),
    )


class _Search:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        start = make_canonical(begin(machine))
        self.states = [start]
        self._numbers = {start: 0}
        self._parents = [0]
        self._before: list[list[int]] = [[]]

    def expand(self, index: int) -> Finding:
        """What this state is guilty of; its successors are noted."""
        state = self.states[index]
        if len(state.vitec) > 1:
            return Finding.DUPLICATE
        if state.lead is Lead.DELIVERED and not state.vitec:
            return Finding.LOST
        for _, after in list_next(self._machine, state):
            number = self._numbers.get(after)  # four in five have been met just so: making canonical is dear
            if number is None:
                number = self._numbers[after] = self._note(make_canonical(after), index)
            self._before[number].append(index)
        return Finding.SAFE

    def _note(self, state: State, parent: int) -> int:
        number = self._numbers.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
            self._parents.append(parent)
            self._before.append([])
        return number

    def find_stuck(self) -> int | None:
        """The first state from which nothing leads to an end; None is what should be."""
        proven = self._machine.reading is Reading.PROVEN
        ends = {Lead.DELIVERED} if proven else {Lead.DELIVERED, Lead.HELD}
        saved = [state.lead in ends for state in self.states]
        todo = [number for number, is_saved in enumerate(saved) if is_saved]
        while todo:
            for number in self._before[todo.pop()]:
                if not saved[number]:
                    saved[number] = True
                    todo.append(number)
        return saved.index(False) if False in saved else None

    def tell(self, index: int) -> tuple[str, ...]:
        """Lived through once more, for in canonical states a worker has no name of its own."""
        path = [index]
        while path[-1]:
            path.append(self._parents[path[-1]])
        state, story = begin(self._machine), []
        for number in reversed(path[:-1]):
            what, state = next(
                (what, after)
                for what, after in list_next(self._machine, state)
                if make_canonical(after) == self.states[number]
            )
            story.append(what)
        return tuple(story)


def make_canonical(state: State) -> State:
    """The same for all states that differ only in which worker is which, and in how attempts are numbered."""
    intent = state.intent
    current = intent.request if intent else 0
    lives = dict(state.requests)

    def rank(worker: Worker) -> tuple[object, ...]:
        request = worker.request
        return worker.step, worker.current, request == current, lives.get(request, -1), worker[3:]

    workers = sorted([_forget_outdated(worker, current) for worker in state.workers], key=rank)
    names = {-1: -1, 0: 0}
    for number in (current, *[worker.request for worker in workers], *sorted(lives, key=lives.__getitem__)):
        names.setdefault(number, len(names) - 1)
    return State(
        state.lead,
        state.leased,
        state.look_first,
        state.creates,
        _rename(intent, names) if intent else None,
        tuple([_rename(worker, names) for worker in workers]),
        tuple(sorted([Request(names[number], life) for number, life in lives.items()])),
        tuple(sorted(state.vitec)),
        state.sight,
    )


Bearer = TypeVar("Bearer", Worker, Intent)


def _rename(bearer: Bearer, names: dict[int, int]) -> Bearer:
    name = names[bearer.request]
    return bearer if name == bearer.request else bearer._replace(request=name)


def _forget_outdated(worker: Worker, current: int) -> Worker:
    """An attempt that is settled never comes back: which one a look was for then no longer matters."""
    looks = worker.step is Step.LOOKING or worker.step is Step.SEEN
    outdated = looks and worker.request not in {-1, 0, current}
    return worker._replace(request=-1) if outdated else worker


def make_row(case: Case, verdict: Verdict) -> Row:
    """A trial is a state."""
    found = "as it must be" if verdict.finding is case.expected else f"MUST BE {case.expected}"
    steps = f" in {len(verdict.story)} steps" if verdict.story else ""
    return Row(
        fault=case.name,
        trials=verdict.states,
        lost=int(verdict.finding is Finding.LOST),
        doubled=int(verdict.finding is Finding.DUPLICATE),
        held=verdict.held,
        note=f"{verdict.finding}{steps}, {found}",
    )


def main(arguments: list[str]) -> int:
    """0 when every case came out as expected."""
    workers = int(arguments[0]) if arguments else 2
    rows, stories, failures = [], [], 0
    began = time.monotonic()
    for case in list_cases(workers):
        verdict = explore(case.machine)
        rows.append(make_row(case, verdict))
        failures += verdict.finding is not case.expected
        if verdict.story:
            stories.append(f"{case.name}:\n  " + "\n  ".join(verdict.story))
    print(format_table(rows))
    print(f"\n{workers} workers; a trial is a state; {time.monotonic() - began:.1f} s\n")
    print("\n\n".join(stories))
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
