"""What must hold when the process, the disk or the operator does not play along."""

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text

from app.errors import StoreError, StoreOccupied, StoreUnavailable
from app.store.place import find_filesystem, refuse_network
from app.store.reading import read_beside
from app.store.schema import leads, outbox
from app.store.secret import load_or_make_secret
from app.store.sqlite import (
    FileLock,
    SqliteDatabase,
    find_other_name,
    has_wal_reset_bug,
    open_readers,
    open_writer,
)
from app.store.store import Store
from app.store.words import Acceptance
from tests.databases import in_a_file
from tests.stores import claim, new_lead

pytest_plugins = ["tests.store_fixtures"]

_CHILD = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from app.errors import StoreUnavailable
from app.log import configure_logging
from app.store.store import Store
from tests import stores

configure_logging("json")

def new_lead(**changes):
    return stores.new_lead(received_at=datetime.now(UTC), **changes)

{body}
"""

_WRITE_FOR_EVER = """
async def send(store):
    while True:
        kept = await store.accept(new_lead())
        sys.stdout.write(kept.lead_id + "\\n")
        sys.stdout.flush()

async def main():
    store = Store(Path(sys.argv[1]), reserve=0)
    store.open()
    await asyncio.gather(*(send(store) for _ in range(16)))

asyncio.run(main())
"""


def start(body: str, *arguments: object, prefix: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    command = [*prefix, sys.executable, "-c", _CHILD.format(body=body), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)


def stored(path: Path) -> set[str]:
    return set(read_beside(path, lambda connection: connection.execute(select(leads.c.id)).scalars().all()))


def check_whole(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_what_was_acknowledged_survives_being_killed_a_dozen_times(tmp_path: Path) -> None:
    path = tmp_path / "leads.db"
    acknowledged: set[str] = set()
    for turn in range(12):
        with start(_WRITE_FOR_EVER, path) as process:
            assert process.stdout is not None
            wanted = 20 + 37 * turn  # killed at another place each time
            acknowledged |= {process.stdout.readline().strip() for _ in range(wanted)}
            process.send_signal(signal.SIGKILL)
            # A line cut off by death was still acknowledged; only whole ones can be told.
            rest = [line for line in process.stdout if line.endswith("\n")]
            acknowledged |= {line.strip() for line in rest}
        assert process.returncode == -signal.SIGKILL
        assert acknowledged <= stored(path)
        check_whole(path)
    places = read_beside(path, lambda connection: set(connection.execute(select(outbox.c.lead_id)).scalars()))
    assert places == stored(path)  # never a lead without its place in the outbox


@pytest.mark.anyio
@in_a_file
async def test_durability_is_verified(store: Store) -> None:
    def ask(connection: Connection) -> dict[str, object]:
        wanted = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return {name: connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in wanted}

    assert await store.write(ask) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


@pytest.mark.anyio
@in_a_file
async def test_a_reader_can_neither_write_nor_checkpoint(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="readonly"):
        await store.read(lambda connection: connection.execute(text("DELETE FROM leads")))
    assert (
        await store.read(lambda connection: connection.execute(text("PRAGMA wal_autocheckpoint")).scalar())
        == 0
    )


def test_a_database_without_a_log_ahead_is_refused() -> None:
    engine = open_writer(Path(":memory:"))  # SQLite keeps no log for it, and says so only when asked
    with pytest.raises(
        StoreError, match=r":memory:: SQLite keeps journal_mode at memory where it must be wal"
    ):
        engine.connect()


_ACCEPT_TWENTY = """
store = Store(Path(sys.argv[1]), reserve=0)
store.open()
async def main():
    for _ in range(20):
        await store.accept(new_lead())
sys.stderr.write("READY\\n")
asyncio.run(main())
sys.stderr.write("DONE\\n")
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed: syncs cannot be counted")
def test_every_commit_is_synced(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    watch = ("strace", "-f", "-e", "trace=fdatasync,fsync,write", "-o", str(calls))
    with start(_ACCEPT_TWENTY, tmp_path / "leads.db", prefix=watch) as process:
        pass
    text_ = calls.read_text()
    if process.returncode != 0 and "READY" not in text_:
        pytest.skip("strace may not trace here: syncs cannot be counted")
    between = text_[text_.index("READY") : text_.index("DONE")]
    assert len(re.findall(r"\b(?:fdatasync|fsync)\(", between)) >= 20


_FILL_UP = """
import resource
store = Store(Path(sys.argv[1]), reserve=0)
store.open()
async def main():
    kept = 0
    for round in range(3):
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
        refused = 0
        while not refused:
            try:
                print((await store.accept(new_lead(body="x" * 5000))).lead_id)
            except StoreUnavailable as error:
                refused += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print((await store.accept(new_lead(body="x" * 5000))).lead_id)
    print("recovered")
asyncio.run(main())
store.close()
"""


def test_a_disk_that_refuses_to_be_written_acknowledges_nothing_and_heals(tmp_path: Path) -> None:
    path = tmp_path / "leads.db"
    with start(_FILL_UP, path) as process:
        output, _ = process.communicate(timeout=60)
    lines = output.split()
    assert process.returncode == 0
    assert lines[-1] == "recovered"
    assert set(lines[:-1]) <= stored(path)
    check_whole(path)


_HOLD = """
store = Store(Path(sys.argv[1]), reserve=0)
store.open()
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", _CHILD.format(body=_HOLD), str(tmp_path / "leads.db")]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_to_use_postgresql(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    with pytest.raises(StoreOccupied, match=rf"\(pid {holder.pid}\).*use PostgreSQL") as caught:
        Store(tmp_path / "leads.db").open()
    assert str(tmp_path / "leads.db") in str(caught.value)


def test_death_gives_up_the_lock(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.wait()
    store = Store(tmp_path / "leads.db")
    store.open()
    assert (tmp_path / "leads.db.lock").read_text() == str(os.getpid())
    store.close()


def test_a_store_can_be_closed_and_opened_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "leads.db", reserve=0)
    for _ in range(2):
        store.open()
        assert isinstance(asyncio.run(store.accept(new_lead())), Acceptance)
        store.close()
    store.close()
    assert len(stored(tmp_path / "leads.db")) == 2


def test_a_file_with_two_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leads.db").touch()
    (tmp_path / "other.db").hardlink_to(tmp_path / "leads.db")
    for name in ("leads.db", "other.db"):
        with pytest.raises(StoreError, match=rf"{name}: has another name"):
            Store(tmp_path / name).open()
        assert "remove that one" in (find_other_name(tmp_path / name) or "")


def test_a_lock_without_a_name_is_held_all_the_same(tmp_path: Path) -> None:
    lock, other = FileLock(tmp_path / "leads.db"), FileLock(tmp_path / "leads.db")
    lock.acquire()
    lock.path.write_text("")
    with pytest.raises(StoreOccupied, match="pid unknown"):
        other.acquire()
    other.release()
    lock.release()
    lock.release()
    other.acquire()
    other.release()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file: cannot be written"):
        Store(tmp_path / "file" / "leads.db").open()


def test_a_file_that_is_no_database_is_refused_and_the_lock_given_back(tmp_path: Path) -> None:
    path = tmp_path / "leads.db"
    path.write_text("not a database at all\n" * 100)
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot be used: file is not a database"):
            Store(path).open()
    path.unlink()
    store = Store(path)
    store.open()
    store.close()


def test_a_folder_in_the_database_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leads.db").mkdir()
    with pytest.raises(StoreError, match="cannot be used"):
        Store(tmp_path / "leads.db").open()


def test_a_missing_folder_that_is_a_dangling_link_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "leads.db"
    path.symlink_to(tmp_path / "nowhere" / "leads.db")
    with pytest.raises(StoreError, match="cannot be used: No such file"):
        Store(path).open()


@pytest.mark.parametrize("name", ["leads?mode=ro.db", "50% off #1.db", "åäö räksmörgås.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / name, reserve=0)
    store.open()
    kept = asyncio.run(store.accept(new_lead()))
    store.close()
    assert stored(tmp_path / name) == {kept.lead_id}
    assert (tmp_path / name).stat().st_size > 0


@pytest.mark.anyio
@in_a_file
async def test_nobody_else_on_the_machine_can_read_the_leads(store: Store) -> None:
    await store.accept(new_lead())
    store.note_attempt(1)
    files = sorted(store.path.parent.iterdir())
    ends = ("", "-shm", "-wal", ".ballast", ".lock", ".mark")
    assert {path.name for path in files} == {f"leads.db{end}" for end in ends}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.anyio
async def test_more_readers_than_connections_are_served_in_turn(store: Store) -> None:
    counts = await asyncio.gather(
        *(store.read(lambda connection: len(connection.execute(select(leads)).all())) for _ in range(50))
    )
    assert counts == [0] * 50


def test_a_reader_beside_a_serving_process_sees_its_leads(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    assert stored(tmp_path / "leads.db") == set()


def test_what_cannot_be_read_beside_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "leads.db").write_text("not a database at all\n" * 100)
    with pytest.raises(StoreUnavailable, match=r"leads.db: cannot be read: file is not a database"):
        stored(tmp_path / "leads.db")


def test_a_reader_that_finds_no_free_connection_gives_up(tmp_path: Path) -> None:
    asyncio.run(_open_and_close(tmp_path / "leads.db"))
    readers = open_readers(tmp_path / "leads.db")
    assert readers.pool.status().startswith("Pool size: 4")
    readers.dispose()


async def _open_and_close(path: Path) -> None:
    store = Store(path)
    store.open()
    store.close()


def test_the_leases_of_a_dead_process_are_over(tmp_path: Path) -> None:
    store = Store(tmp_path / "leads.db", reserve=0)
    store.open()
    kept = asyncio.run(store.accept(new_lead()))
    first = asyncio.run(store.write(claim))
    assert first is not None
    assert asyncio.run(store.write(claim)) is None
    store.close()

    store.open()
    second = asyncio.run(store.write(claim))
    assert second is not None
    assert (second.lead_id, second.fence) == (kept.lead_id, first.fence + 1)
    crashes = store.read_now(lambda connection: connection.execute(select(outbox.c.crashes)).scalar_one())
    assert crashes == 1
    store.close()


_MOUNTS = r"""21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
35 21 0:30 / /srv/leads rw,relatime shared:2 master:1 - nfs4 server:/leads rw
36 21 0:31 / /srv/with\040blank rw - cifs //server/share rw
37 35 0:32 / /srv/leads/local rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/srv/leadsandmore", "ext4"),
        ("/srv/leads", "nfs4"),
        ("/srv/leads/data", "nfs4"),
        ("/srv/leads/local/data", "tmpfs"),
        ("/srv/with blank/data", "cifs"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_its_nearest_mount(folder: str, kind: str) -> None:
    assert find_filesystem(Path(folder), _MOUNTS) == kind


def test_no_mount_is_no_file_system() -> None:
    assert find_filesystem(Path("/srv"), "") is None


def test_a_network_folder_is_refused(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"21 1 8:1 / / rw - ext4 /dev/sda1 rw\n35 21 0:30 / {tmp_path} rw - nfs4 server:/ rw\n")
    with pytest.raises(StoreError, match="is on nfs4, where SQLite is not safe"):
        refuse_network(tmp_path, mounts=mounts)
    refuse_network(Path("/"), mounts=mounts)
    refuse_network(tmp_path, mounts=tmp_path / "no such file")


def test_room_is_what_the_disk_has_left(tmp_path: Path) -> None:
    assert SqliteDatabase(tmp_path / "leads.db", reserve=0).has_room()
    assert not SqliteDatabase(tmp_path / "leads.db", reserve=2**62).has_room()


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 0), False),
    ],
)
def test_releases_of_sqlite_whose_log_two_writers_may_damage_are_known(
    version: tuple[int, int, int], *, affected: bool
) -> None:
    assert has_wal_reset_bug(version) is affected


def test_a_secret_is_made_once_and_kept_to_oneself(tmp_path: Path) -> None:
    secret = load_or_make_secret(tmp_path / "data" / "leads.db")
    assert len(secret) >= 32
    (path,) = (tmp_path / "data").iterdir()
    assert path.name == "leads.db.secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_make_secret(tmp_path / "data" / "leads.db") == secret


def test_everyone_who_makes_a_secret_at_once_gets_the_same(tmp_path: Path) -> None:
    for turn in range(20):
        gate = threading.Barrier(8)
        found: list[bytes] = []

        def make(path: Path = tmp_path / f"{turn}.db", gate: threading.Barrier = gate) -> None:
            gate.wait()
            found.append(load_or_make_secret(path))  # noqa: B023

        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 20  # no draft is left


@pytest.mark.parametrize("content", ["", "\n", "x" * 31])
def test_a_short_secret_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "leads.db.secret").write_text(content)
    with pytest.raises(StoreError, match="holds no secret; restore it"):
        load_or_make_secret(tmp_path / "leads.db")


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "leads.db.secret").mkdir()
    with pytest.raises(StoreError, match="secret: cannot be used: Is a directory"):
        load_or_make_secret(tmp_path / "leads.db")
