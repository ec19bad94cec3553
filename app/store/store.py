"""The store as the other rooms know it: opened, verified, read, written and watched."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4
from weakref import WeakValueDictionary

from sqlalchemy import Connection, Engine, insert, update
from sqlalchemy.exc import DBAPIError

from app import tally
from app.errors import StoreError, StoreUnavailable
from app.log import get_logger
from app.store.database import find_database
from app.store.failures import describe
from app.store.keyring import register_keys
from app.store.place import RESERVE, Place, find_place
from app.store.reading import read_from
from app.store.schema import meta
from app.store.words import Acceptance, NewLead
from app.store.writer import Writer

T = TypeVar("T")
_log = get_logger("store")

Transaction = Connection
"""What the store's functions work in. Other rooms hand it on, and ask it nothing themselves."""

# Between looks at a lead that another process may have settled.
_LOOK_AGAIN = timedelta(milliseconds=250)

_PROOF_WITHIN = 2.0


# More than any lead takes up with its indexes: what a nearly full quota has no room for.
_LARGE = 256 * 1024


def _leave_mark(connection: Connection, *, size: int) -> None:
    mark = {"value": uuid4().hex.ljust(size, "0")}
    if connection.execute(update(meta).where(meta.c.name == "proof").values(mark)).rowcount == 0:
        connection.execute(insert(meta).values(name="proof", **mark))


class Store:
    """One process's hold on the database, from `open` to `close`."""

    def __init__(self, place: Place | Path | str, *, reserve: int = RESERVE) -> None:
        """A SQLite file by its path, or PostgreSQL by its address; what is kept there encrypted needs its keys.

        Below `reserve` bytes of free disk for a file new leads are refused, while delivery goes on.
        """
        self.place = find_place(place)
        self._database = find_database(place, reserve=reserve)
        self._database.when_notified(self._wake_from_afar)
        self._held = ExitStack()
        self._writer: Writer | None = None
        self._readers: Engine | None = None
        self._accepted: list[tuple[asyncio.AbstractEventLoop, Callable[[], None]]] = []
        self._watched: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self.draining = False
        """Whether the process is stopping: nobody need wait here for what comes of a lead."""

    @property
    def name(self) -> str:
        """As the operator knows it."""
        return self._database.name

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._database.kind

    @property
    def path(self) -> Path:
        """The SQLite file. Raises StoreError for PostgreSQL, which is no file of this machine."""
        if isinstance(self.place.at, Path):
            return self.place.at
        raise StoreError(f"{self.name} is no file")

    def open(self) -> None:
        """Takes the file's lock, brings the schema up to date, and verifies what durability rests on.

        Raises StoreOccupied, or StoreError with a sentence for the operator.
        """
        with ExitStack() as held:
            try:
                self._connect(held)
            except DBAPIError as error:
                raise StoreError(f"{self.name}: cannot be used: {describe(error)}") from None
            except OSError as error:
                raise StoreError(f"{self.name}: cannot be used: {error.strerror}") from None
            self._held = held.pop_all()

    def _connect(self, held: ExitStack) -> None:
        engine = self._database.open(held)
        with engine.begin() as connection:
            missing = register_keys(connection)
        if missing:
            _log.error("encryption_key_missing", store=self.name, keys=missing)
        self._readers = self._database.open_readers()
        held.callback(self._readers.dispose)
        database = self._database
        self._writer = Writer(engine, has_room=database.has_room, make_room=database.give_up_ballast)
        held.callback(self._writer.close)

    def close(self) -> None:
        """Finishes what is being written. The file is whole at any moment; this only tidies up."""
        self._held.close()
        self._writer = self._readers = None

    @property
    def writer(self) -> Writer:
        if self._writer is None:
            raise StoreUnavailable("the store is not open")
        return self._writer

    def now(self) -> datetime:
        """By the clock that all who share the database go by. Raises StoreUnavailable when it is not open."""
        return self._database.now()

    def note_attempt(self, attempt_id: int) -> None:
        """An attempt is on record, and its first byte about to be sent."""
        self._database.note_attempt(attempt_id)

    def steps_back(self, connection: Connection) -> bool:
        """Whether the store has become one of an earlier time: a restored copy, or a replica that lagged."""
        return self._database.steps_back(connection)

    async def accept(self, new: NewLead) -> Acceptance:
        """Keeps a lead and returns when it is on disk. Raises IdempotencyConflict or StoreUnavailable.

        A lead refused for want of time may have been kept all the same: what its sender sends again is it.
        """
        patience = self._database.patience
        acceptance = await (self.writer.accept(new) if patience is None else self._insist(new, patience))
        (tally.REPLAYED if acceptance.replayed else tally.ACCEPTED).add(new.form)
        if not acceptance.replayed:
            self.wake()
        return acceptance

    async def _insist(self, new: NewLead, patience: float) -> Acceptance:
        try:
            async with asyncio.timeout(patience):
                return await self.writer.accept(new)
        except TimeoutError:
            raise StoreUnavailable("the database takes too long") from None

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Runs a job in the writer's next transaction; its result, once that is on disk."""
        return await self.writer.run(job)

    async def wipe(self, *, thoroughly: bool = False) -> bool:
        """Leaves nothing on this machine's disk of what was deleted, between the writer's transactions.

        Thoroughly: the file is written anew, and who writes meanwhile waits. False when a reader kept the log.
        Raises StoreUnavailable.
        """
        return await self.writer.run_apart(partial(self._database.wipe, thoroughly=thoroughly))

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Runs a job on a connection that cannot write, off the event loop."""
        return await asyncio.to_thread(self.read_now, job)

    def read_now(self, job: Callable[[Connection], T]) -> T:
        """The same for callers without an event loop. Raises StoreUnavailable."""
        if self._readers is None:
            raise StoreUnavailable("the store is not open")
        return read_from(self._readers, job)

    async def prove_writable(self) -> None:
        """That a lead could be kept now: writes and syncs a row.

        Raises StoreUnavailable when that fails, takes longer than two seconds, or the disk is nearly full.
        """
        if not self._database.has_room():
            raise StoreUnavailable("the disk is nearly full")
        try:
            # After a failure a small row proves little: it may fit where a lead does not.
            failed = self.writer.failed
            size = _LARGE if failed else 0
            await asyncio.wait_for(self.write(partial(_leave_mark, size=size)), _PROOF_WITHIN)
        except TimeoutError:
            raise StoreUnavailable("a write takes too long") from None
        if failed:
            self.writer.failed = False

    def count_free_bytes(self) -> int | None:
        """Room left on the file's disk; None for PostgreSQL, whose disk is its operator's care."""
        return self._database.count_free_bytes()

    def when_accepted(self, notify: Callable[[], None]) -> None:
        """Calls back in this event loop after each new lead, so that nobody need wait for a poll."""
        self._accepted.append((asyncio.get_running_loop(), notify))

    def wake(self) -> None:
        """Tells that something may be due."""
        for _, notify in self._accepted:
            notify()

    def _wake_from_afar(self) -> None:
        for loop, notify in self._accepted:
            with suppress(RuntimeError):  # its loop is over, and nobody waits there
                loop.call_soon_threadsafe(notify)

    def announce_settled(self, lead_id: str) -> None:
        """Wakes whoever waits for this lead."""
        if (news := self._watched.pop(lead_id, None)) is not None:
            news.set()

    def end_waiting(self) -> None:
        """Sends home whoever waits for a lead: the process is stopping, and the lead is kept."""
        self.draining = True
        for news in list(self._watched.values()):
            news.set()

    async def wait_for_news(self, lead_id: str, *, longest: timedelta) -> None:
        """Until the lead is settled here, and a quarter of a second at most: elsewhere it is settled unheard."""
        news = self._watched.setdefault(lead_id, asyncio.Event())
        try:
            await asyncio.wait_for(news.wait(), min(longest, _LOOK_AGAIN).total_seconds())
        except TimeoutError:
            return
