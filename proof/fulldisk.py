"""The disk fills up while leads come in: new ones are refused, old ones go on to Vitec, and nothing is lost."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from app.store.place import RESERVE
from proof.stage import make_order, set_stage
from proof.table import Row
from proof.trials import Trial

_SIZE = RESERVE + 24 * 1024 * 1024
_FULL_FOR = 14.0


def list_trials(*, leads: int) -> list[Trial]:
    run = partial(fill_disk, leads=leads)
    return [Trial(fault="SQLite: the disk full", run=run, obstacle=find_obstacle())]


def find_obstacle() -> str | None:
    """Why this machine cannot show it; None when it can."""
    if sys.platform != "linux":
        return "a small disk is made with tmpfs, which is Linux's"
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    with TemporaryDirectory() as folder, suppress(subprocess.CalledProcessError), _small_disk(Path(folder)):
        return None
    return "no file system may be mounted here"


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "leadgate-proof", str(folder)]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def fill_disk(seed: int, *, leads: int) -> Row:
    """Half of the leads come before the disk is full to the last byte, half while it is."""
    with TemporaryDirectory(prefix="leadgate-disk-") as text, _small_disk(Path(text)):
        disk = Path(text)
        async with set_stage(seed=seed, database=disk / "leadgate.db") as stage:
            visitors, gateway = stage.visitors, stage.gateway()
            gateway.start()
            try:
                await stage.await_gateway()
                await visitors.deliver_one_in_peace()
                half = leads // 2
                await stage.set_faults([make_order("hang_before", number=number) for number in range(half)])
                await visitors.feed(half, per_second=20)
                before = await visitors.count_copies()
                _fill(disk / "filler")
                rest = asyncio.create_task(visitors.feed(leads - half, per_second=20, first=half))
                await asyncio.sleep(_FULL_FOR)
                delivered, refused = await visitors.count_copies() - before, visitors.refusals
                (disk / "filler").unlink()
                await rest
                await visitors.come_to_rest()
            finally:
                await gateway.end()
            note = f"{refused} refusals, {delivered.total()} deliveries while it was full"
            return await visitors.judge("full", names=stage.names, note=note)


def _fill(filler: Path) -> None:
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
