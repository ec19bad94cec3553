"""The one thread that writes: whatever has gathered while the last commit was being synced goes together."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from app import tally
from app.errors import StoreUnavailable
from app.failpoints import reach
from app.identity import IdentitySource
from app.log import get_logger
from app.store.acceptance import accept_all
from app.store.failures import describe, is_broken, is_conflict, is_full
from app.store.words import Acceptance, NewLead

T = TypeVar("T")
_log = get_logger("store")

# A batch longer than this makes its first sender wait for its last.
_BATCH = 128

# From so many in one batch on, the next is given a moment to gather.
_CROWD = 16
_GATHER_SECONDS = 0.003

# More than this means that the database does not keep up: who comes now is better told at once.
_LONGEST_QUEUE = 2000

_RETRIES = 3

_Outcome = tuple["_Job", Any]
_Runner = Callable[[Connection, Callable[[Connection], Any]], Any]


@dataclass(slots=True)
class _Job:
    run: Callable[[Any], Any] | NewLead
    answer: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    apart: bool = False
    """Whether it takes the engine and is run in no transaction, rather than a connection in the batch's."""


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception


class _Conflict(Exception):
    """The whole batch was undone for the sake of another machine's."""


class _Failed(Exception):
    """A job failed among others that had better not be undone with it."""


class Writer:
    """Runs jobs in batches, each batch one transaction, and answers only when that is on disk.

    A job that fails is undone alone: its batch begins anew, each job in a savepoint of its own. A
    commit that fails fails its whole batch with StoreUnavailable: nothing of it was acknowledged.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        identities: IdentitySource | None = None,
        has_room: Callable[[], bool] = lambda: True,
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        """New leads are refused while `has_room` says no; every other job still runs.

        On a full disk `make_room` is asked once a batch, and the batch tried again when there was room to make.
        """
        self._engine = engine
        self._identities = identities or IdentitySource()
        self._has_room = has_room
        self._make_room = make_room
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._crowded = False
        self.failed = False
        """Whether a commit has failed since somebody last proved that a large one does not."""
        self._thread = threading.Thread(target=self._work, name="leadgate-writer", daemon=True)
        self._thread.start()

    async def accept(self, new: NewLead) -> Acceptance:
        """Keeps a lead. Raises IdempotencyConflict, or StoreUnavailable when it could not be kept."""
        if self._jobs.qsize() >= _LONGEST_QUEUE:
            raise StoreUnavailable("too many leads wait to be kept")
        kept: Acceptance = await self._submit(new)
        return kept

    async def run(self, job: Callable[[Connection], T]) -> T:
        """The job's result, once its transaction is on disk. Raises what the job raised, or StoreUnavailable."""
        result: T = await self._submit(job)
        return result

    async def run_apart(self, job: Callable[[Engine], T]) -> T:
        """The job's result; it runs between two transactions. Raises what it raised, or StoreUnavailable."""
        result: T = await self._submit(job, apart=True)
        return result

    async def _submit(self, run: Callable[[Any], Any] | NewLead, *, apart: bool = False) -> Any:
        if self._closed:
            raise StoreUnavailable("the store is closing")
        loop = asyncio.get_running_loop()
        job = _Job(run, loop.create_future(), loop, apart)
        self._jobs.put(job)
        # A sender who hangs up abandons the answer alone: the job goes on with the others of its batch.
        return await job.answer

    def close(self) -> None:
        """Finishes what was handed over before, then ends the thread."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._gather()
            self._crowded = len(batch) >= _CROWD
            if together := [job for job in batch if not job.apart]:
                _tell(self._commit(together))
            _tell([(job, self._run_apart(job.run)) for job in batch if job.apart])

    def _gather(self) -> tuple[list[_Job], bool]:
        job = self._jobs.get()
        if self._crowded:
            # Many come at once: to let them gather costs less than to fight them for the interpreter's lock.
            sleep(_GATHER_SECONDS)
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

    def _commit(self, batch: list[_Job]) -> list[_Outcome]:
        # Nearly always none fails, and savepoints are a fifth of the work.
        with suppress(_Conflict, _Failed):
            return self._try(batch, hopeful=True)
        for _ in range(_RETRIES):
            with suppress(_Conflict):
                return self._try(batch)
        return self._try(batch, last=True)

    def _try(self, batch: list[_Job], *, hopeful: bool = False, last: bool = False) -> list[_Outcome]:
        try:
            with self._engine.begin() as connection:
                outcomes = self._run(connection, batch, _run_plain if hopeful else _run_alone)
                reach("before_commit")
                begun = perf_counter()
            tally.COMMIT_SECONDS.add(perf_counter() - begun)
            tally.COMMIT_JOBS.add(len(batch))
            reach("after_commit")
        except _Failed:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be told that it was kept
            if is_conflict(error) and not last:
                raise _Conflict from None
            if is_full(error) and self._make_room():
                self._engine.dispose()
                return self._try(batch, last=True)
            cause = describe(error)
            _log.error("commit_failed", cause=cause, jobs=len(batch))
            self.failed = True
            self._engine.dispose()  # a connection that failed once is not asked again
            return [(job, _Failure(StoreUnavailable(cause))) for job in batch]
        return outcomes

    def _run_apart(self, run: Any) -> Any:
        try:
            return run(self._engine)
        except Exception as error:  # noqa: BLE001 - the thread goes on whatever it was
            self._engine.dispose()
            return _Failure(StoreUnavailable(describe(error)))

    def _run(self, connection: Connection, batch: list[_Job], run: _Runner) -> list[_Outcome]:
        news = [(job, job.run) for job in batch if isinstance(job.run, NewLead)]
        outcomes = self._accept(connection, news) if news else []
        outcomes += [(job, run(connection, job.run)) for job in batch if not isinstance(job.run, NewLead)]
        return outcomes

    def _accept(self, connection: Connection, news: list[tuple[_Job, NewLead]]) -> list[_Outcome]:
        if not self._has_room():
            _log.error("disk_nearly_full", leads=len(news))
            return [(job, _Failure(StoreUnavailable("the disk is nearly full"))) for job, _ in news]
        kept = accept_all(connection, [new for _, new in news], self._identities)
        return [
            (job, _Failure(outcome) if isinstance(outcome, Exception) else outcome)
            for (job, _), outcome in zip(news, kept, strict=True)
        ]


def _run_plain(connection: Connection, run: Callable[[Connection], Any]) -> Any:
    try:
        return run(connection)
    except Exception as error:
        if is_broken(error):
            raise
        raise _Failed from None


def _run_alone(connection: Connection, run: Callable[[Connection], Any], *, again: bool = True) -> Any:
    try:
        with connection.begin_nested():
            return run(connection)
    except Exception as error:
        if is_broken(error):
            raise
        if isinstance(error, IntegrityError) and again:
            # Another machine wrote the row that this job did not find: now it does.
            return _run_alone(connection, run, again=False)
        return _Failure(error)


def _tell(outcomes: list[_Outcome]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
    for job, outcome in outcomes:
        by_loop.setdefault(job.loop, []).append((job, outcome))
    for loop, told in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, told)
        except RuntimeError:  # the loop is gone, and nobody waits any more
            continue


def _resolve(outcomes: list[_Outcome]) -> None:
    for job, outcome in outcomes:
        if job.answer.done():
            continue
        if isinstance(outcome, _Failure):
            job.answer.set_exception(outcome.error)
        else:
            job.answer.set_result(outcome)
