"""The one thread that writes: whatever has gathered while the last commit was being synced goes together."""

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from app.errors import StoreUnavailable
from app.identity import IdentitySource
from app.log import get_logger
from app.store.acceptance import accept_all
from app.store.words import Acceptance, NewLead

T = TypeVar("T")
_log = get_logger("store")

# A batch longer than this makes its first sender wait for its last.
_BATCH = 128

_Answer = tuple["asyncio.Future[Any]", Any]


@dataclass(slots=True)
class _Job:
    run: Callable[[Connection], Any] | NewLead
    answer: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)


class Writer:
    """Runs jobs in batches, each batch one transaction, and answers only when that is on disk.

    A job that fails is undone alone, by its savepoint. A commit that fails fails its whole batch with
    StoreUnavailable: nothing of it was acknowledged.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._identities = IdentitySource()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="leadgate-writer", daemon=True)
        self._thread.start()

    async def accept(self, new: NewLead) -> Acceptance:
        """Keeps a lead. Raises IdempotencyConflict, or StoreUnavailable when it could not be kept."""
        kept: Acceptance = await self._submit(new)
        return kept

    async def run(self, job: Callable[[Connection], T]) -> T:
        """The job's result, once its transaction is on disk. Raises what the job raised, or StoreUnavailable."""
        result: T = await self._submit(job)
        return result

    async def _submit(self, run: Callable[[Connection], Any] | NewLead) -> Any:
        if self._closed:
            raise StoreUnavailable("the store is closing")
        job = _Job(run, asyncio.get_running_loop().create_future())
        self._jobs.put(job)
        # A sender who hangs up must not undo what others share a transaction with.
        return await asyncio.shield(job.answer)

    def close(self) -> None:
        """Finishes what was handed over before, then ends the thread."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._gather()
            if batch:
                _tell(self._commit(batch))

    def _gather(self) -> tuple[list[_Job], bool]:
        job = self._jobs.get()
        batch: list[_Job] = []
        while job is not None:
            batch.append(job)
            if len(batch) == _BATCH:
                return batch, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Job]) -> list[tuple[_Job, Any]]:
        try:
            with self._engine.begin() as connection:
                return self._run(connection, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be told that it was kept
            _log.error("commit_failed", cause=_name(error), jobs=len(batch))
            self._engine.dispose()  # a connection that failed once is not asked again
            unavailable = StoreUnavailable(_name(error))
            return [(job, unavailable) for job in batch]

    def _run(self, connection: Connection, batch: list[_Job]) -> list[tuple[_Job, Any]]:
        news = [job for job in batch if isinstance(job.run, NewLead)]
        outcomes: list[tuple[_Job, Any]] = []
        if news:
            kept = accept_all(
                connection, [job.run for job in news if isinstance(job.run, NewLead)], self._identities
            )
            outcomes += zip(news, kept, strict=True)
        for job in batch:
            if not isinstance(job.run, NewLead):
                outcomes.append((job, _run_alone(connection, job.run)))
        return outcomes


def _run_alone(connection: Connection, run: Callable[[Connection], Any]) -> Any:
    try:
        with connection.begin_nested():
            return run(connection)
    except OperationalError:
        raise  # the disk or the file: no savepoint mends it, the batch fails as one
    except Exception as error:  # noqa: BLE001 - handed to whoever asked, in their own task
        return _Failure(error)


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


def _tell(outcomes: list[tuple[_Job, Any]]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Any]]] = {}
    for job, outcome in outcomes:
        by_loop.setdefault(job.loop, []).append((job, outcome))
    for loop, told in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, told)
        except RuntimeError:  # the loop is gone, and nobody waits any more
            continue


def _resolve(outcomes: list[tuple[_Job, Any]]) -> None:
    for job, outcome in outcomes:
        if job.answer.done():
            continue
        if isinstance(outcome, _Failure):
            job.answer.set_exception(outcome.error)
        elif isinstance(outcome, Exception):
            job.answer.set_exception(outcome)
        else:
            job.answer.set_result(outcome)


def _name(error: Exception) -> str:
    """The driver's own words for a database error: they name the trouble and hold no values."""
    return str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
