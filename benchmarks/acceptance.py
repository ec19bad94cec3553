"""Accepting beside what others do, and in a bad hour: Vitec gone, many leads waiting, a long past."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.fill import fill, write_forms
from benchmarks.load import Load, drive, median_ratio
from benchmarks.processes import GENERATOR, Program, leadgate, node_red, running, uvicorn
from benchmarks.report import Row

LEADS = "http://127.0.0.1:8790/api/v1/forms/kontakt/leads"
PEER = "http://127.0.0.1:8791/lead"
WAITING = 50_000

_VITEC = "http://127.0.0.1:8798"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long is measured, and how often."""

    seconds: int = 6
    rounds: int = 3
    past: int = 1_000_000
    many: int = 200_000
    """Leads over which memory must not grow."""
    peers: bool = True
    node_red: bool = False


def alternate(plan: Plan, contenders: dict[str, tuple[Program, str]]) -> dict[str, list[Load]]:
    """Each in its turn, as often as there are rounds."""
    loads: dict[str, list[Load]] = {name: [] for name in contenders}
    for _ in range(plan.rounds):
        for name, (program, url) in contenders.items():
            with running(program):
                load = drive(url, seconds=plan.seconds)
            loads[name].append(load)
            print(
                f"  {name}: {load.per_second:,.0f}/s, p99 {load.p99_ms:.1f} ms, {load.errors} errors",
                flush=True,
            )
    return loads


def compare(loads: dict[str, list[Load]], one: str, other: str) -> float:
    return median_ratio([load.per_second for load in loads[one]], [load.per_second for load in loads[other]])


def measure_beside_others(folder: Path, plan: Plan) -> Iterator[Row]:
    write_forms(folder)
    contenders = {
        "leadgate": (leadgate(folder, "--no-delivery"), LEADS),
        "bare": (uvicorn("benchmarks.bare:app", port=8791), PEER),
    }
    loads = alternate(plan, contenders)
    speed, bare = (median(load.per_second for load in loads[name]) for name in ("leadgate", "bare"))
    against = "a bare FastAPI endpoint, nothing kept"
    yield Row(
        what="durable acceptance, 64 connections",
        against=against,
        value=compare(loads, "leadgate", "bare"),
        goal=1.2,
        note=f"{speed:,.0f} and {bare:,.0f} a second, {sum(load.errors for load in loads['leadgate'])} errors",
    )
    p99 = median_ratio(*([load.p99_ms for load in loads[name]] for name in ("leadgate", "bare")))
    yield Row(what="its p99", against=against, value=p99, goal=1.5, at_most=True)
    if plan.peers:
        yield from _measure_peers(folder, plan, contenders["leadgate"])


def _measure_peers(folder: Path, plan: Plan, own: tuple[Program, str]) -> Iterator[Row]:
    slow = uvicorn("benchmarks.peers:upstream", port=8798, core=GENERATOR, BENCH_DELAY="0.05")
    once = Plan(seconds=plan.seconds, rounds=1)
    with running(slow):
        peers = {
            "forwarding in the handler, Vitec at 50 ms": (uvicorn("benchmarks.peers:naive", port=8791), PEER),
            "BackgroundTasks, Vitec at 50 ms": (uvicorn("benchmarks.peers:background", port=8791), PEER),
        }
        if plan.node_red:
            peers["Node-RED, which answers first and keeps nothing"] = node_red(folder, port=8791), PEER
        loads = alternate(once, {"leadgate": own, **peers})
    for name in peers:
        yield Row(
            what="the same",
            against=name,
            value=compare(loads, "leadgate", name),
            goal=2,
            note=f"{loads[name][0].per_second:,.0f} a second, {loads[name][0].errors} errors",
        )


def measure_bad_hours(folder: Path, plan: Plan) -> Iterator[Row]:
    """Each time a store in which 50,000 leads wait, made once and copied."""
    write_forms(folder)
    full = folder / "full.db"
    fill(full, WAITING, delivered=False)
    troubles = {
        "healthy": uvicorn("benchmarks.peers:vitec", port=8798, core=GENERATOR),
        "hanging": uvicorn("benchmarks.peers:hanging", port=8798, core=GENERATOR),
        "refusing": uvicorn("benchmarks.peers:refusing", port=8798, core=GENERATOR),
        "gone": None,
    }
    speeds: dict[str, list[float]] = {name: [] for name in troubles}
    for _ in range(plan.rounds):
        for name, vitec in troubles.items():
            database = _fresh(folder, None if name == "healthy" else full)
            with ExitStack() as held:
                if vitec:
                    held.enter_context(running(vitec))
                held.enter_context(
                    running(leadgate(folder, database_url=f"sqlite:///{database}", vitec_base_url=_VITEC))
                )
                speeds[name].append(drive(LEADS, seconds=plan.seconds).per_second)
            print(f"  Vitec {name}: {speeds[name][-1]:,.0f}/s", flush=True)
    for name in ("hanging", "refusing", "gone"):
        yield Row(
            what=f"acceptance with Vitec {name}, 50,000 leads waiting",
            against="with Vitec healthy, none waiting",
            value=median_ratio(speeds[name], speeds["healthy"]),
            goal=0.95,
        )


def measure_long_past(folder: Path, plan: Plan) -> Iterator[Row]:
    write_forms(folder)
    old = folder / "old.db"
    fill(old, plan.past, delivered=True)
    contenders = {
        name: (leadgate(folder, "--no-delivery", database_url=f"sqlite:///{database}"), LEADS)
        for name, database in (("old", old), ("new", folder / "new.db"))
    }
    yield Row(
        what=f"acceptance with {plan.past:,} delivered leads in the store",
        against="with an empty one",
        value=compare(alternate(plan, contenders), "old", "new"),
        goal=0.9,
    )


def measure_postgresql(folder: Path, plan: Plan) -> Iterator[Row]:
    from proof.postgresql import run_server  # noqa: PLC0415 - asks for its wheel when it is imported

    write_forms(folder)
    with run_server() as server, server.database() as url:
        contenders = {
            "PostgreSQL": (leadgate(folder, "--no-delivery", database_url=url, secret_key="b" * 43), LEADS),
            "SQLite": (leadgate(folder, "--no-delivery"), LEADS),
        }
        loads = alternate(plan, contenders)
        if plan.peers:
            yield _measure_queue(plan, contenders["PostgreSQL"], server.create())
    yield Row(
        what="acceptance on PostgreSQL",
        against="on SQLite",
        value=compare(loads, "PostgreSQL", "SQLite"),
        goal=0.5,
        note="its server shares the cores; it syncs each commit as SQLite does",
    )


def _measure_queue(plan: Plan, own: tuple[Program, str], database: str) -> Row:
    queue = uvicorn("benchmarks.peers:make_queue", port=8791, BENCH_QUEUE=database)
    once = Plan(seconds=plan.seconds, rounds=1)
    loads = alternate(once, {"PostgreSQL": own, "procrastinate": (queue, PEER)})
    return Row(
        what="acceptance on PostgreSQL",
        against="procrastinate, a queue library, on PostgreSQL",
        value=compare(loads, "PostgreSQL", "procrastinate"),
        goal=1,
        note=f"{loads['procrastinate'][0].per_second:,.0f} a second, {loads['procrastinate'][0].errors} errors",
    )


def measure_memory(folder: Path, plan: Plan) -> Iterator[Row]:
    write_forms(folder)
    database = _fresh(folder, None)
    fill(database, WAITING, delivered=False)
    found, taken = [], 0.0
    with running(leadgate(folder, database_url=f"sqlite:///{database}")) as server:
        while taken < plan.many:
            taken += plan.seconds * drive(LEADS, seconds=plan.seconds, connections=256).per_second
            found.append(server.measure_memory() / 2**20)
    yield Row(
        what="resident memory, 256 connections, 50,000 leads waiting",
        against="",
        value=found[-1],
        goal=120,
        unit="MiB",
        at_most=True,
        note=f"{found[0]:.0f} MiB after {plan.seconds} s, {found[-1]:.0f} after {taken:,.0f} leads",
    )


def _fresh(folder: Path, model: Path | None) -> Path:
    database = folder / "hour.db"
    for one in folder.glob("hour.db*"):
        one.unlink()
    if model:
        shutil.copy(model, database)
        os.sync()  # or the first leads would wait for the copy to be written
    return database
