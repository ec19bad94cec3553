"""What a process did to its files, with every byte, as strace saw it."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

DATABASE = "leads.db"
ACKNOWLEDGED = "acknowledged"
_SUFFIXES = ("", "-wal", "-shm", "-journal")
_FILES = {DATABASE + suffix for suffix in _SUFFIXES}

_CALLS = "openat,pwrite64,pwritev,write,ftruncate,fallocate,fsync,fdatasync,rename,renameat2,unlink,unlinkat"
# Longer than any page or message written at once: strace cuts what is longer, and says so with dots.
_LONGEST = 1 << 20


class TraceError(Exception):
    """The writer failed, or did what the replay has no model of."""


@dataclass(frozen=True, slots=True)
class Created:
    name: str


@dataclass(frozen=True, slots=True)
class Removed:
    name: str


@dataclass(frozen=True, slots=True)
class Written:
    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resized:
    name: str
    length: int


@dataclass(frozen=True, slots=True)
class Synced:
    name: str


@dataclass(frozen=True, slots=True)
class FolderSynced:
    pass


@dataclass(frozen=True, slots=True)
class Acknowledged:
    lead_id: str


Event = Created | Removed | Written | Resized | Synced | FolderSynced | Acknowledged


def find_obstacle() -> str | None:
    """Why this machine cannot trace; None when it can."""
    if sys.platform != "linux":
        return "power cuts are replayed from strace, which is Linux's alone"
    try:
        subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], check=True, capture_output=True)
    except FileNotFoundError:
        return "strace is not installed"
    except subprocess.CalledProcessError:
        return "strace may not trace here"
    return None


def record(folder: Path, *, leads: int, synchronous: str = "full") -> list[Event]:
    """What the real writer does to its files while it accepts leads. Raises TraceError."""
    folder = folder.resolve()
    watched = [folder, folder / ACKNOWLEDGED, *(folder / name for name in sorted(_FILES))]
    paths = [argument for path in watched for argument in ("-P", str(path))]
    output = folder / "trace"
    strace = ["strace", "-f", "-y", "-xx", "-s", str(_LONGEST), "-e", "signal=none", "-e", f"trace={_CALLS}"]
    arguments = [str(folder / DATABASE), str(folder / ACKNOWLEDGED), str(leads), synchronous]
    ended = subprocess.run(
        [*strace, *paths, "-o", str(output), sys.executable, "-m", "proof.writer", *arguments],
        check=False,
        cwd=Path(__file__).parent.parent,
        stderr=subprocess.PIPE,
        text=True,
    )
    if ended.returncode != 0:
        raise TraceError(f"the writer failed: {ended.stderr}")
    with output.open(encoding="ascii") as lines:
        return read_trace(lines, folder)


def read_trace(lines: Iterable[str], folder: Path) -> list[Event]:
    """Syncs and writes stand where they ended, acknowledgements where they began."""
    events: list[Event] = []
    known: set[str] = set()
    for call in _join(lines):
        for event in _read_call(call, folder):
            if isinstance(event, Created) and event.name in known:
                continue
            if isinstance(event, Created):
                known.add(event.name)
            elif isinstance(event, Removed):
                known.discard(event.name)
            events.append(event)
    return events


_LINE = re.compile(r"(\d+) +(.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_UNFINISHED = " <unfinished ...>"


def _join(lines: Iterable[str]) -> Iterator[str]:
    """Whole calls, for those of two threads interrupt each other."""
    begun: dict[str, str] = {}
    for line in lines:
        match = _LINE.match(line.rstrip("\n"))
        assert match is not None
        thread, text = match.groups()
        if (resumed := _RESUMED.match(text)) is not None:
            text = begun.pop(thread) + resumed[1]
        if not text.endswith(_UNFINISHED):
            yield text
        elif text.startswith("write("):
            yield text.replace(_UNFINISHED, ") = 1")
            begun[thread] = "done("
        else:
            begun[thread] = text.removesuffix(_UNFINISHED)


_CALL = re.compile(r"(\w+)\((.*)\) += (\d+)")
_TEXT = re.compile(r'[<"]((?:\\x[0-9a-f]{2})*)[>"](\.\.\.)?')
_NUMBER = re.compile(r", (\d+)(?=,|$)")


def _read_call(text: str, folder: Path) -> Iterator[Event]:
    match = _CALL.match(text)
    if match is None or match[1] == "done":  # a signal, an exit, or a call that failed
        return
    call, arguments = match[1], match[2]
    texts = [_decode(found) for found in _TEXT.finditer(arguments)]
    numbers = [int(number) for number in _NUMBER.findall(arguments)]
    path = Path(texts[-1 if call in {"openat", "unlink", "unlinkat"} else 0].decode())
    name = path.name
    if path == folder and call in {"fsync", "fdatasync"}:
        yield FolderSynced()
    elif name == ACKNOWLEDGED and call == "write":
        yield Acknowledged(texts[1].decode().strip())
    elif path.parent == folder and name in _FILES:
        yield from _read_change(call, name, texts=texts, numbers=numbers, arguments=arguments)


def _read_change(
    call: str, name: str, *, texts: list[bytes], numbers: list[int], arguments: str
) -> Iterator[Event]:
    match call:
        case "openat":
            if "O_CREAT" in arguments:
                yield Created(name)
        case "pwrite64":
            yield Written(name, numbers[1], texts[1])
        case "ftruncate":
            yield Resized(name, numbers[0])
        case "fsync" | "fdatasync":
            yield Synced(name)
        case "unlink" | "unlinkat":
            yield Removed(name)
        case _:
            raise TraceError(f"{call} on {name}")


def _decode(found: "re.Match[str]") -> bytes:
    if found[2]:
        raise TraceError("a write longer than strace shows")
    return bytes.fromhex(found[1].replace("\\x", ""))
