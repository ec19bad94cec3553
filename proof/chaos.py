"""Chaos with real processes: gateways that are killed and stopped, a Vitec that fails, and leads fed all the while.

Seeded and repeatable as far as processes can be. The sandbox keeps the truth; the gateway's store is compared
with it at the end: an acknowledged lead is delivered and in Vitec exactly once, or held in front of a human.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

from proof.fleet import Member
from proof.postgresql import Server, running_server
from proof.scenarios import POSTGRESQL, Scenario
from proof.stage import Stage, make_order, set_stage
from proof.table import Row
from proof.trials import Trial

FAILPOINTS = (
    "after_claim",
    "after_contact",
    "after_intent",
    "after_answer",
    "after_look",
    "before_commit",
    "after_commit",
)


async def run_scenario(
    scenario: Scenario, *, seed: int, leads: int, server: Server | None = None, per_second: float = 20
) -> Row:
    """Feeds so many leads open-loop and waits until each has come to rest. Over SQLite, or a PostgreSQL server."""
    async with set_stage(seed=seed, server=server, gateways=scenario.servers) as stage:
        visitors = stage.visitors
        if scenario.proven:
            async with _together([stage.gateway()]):
                await stage.await_gateway()
                await visitors.deliver_one_in_peace()
        await stage.set_faults(_list_orders(scenario, seed=seed, leads=leads))
        async with _together(_assemble(scenario, stage, seed=seed)) as fleet:
            async with _dying(server if scenario.database_dies else None, seed=seed):
                await visitors.feed(leads, per_second=per_second)
            await visitors.come_to_rest()
        kills, stops = sum(one.kills for one in fleet), sum(one.stops for one in fleet)
        note = f"{kills} kills, {stops} stops" if kills or stops else ""
        return await visitors.judge(scenario.name, names=stage.names, note=note)


def _arm(scenario: Scenario, *, seed: int) -> dict[str, str]:
    points = ",".join(
        # A lead's way has a commit or two at each of the other places.
        f"{name}:{action}:{odds / 4 if 'commit' in name else odds}"
        for name in FAILPOINTS
        for action, odds in (("kill", scenario.kill), ("stop", scenario.stop))
        if odds
    )
    return {
        "LEADGATE_FAILPOINTS": points,
        "LEADGATE_FAILPOINTS_SEED": str(seed),
        "LEADGATE_PROOF_MUTANT": scenario.mutant,
        "LEADGATE_PROOF_CLOCK": str(seed) if scenario.clock else "",
    }


def _assemble(scenario: Scenario, stage: Stage, *, seed: int) -> list[Member]:
    """The scenario's processes, to be harmed."""
    apart = ["--no-delivery"] if scenario.deliverers else []
    commands = [["serve", "--port", str(port), *apart] for port in stage.ports]
    commands += [["deliver"] for _ in range(scenario.deliverers)]
    return [
        stage.gateway(
            arguments=command,
            names=stage.names | _arm(scenario, seed=seed) | {"LEADGATE_PROOF_MEMBER": str(number)},
            dice=Random(f"{scenario.name}.{seed}.{number}"),
            every=scenario.every * len(commands),
        )
        for number, command in enumerate(commands)
    ]


@asynccontextmanager
async def _together(fleet: list[Member]) -> AsyncIterator[list[Member]]:
    for one in fleet:
        one.start()
    try:
        yield fleet
    finally:
        await asyncio.gather(*(one.end() for one in fleet))


@asynccontextmanager
async def _dying(server: Server | None, *, seed: int) -> AsyncIterator[None]:
    """A database server that is killed, with all its processes, and started again a moment later."""
    if server is None:
        yield
        return
    dice = Random(seed)
    over = asyncio.Event()

    async def kill() -> None:
        while not over.is_set():
            await asyncio.sleep(dice.uniform(0.3, 2))
            await asyncio.to_thread(server.kill)
            await asyncio.sleep(dice.uniform(0, 0.5))
            await asyncio.to_thread(server.start)

    killing = asyncio.create_task(kill())
    try:
        yield
    finally:
        over.set()
        await killing


def _list_orders(scenario: Scenario, *, seed: int, leads: int) -> list[dict[str, Any]]:
    dice = Random(f"{scenario.name}.{seed}")
    orders: list[dict[str, Any]] = [{"name": scenario.reads}] if scenario.reads else []
    for number in range(leads):
        for _ in range(3):
            if not scenario.faults or dice.random() >= 0.7:
                break
            orders.append(make_order(dice.choice(scenario.faults), number=number))
    return orders


def list_trials(scenarios: Sequence[Scenario], *, database: str, leads: int) -> list[Trial]:
    """One for each scenario that the database can be put to."""
    return [
        Trial(
            fault=f"{database}: {one.name}",
            run=partial(_try, one, database=database, leads=leads),
            may_hold=one.may_hold,
            must_double=bool(one.mutant),
        )
        for one in scenarios
        if one.only in {None, database}
    ]


async def _try(scenario: Scenario, seed: int, *, database: str, leads: int) -> Row:
    async with running_server(wanted=database == POSTGRESQL) as server:
        return await run_scenario(scenario, seed=seed, leads=leads, server=server)
