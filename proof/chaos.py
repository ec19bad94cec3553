"""Chaos with real processes: a gateway that is killed and stopped, a Vitec that fails, and leads fed all the while.

Seeded and repeatable as far as processes can be. The sandbox keeps the truth; the gateway's store is compared
with it at the end: an acknowledged lead is delivered and in Vitec exactly once, or held in front of a human.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from proof.table import Row, format_table

SETTLE = 4
_READY_WITHIN = 60.0
_SETTLED_WITHIN = 90.0

FORMS = """
[forms.kontakt]
customer_id = "M12345"
assigned_to_id = "HAN0B5E2D7C41A84F0E9C6D3A1F72E85B90"
lead_source_id = "LKA3F7A90C1E58B4D26A0479BD1C6E2F835"
"""

BEFORE = ("500_before", "drop_before", "429", "hang_before")
AFTER = (
    "500_after",
    "drop_after",
    "empty_200_after",
    "html_200_after",
    "truncated_after",
    "late_commit",
    "hang_after",
)
FAILPOINTS = (
    "after_claim",
    "after_contact",
    "after_intent",
    "after_answer",
    "after_look",
    "before_commit",
    "after_commit",
)

Failpoints = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One fault, for many leads."""

    name: str
    faults: tuple[str, ...] = ()
    """One of these meets seven in ten creates."""
    reads: str | None = None
    """A fault of every reading: `reads_forbidden`, `reads_blind`."""
    proven: bool = True
    """Whether a first lead is delivered in peace, which proves the read path."""
    kill: float = 0
    """Odds of a kill at each failpoint."""
    stop: float = 0
    """Odds of a stop of two seconds at each failpoint."""
    mutant: str = ""
    """A mechanism taken away, to see whether the harness sees: it must double leads."""


SCENARIOS = (
    Scenario(name="nothing"),
    Scenario(name="kill -9 at failpoints", kill=0.02),
    Scenario(name="SIGSTOP at failpoints", stop=0.03),
    Scenario(name="faults before Vitec's commit", faults=BEFORE),
    Scenario(name="faults after Vitec's commit", faults=AFTER),
    Scenario(name="both, with kill -9 and SIGSTOP", faults=BEFORE + AFTER, kill=0.01, stop=0.01),
    Scenario(name="the same, read path unproven", faults=BEFORE + AFTER, proven=False, kill=0.01),
    Scenario(name="the same, reading forbidden", faults=BEFORE + AFTER, reads="reads_forbidden", kill=0.01),
    Scenario(name="the same, reading blind", faults=BEFORE + AFTER, reads="reads_blind", kill=0.01),
)

MUTANTS = (
    Scenario(name="mutant: sent again without looking", faults=AFTER, mutant="blind_retry"),
    Scenario(name="mutant: settle time too short", faults=("late_commit",), mutant="short_settle"),
    Scenario(name="mutant: absence believed unproven", faults=AFTER, reads="reads_blind", mutant="no_canary"),
)


@dataclass(slots=True)
class Run:
    """One scenario under way."""

    scenario: Scenario
    seed: int
    leads: int
    folder: Path
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Lead id by person."""
    kills: int = 0
    stops: int = 0
    stopping: bool = False
    peaceful: bool = True
    """Until the first lead has arrived nobody kills: what proves the read path must not be in doubt itself."""
    ports: tuple[int, int] = (0, 0)
    gateway: asyncio.subprocess.Process | None = None

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}"


async def run_scenario(scenario: Scenario, *, seed: int, leads: int, per_second: float = 20) -> Row:
    """Feeds so many leads open-loop and waits until each has come to rest."""
    with TemporaryDirectory(prefix="leadgate-chaos-") as folder:
        run = Run(scenario, seed, leads, Path(folder))
        run.ports = (_free_port(), _free_port())
        (run.folder / "forms.toml").write_text(FORMS, encoding="utf-8")
        async with (
            _process(run, "sandbox", "--port", str(run.ports[1])),
            httpx.AsyncClient(timeout=5) as client,
        ):
            await _await(client, f"{run.sandbox_url}/sandbox/state")
            keeper = asyncio.create_task(_keep_running(run))
            try:
                await _await(client, f"{run.gateway_url}/readyz")
                if scenario.proven:
                    await _deliver_in_peace(run, client)
                await _arm(run, client)
                await _set_faults(run, client)
                await _feed(run, client, per_second=per_second)
                await _come_to_rest(run, client)
            finally:
                run.stopping = True
                if run.gateway and run.gateway.returncode is None:
                    with suppress(ProcessLookupError):
                        run.gateway.send_signal(signal.SIGCONT)
                        run.gateway.terminate()
                await keeper
            return await _judge(run, client)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _environment(run: Run, *, life: int) -> dict[str, str]:
    points = ",".join(
        f"{name}:{action}:{odds}"
        for name in FAILPOINTS
        for action, odds in (("kill", run.scenario.kill), ("stop", run.scenario.stop))
        # A lead's way has a commit or two at each of the other places.
        for odds in [odds / 4 if "commit" in name else odds]
        if odds and not run.peaceful
    )
    return os.environ | {
        "LEADGATE_ENV_FILE": os.devnull,
        "LEADGATE_FORMS": str(run.folder / "forms.toml"),
        "LEADGATE_DATABASE_URL": f"sqlite:///{run.folder / 'leadgate.db'}",
        "LEADGATE_VITEC_BASE_URL": run.sandbox_url,
        "LEADGATE_VITEC_USERNAME": "leadgate",
        "LEADGATE_VITEC_PASSWORD": "sandbox",
        "LEADGATE_VITEC_TIMEOUT": "1s",
        "LEADGATE_VITEC_RATE": "1000",
        "LEADGATE_VITEC_CONCURRENCY": "4",
        "LEADGATE_RETRY_SCHEDULE": "200ms,500ms,1s",
        "LEADGATE_RECONCILE_SETTLE": f"{SETTLE}s",
        "LEADGATE_LOG_FORMAT": "json",
        "LEADGATE_RATE_LIMIT": "off",
        "LEADGATE_FAILPOINTS": points,
        "LEADGATE_FAILPOINTS_SEED": f"{run.seed}.{life}",
        "LEADGATE_PROOF_MUTANT": run.scenario.mutant,
    }


@asynccontextmanager
async def _process(run: Run, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "proof.gateway",
        *arguments,
        env=_environment(run, life=0),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _keep_running(run: Run) -> None:
    """Starts the gateway, and again whenever it dies; continues it whenever it was stopped."""
    life = 0
    with (run.folder / "gateway.log").open("ab") as log:
        while not run.stopping:
            run.gateway = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "proof.gateway", "serve", "--port", str(run.ports[0]),
                env=_environment(run, life=life), stdout=asyncio.subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
            ended = asyncio.create_task(run.gateway.wait())
            while not ended.done():
                await asyncio.wait([ended], timeout=2)
                if not ended.done() and _is_stopped(run.gateway.pid):
                    run.stops += 1
                    run.gateway.send_signal(signal.SIGCONT)
            run.kills += run.gateway.returncode == -signal.SIGKILL
            life += 1


def _is_stopped(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"
    return False


async def _await(client: httpx.AsyncClient, url: str) -> None:
    async with asyncio.timeout(_READY_WITHIN):
        while True:
            with suppress(httpx.HTTPError):
                if (await client.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.1)


async def _deliver_in_peace(run: Run, client: httpx.AsyncClient) -> None:
    await _submit(run, client, "first")
    async with asyncio.timeout(_READY_WITHIN):
        while not any("first" in str(lead) for lead in (await _truth(run, client))["leads"]):
            await asyncio.sleep(0.1)


async def _arm(run: Run, client: httpx.AsyncClient) -> None:
    """The same gateway once more, with its failpoints."""
    run.peaceful = False
    assert run.gateway is not None
    run.gateway.terminate()
    await run.gateway.wait()
    await _await(client, f"{run.gateway_url}/readyz")


async def _set_faults(run: Run, client: httpx.AsyncClient) -> None:
    dice = Random(f"{run.scenario.name}.{run.seed}")
    orders: list[dict[str, Any]] = []
    for number in range(run.leads):
        for _ in range(3):
            if run.scenario.faults and dice.random() < 0.7:
                fault = dice.choice(run.scenario.faults)
                order = {"name": fault, "times": 1, "match": f"person{number}@", "operation": "createLead"}
                order |= (
                    {"seconds": 2} if fault == "late_commit" else {"seconds": 3} if "hang" in fault else {}
                )
                orders.append(order)
            else:
                break
    if run.scenario.reads:
        orders.append({"name": run.scenario.reads})
    if orders:
        (await client.post(f"{run.sandbox_url}/sandbox/faults", json=orders)).raise_for_status()


async def _feed(run: Run, client: httpx.AsyncClient, *, per_second: float) -> None:
    """Open loop: the next lead comes when its time has come, whatever became of the last."""
    async with asyncio.TaskGroup() as senders:
        for number in range(run.leads):
            senders.create_task(_submit(run, client, f"person{number}"))
            await asyncio.sleep(1 / per_second)


async def _submit(run: Run, client: httpx.AsyncClient, person: str) -> None:
    """With a key, until it is acknowledged: as a careful caller does."""
    body = {
        "firstName": person.capitalize(),
        "lastName": "Kaos",
        "email": f"{person}@example.com",
        "message": f"Jag heter {person}@.",
    }
    url = f"{run.gateway_url}/api/v1/forms/kontakt/leads"
    async with asyncio.timeout(_SETTLED_WITHIN):
        while True:
            with suppress(httpx.HTTPError):
                answer = await client.post(
                    url, json=body, headers={"Idempotency-Key": f"{run.seed}-{person}"}
                )
                if answer.status_code == 202:
                    run.acknowledged[person] = answer.json()["id"]
                    return
            await asyncio.sleep(0.2)


async def _come_to_rest(run: Run, client: httpx.AsyncClient) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_SETTLED_WITHIN):
            while not all(
                status in {"delivered", "held"} for status in (await _states(run, client)).values()
            ):
                await asyncio.sleep(0.5)


async def _states(run: Run, client: httpx.AsyncClient) -> dict[str, str]:
    states = {}
    for lead_id in run.acknowledged.values():
        states[lead_id] = "unknown"
        with suppress(httpx.HTTPError):
            answer = await client.get(f"{run.gateway_url}/api/v1/leads/{lead_id}")
            states[lead_id] = answer.json().get("status", "missing")
    return states


async def _truth(run: Run, client: httpx.AsyncClient) -> dict[str, Any]:
    state: dict[str, Any] = (await client.get(f"{run.sandbox_url}/sandbox/state")).json()
    return state


async def _judge(run: Run, client: httpx.AsyncClient) -> Row:
    """From the store's file and the sandbox's truth, once the gateway has ended."""
    listing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "leads", "list", "--json",
        env=_environment(run, life=0), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await listing.communicate()
    stored = {row["id"]: row["status"] for row in json.loads(output)}
    copies: dict[str, int] = {}
    for lead in (await _truth(run, client))["leads"]:
        for tag in lead["utmTags"]:
            if tag["name"] == "leadgate":
                copies[tag["value"]] = copies.get(tag["value"], 0) + 1
    ids = set(run.acknowledged.values())
    held = sum(stored.get(one) == "held" for one in ids)
    arrived = sum(stored.get(one) == "delivered" and copies.get(one, 0) >= 1 for one in ids)
    pending = sum(stored.get(one) == "pending" for one in ids)
    notes = [f"{run.kills} kills", f"{run.stops} stops"] if run.kills or run.stops else []
    notes += [f"{pending} never came to rest"] if pending else []
    return Row(
        fault=run.scenario.name,
        trials=len(ids),
        lost=run.leads + run.scenario.proven - held - arrived - pending,
        doubled=sum(count > 1 for count in copies.values()),
        held=held,
        note=", ".join(notes),
    )


async def run_all(scenarios: tuple[Scenario, ...], *, seeds: int, leads: int) -> list[Row]:
    rows = []
    for scenario in scenarios:
        results = [await run_scenario(scenario, seed=seed, leads=leads) for seed in range(seeds)]
        rows.append(
            Row(
                fault=scenario.name,
                trials=sum(row.trials for row in results),
                lost=sum(row.lost for row in results),
                doubled=sum(row.doubled for row in results),
                held=sum(row.held for row in results),
                note="; ".join(filter(None, (row.note for row in results)))[:60],
            )
        )
        print(format_table(rows[-1:]).splitlines()[-1], flush=True)
    return rows


if __name__ == "__main__":
    seeds, leads = (int(argument) for argument in (*sys.argv[1:], "2", "40")[:2])
    print(format_table(asyncio.run(run_all(SCENARIOS + MUTANTS, seeds=seeds, leads=leads))))
