"""An upgrade under load: the code before the last migrations and today's, on one store."""

import asyncio
import subprocess
import tarfile
from functools import partial
from io import BytesIO
from pathlib import Path
from random import Random

from app.store.migrate import newest_revision
from proof.fleet import ROOT, Member, ask
from proof.postgresql import Server, running_server
from proof.scenarios import AFTER, BEFORE, POSTGRESQL, SQLITE
from proof.stage import Stage, make_order, set_stage
from proof.table import Row
from proof.trials import Trial

_VERSIONS = "app/store/migrations/versions"


def list_trials(*, leads: int) -> list[Trial]:
    return [
        Trial(
            fault=f"{database}: an upgrade across the last migrations, under load",
            run=partial(_try, database=database, leads=leads),
            obstacle=find_obstacle(),
        )
        for database in (SQLITE, POSTGRESQL)
    ]


async def _try(seed: int, *, database: str, leads: int) -> Row:
    async with running_server(wanted=database == POSTGRESQL) as server:
        return await upgrade_under_load(seed=seed, leads=leads, server=server)


def find_obstacle() -> str | None:
    """Why the code of before cannot be had; None when it can."""
    try:
        found = find_previous()
    except (OSError, subprocess.CalledProcessError):
        return "this is no git checkout: the code before the last migration is not at hand"
    return None if found else "the history does not reach back before the last migration"


def find_previous() -> str | None:
    """The commit before the one that brought the newest revision."""
    added = _git(
        "log", "--format=%H", "--diff-filter=A", "--", f"{_VERSIONS}/{newest_revision()}_*.py"
    ).split()
    parents = _git("log", "-1", "--format=%P", added[-1]).split() if added else []
    return parents[0] if parents else None


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def _check_out(commit: str, folder: Path) -> Path:
    packed = subprocess.run(
        ["git", "archive", commit, "app", "proof", "templates", "static"],
        check=True,
        capture_output=True,
        cwd=ROOT,
    ).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder / "before", filter="data")
    return folder / "before"


async def upgrade_under_load(*, seed: int, leads: int, server: Server | None = None) -> Row:
    """PostgreSQL: old and new serve and deliver side by side, then the old one goes. SQLite: one after the other."""
    async with set_stage(seed=seed, server=server, gateways=2) as stage:
        visitors, commit = stage.visitors, find_previous()
        assert commit is not None
        old = stage.gateway(root=await asyncio.to_thread(_check_out, commit, stage.folder))
        # SQLite's one process is followed on its port; who comes in between tries again, as a proxy would.
        new = stage.gateway(1 if server else 0)
        del visitors.gateways[1]
        old.start()
        try:
            await stage.await_gateway()
            behind = (await ask("db", "current", names=stage.names)).split()[0]
            await visitors.deliver_one_in_peace()
            dice = Random(seed)
            await stage.set_faults(
                [make_order(dice.choice(BEFORE + AFTER), number=number) for number in range(leads)]
            )
            feeding = asyncio.create_task(visitors.feed(leads, per_second=leads / 12))
            await asyncio.sleep(3)
            await (_roll(stage, old, new) if server else _replace(old, new))
            await feeding
            await visitors.come_to_rest()
        finally:
            await asyncio.gather(old.end(), new.end())
        note = f"from revision {behind} to {newest_revision()}, {visitors.refusals} refusals"
        return await visitors.judge("upgraded", names=stage.names, note=note)


async def _roll(stage: Stage, old: Member, new: Member) -> None:
    new.start()
    stage.visitors.gateways.append(await stage.await_gateway(1))
    await asyncio.sleep(5)
    del stage.visitors.gateways[0]
    await old.end()


async def _replace(old: Member, new: Member) -> None:
    await old.end()
    new.start()
