"""The worker: claims what is due, works on a few leads at once, and stops when told."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from app.delivery.courier import Courier
from app.errors import StoreError
from app.log import get_logger
from app.store.outbox import claim_next
from app.store.store import Store
from app.store.words import Claim

_log = get_logger("delivery")

POLL = timedelta(seconds=1)
"""Between looks for what has become due, when nobody calls."""


class Worker:
    """Runs until stopped. Several may run on one store; the claims keep them apart."""

    def __init__(
        self, store: Store, courier: Courier, *, concurrency: int, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._courier = courier
        self._concurrency = concurrency
        self._now = now
        self._wake = asyncio.Event()
        self._stopping = False
        self._turns: set[asyncio.Task[None]] = set()
        store.when_accepted(self._wake.set)

    async def run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._start_turns()
            except StoreError as error:
                _log.error("claim_failed", cause=type(error).__name__)
            await self._wait()

    async def _start_turns(self) -> None:
        """Claims while there is work and a free hand."""
        while len(self._turns) < self._concurrency and not self._stopping:
            claim = await self._claim()
            if claim is None:
                return
            turn = asyncio.create_task(self._take_turn(claim))
            self._turns.add(turn)
            turn.add_done_callback(self._end_turn)

    async def _claim(self) -> Claim | None:
        now = self._now()
        leased_until = now + self._courier.terms.lease
        return await self._store.write(
            lambda connection: claim_next(connection, now=now, leased_until=leased_until)
        )

    async def _take_turn(self, claim: Claim) -> None:
        """A defect in one lead's turn must stop neither the worker nor the next lead: its lease runs out."""
        try:
            await self._courier.deliver(claim)
        except Exception:  # noqa: BLE001
            _log.error("turn_failed", lead=claim.lead_id, form=claim.form, exc_info=True)

    def _end_turn(self, turn: asyncio.Task[None]) -> None:
        self._turns.discard(turn)
        self._wake.set()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), POLL.total_seconds())
        except TimeoutError:
            return

    async def stop(self, *, grace: timedelta) -> None:
        """Claims no more and waits for the turns under way. What is cut off is in the ledger, and looked for."""
        self._stopping = True
        self._wake.set()
        if self._turns:
            _, late = await asyncio.wait(self._turns, timeout=grace.total_seconds())
            for turn in late:
                turn.cancel()
            await asyncio.gather(*late, return_exceptions=True)
