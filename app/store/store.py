"""The store as the other rooms know it: opened, verified, read, written and watched."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import DBAPIError

from app.errors import StoreError, StoreUnavailable
from app.store.database import FileLock, open_readers, open_writer
from app.store.migrate import upgrade
from app.store.outbox import clear_leases
from app.store.schema import meta
from app.store.words import Acceptance, NewLead
from app.store.writer import Writer

T = TypeVar("T")

# Between looks at a lead that another process may have settled.
_LOOK_AGAIN = timedelta(milliseconds=250)

_PROOF_WITHIN = 2.0


def _leave_mark(connection: Connection) -> None:
    mark = {"value": uuid4().hex}
    if connection.execute(update(meta).where(meta.c.name == "proof").values(mark)).rowcount == 0:
        connection.execute(insert(meta).values(name="proof", **mark))


class Store:
    """One process's hold on the database, from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path)
        self._writer: Writer | None = None
        self._accepted: list[Callable[[], None]] = []
        self._settled: dict[str, list[asyncio.Event]] = defaultdict(list)

    def open(self) -> None:
        """Takes the lock, brings the schema up to date, and verifies what durability rests on.

        Raises StoreOccupied, or StoreError with a sentence for the operator.
        """
        self._lock.acquire()
        try:
            self._engine = open_writer(self.path)
            with self._engine.connect() as connection:
                upgrade(connection)
            with self._engine.begin() as connection:
                clear_leases(connection)
            self._readers = open_readers(self.path)
        except DBAPIError as error:
            self._lock.release()
            raise StoreError(f"{self.path}: cannot be used: {error.orig}") from None
        except StoreError:
            self._lock.release()
            raise
        self._writer = Writer(self._engine)

    def close(self) -> None:
        """Finishes what is being written. The file is whole at any moment; this only tidies up."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._readers.dispose()
            self._engine.dispose()
        self._lock.release()

    @property
    def writer(self) -> Writer:
        if self._writer is None:
            raise StoreUnavailable("the store is not open")
        return self._writer

    async def accept(self, new: NewLead) -> Acceptance:
        """Keeps a lead and returns when it is on disk. Raises IdempotencyConflict or StoreUnavailable."""
        acceptance = await self.writer.accept(new)
        if not acceptance.replayed:
            self.wake()
        return acceptance

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Runs a job in the writer's next transaction; its result, once that is on disk."""
        return await self.writer.run(job)

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Runs a job on a connection that cannot write, off the event loop."""
        return await asyncio.to_thread(self.read_now, job)

    def read_now(self, job: Callable[[Connection], T]) -> T:
        """The same for callers without an event loop. Raises StoreUnavailable."""
        try:
            with self._readers.connect() as connection:
                return job(connection)
        except DBAPIError as error:
            raise StoreUnavailable(str(error.orig)) from None

    async def prove_writable(self) -> None:
        """Writes and syncs a row. Raises StoreUnavailable when that fails or takes longer than two seconds."""
        try:
            await asyncio.wait_for(self.write(_leave_mark), _PROOF_WITHIN)
        except TimeoutError:
            raise StoreUnavailable("a write takes too long") from None

    def when_accepted(self, notify: Callable[[], None]) -> None:
        """Calls back in the event loop after each new lead, so that nobody need wait for a poll."""
        self._accepted.append(notify)

    def wake(self) -> None:
        """Tells that something may be due."""
        for notify in self._accepted:
            notify()

    def announce_settled(self, lead_id: str) -> None:
        """Wakes whoever waits for this lead."""
        for event in self._settled.get(lead_id, ()):
            event.set()

    @contextmanager
    def watching(self, lead_id: str) -> Iterator[Callable[[timedelta], "asyncio.Task[bool]"]]:
        """Within it, a function that waits for news of the lead, at most so long."""
        event = asyncio.Event()
        self._settled[lead_id].append(event)

        async def wait(longest: timedelta) -> bool:
            try:
                await asyncio.wait_for(event.wait(), min(longest, _LOOK_AGAIN).total_seconds())
            except TimeoutError:
                return False
            return True

        try:
            yield lambda longest: asyncio.ensure_future(wait(longest))
        finally:
            self._settled[lead_id].remove(event)
            if not self._settled[lead_id]:
                del self._settled[lead_id]
