"""A backup is restored: what was delivered since it was made must not be delivered again."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

from proof.fleet import ask
from proof.postgresql import Server, running_server
from proof.scenarios import AFTER, BEFORE, POSTGRESQL, SQLITE
from proof.stage import make_order, set_stage
from proof.table import Row
from proof.trials import Trial


def list_trials(*, leads: int) -> list[Trial]:
    return [
        Trial(
            fault=f"{database}: a backup restored, {'and said so' if told else 'and nobody says so'}",
            run=partial(_try, database=database, leads=leads, told=told),
        )
        for database, told in ((SQLITE, True), (SQLITE, False), (POSTGRESQL, False))
    ]


async def _try(seed: int, *, database: str, leads: int, told: bool) -> Row:
    async with running_server(wanted=database == POSTGRESQL) as server:
        return await restore_backup(seed=seed, leads=leads, server=server, told=told)


async def restore_backup(*, seed: int, leads: int, server: Server | None = None, told: bool = False) -> Row:
    """Half of the leads before the copy is made, half after it. Told with `db restored`, or left to notice it.

    What was acknowledged after the copy is not in it, as no copy's is: those leads are not judged.
    """
    async with set_stage(seed=seed, server=server) as stage:
        visitors, gateway, half = stage.visitors, stage.gateway(), leads // 2
        visitors.unmatchable = 0.5
        gateway.start()
        try:
            await stage.await_gateway()
            await visitors.deliver_one_in_peace()
            dice = Random(seed)
            await stage.set_faults(
                [make_order(dice.choice(BEFORE + AFTER), number=number) for number in range(leads)]
            )
            await visitors.feed(half, per_second=40)
            copied, sent = dict(visitors.acknowledged), visitors.sent
            await asyncio.to_thread(server.copy if server else _copy, stage.folder)
            await visitors.feed(leads - half, per_second=40, first=half)
            await visitors.come_to_rest()
            await gateway.end()
            await asyncio.to_thread(
                server.restore if server else partial(_bring_back, unmarked=told), stage.folder
            )
            if told:
                await ask("db", "restored", names=stage.names)
            later = len(visitors.acknowledged) - len(copied)
            visitors.acknowledged, visitors.sent = copied, sent
            gateway.start()
            await stage.await_gateway()
            await visitors.come_to_rest()
        finally:
            await gateway.end()
        note = f"{later} leads came after the backup"
        return await visitors.judge("restored", names=stage.names, note=note)


def _copy(folder: Path) -> None:
    """As docs/reliability.md has it, while the gateway serves."""
    with closing(sqlite3.connect(f"file:{folder / 'leadgate.db'}?mode=ro", uri=True)) as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "backup.db")])


def _bring_back(folder: Path, *, unmarked: bool) -> None:
    """Unmarked as on a new machine, where the store cannot notice and must be told."""
    for path in folder.glob("leadgate.db*"):
        if unmarked or path.suffix != ".mark":
            path.unlink()
    shutil.copy(folder / "backup.db", folder / "leadgate.db")
