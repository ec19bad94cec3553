"""Power cuts, replayed from what the real writer did to its files."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from proof.powercut import Disk, examine, main, replay
from proof.trace import (
    Acknowledged,
    Created,
    Event,
    FolderSynced,
    Removed,
    Resized,
    Synced,
    TraceError,
    Written,
    find_obstacle,
    read_trace,
    record,
)

_OBSTACLE = find_obstacle()
needs_strace = pytest.mark.skipif(_OBSTACLE is not None, reason=f"no power cuts: {_OBSTACLE}")

_IMAGES = 120
_LEADS = 40


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    return record(tmp_path_factory.mktemp("full"), leads=_LEADS)


@pytest.fixture(scope="module")
def weakened(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    return record(tmp_path_factory.mktemp("normal"), leads=_LEADS, synchronous="normal")


@needs_strace
def test_no_power_cut_loses_an_acknowledged_lead(writer: list[Event]) -> None:
    outcome = replay(writer, images=_IMAGES, seed=1)
    assert (outcome.images, outcome.acknowledged) == (_IMAGES, _LEADS)
    assert (outcome.lossy, outcome.most_lost, outcome.damaged) == (0, 0, 0)


@needs_strace
def test_a_writer_that_does_not_sync_its_commits_is_seen_to_lose(weakened: list[Event]) -> None:
    outcome = replay(weakened, images=_IMAGES, seed=1)
    assert outcome.lossy > _IMAGES / 4
    assert outcome.make_row("power cut").lost == outcome.lossy
    assert f"{outcome.most_lost} of {_LEADS} leads at most" in outcome.make_row("power cut").note


@needs_strace
def test_a_seed_gives_the_same_cuts_again(weakened: list[Event]) -> None:
    assert replay(weakened, images=20, seed=3) == replay(weakened, images=20, seed=3)


@needs_strace
def test_where_everything_reached_the_disk_nothing_is_missing(weakened: list[Event]) -> None:
    disk = Disk()
    for number, event in enumerate(weakened):
        disk.apply(event)
        if number % 50 == 0 or number == len(weakened) - 1:
            kept = {lead.lead_id for lead in weakened[: number + 1] if isinstance(lead, Acknowledged)}
            found = examine(disk.cut(Random(1), survives=1.0))
            assert found is not None
            assert kept <= found


@needs_strace
def test_a_writer_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "leads.db").write_text("no database at all\n" * 100)
    with pytest.raises(TraceError, match="file is not a database"):
        record(tmp_path, leads=1)


@needs_strace
def test_the_run_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["12", "6", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].split()[2] for line in lines[2:]] == [
        "synchronous=FULL",
        "synchronous=NORMAL",
        "synchronous=OFF",
    ]


@pytest.mark.parametrize("script", [None, "#!/bin/sh\nexit 1\n"], ids=["missing", "forbidden"])
def test_where_nothing_can_be_traced_the_run_says_that_it_was_skipped(
    script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if script is not None:
        (tmp_path / "strace").write_text(script)
        (tmp_path / "strace").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("power cuts: SKIPPED, ")


def play(events: Sequence[Event]) -> Disk:
    disk = Disk()
    for event in events:
        disk.apply(event)
    return disk


def test_only_what_was_synced_is_sure_to_survive() -> None:
    disk = play(
        [
            Created("leads.db"),
            FolderSynced(),
            Written("leads.db", 0, b"kept"),
            Synced("leads.db"),
            Resized("leads.db", 2),
            Written("leads.db", 6, b"loose"),
        ]
    )
    assert disk.cut(Random(1), survives=0.0) == {"leads.db": b"kept"}
    assert disk.cut(Random(1), survives=1.0) == {"leads.db": b"ke\0\0\0\0loose"}


def test_a_name_is_sure_only_when_its_folder_was_synced() -> None:
    disk = play([Created("leads.db"), Written("leads.db", 0, b"a"), Synced("leads.db")])
    assert disk.cut(Random(1), survives=0.0) == {}
    disk.apply(FolderSynced())
    disk.apply(Removed("leads.db"))
    assert disk.cut(Random(1), survives=0.0) == {"leads.db": b"a"}
    assert disk.cut(Random(1), survives=1.0) == {}


def test_a_write_is_torn_at_sectors() -> None:
    disk = play([Created("leads.db"), FolderSynced(), Written("leads.db", 100, b"x" * 2000)])
    random = Random(1)
    images = [disk.cut(random, survives=0.5)["leads.db"] for _ in range(200)]
    sectors = {tuple(b"x" in image[start : start + 512] for start in range(0, 2100, 512)) for image in images}
    assert len(sectors) > 10
    for image in images:
        for start in range(0, len(image), 512):
            written = image[max(start, 100) : start + 512]
            assert len(set(written)) == 1  # all of a sector's part, or nothing


def test_a_database_that_was_never_made_holds_nothing() -> None:
    assert examine({}) == set()


def test_a_damaged_database_is_seen(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "leads.db")) as connection:
        connection.execute("CREATE TABLE leads (id TEXT PRIMARY KEY)")
        connection.executemany("INSERT INTO leads VALUES (?)", [(f"lead {number}",) for number in range(999)])
        connection.commit()
    whole = (tmp_path / "leads.db").read_bytes()
    assert examine({"leads.db": whole}) == set()  # its leads have no place in an outbox
    assert examine({"leads.db": whole[:-4096] + bytes(4096)}) is None
    assert examine({"leads.db": whole[:16] + b"nonsense" * 200}) is None


def write_path(path: Path) -> str:
    return "".join(f"\\x{byte:02x}" for byte in str(path).encode())


def test_calls_that_interrupt_each_other_are_put_together() -> None:
    folder = Path("/data")
    wal = write_path(folder / "leads.db-wal")
    lines = [
        f'1 openat(AT_FDCWD<{write_path(folder)}>, "{wal}", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 8<{wal}>',
        f'1 openat(AT_FDCWD<{write_path(folder)}>, "{wal}", O_RDONLY) = 9<{wal}>',
        f'1 openat(AT_FDCWD<{write_path(folder)}>, "{wal}", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 9<{wal}>',
        f'2 pwrite64(8<{wal}>, "\\x61\\x62", 2, 4096 <unfinished ...>',
        f'1 write(7<{write_path(folder / "acknowledged")}>, "\\x6c\\x31\\x0a", 3 <unfinished ...>',
        "2 <... pwrite64 resumed>) = 2",
        f"2 fdatasync(8<{wal}>) = 0",
        "1 <... write resumed>) = 3",
        f"2 ftruncate(8<{wal}>, 10) = 0",
        f"2 fdatasync(5<{write_path(folder)}>) = 0",
        f"2 fdatasync(5<{write_path(folder / 'elsewhere')}>) = 0",
        f'2 unlink("{wal}") = -1 ENOENT (No such file or directory)',
        f'2 unlink("{wal}") = 0',
        "2 +++ exited with 0 +++",
    ]
    name = "leads.db-wal"
    assert read_trace(lines, folder) == [
        Created(name),
        Acknowledged("l1"),
        Written(name, 4096, b"ab"),
        Synced(name),
        Resized(name, 10),
        FolderSynced(),
        Removed(name),
    ]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ('pwritev(8<{wal}>, [{{iov_base="\\x61", iov_len=1}}], 1, 0) = 1', "pwritev on leads.db-wal"),
        ('pwrite64(8<{wal}>, "\\x61"..., 2000000, 0) = 2000000', "longer than strace shows"),
    ],
)
def test_what_the_replay_has_no_model_of_is_never_passed_over(call: str, reason: str) -> None:
    line = "1 " + call.format(wal=write_path(Path("/data/leads.db-wal")))
    with pytest.raises(TraceError, match=reason):
        read_trace([line], Path("/data"))
