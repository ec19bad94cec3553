"""The worker: claims what is due, works on a few leads at once, and stops when told."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from time import monotonic

from app.delivery.courier import Courier
from app.delivery.upkeep import Upkeep, list_logins
from app.errors import StoreError
from app.log import get_logger
from app.store.claiming import Selection, claim_in_order, find_suspects
from app.store.store import Store
from app.store.words import Claim

_log = get_logger("delivery")

POLL = timedelta(seconds=1)
"""Between looks for what has become due, when nobody calls."""


_TURNS_WITHIN = timedelta(seconds=30)


class Worker:
    """Runs until stopped. Several may run on one store; the claims keep them apart."""

    def __init__(
        self, store: Store, courier: Courier, upkeep: Upkeep, *, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self.courier = courier
        self.upkeep = upkeep
        self._now = now
        self._wake = asyncio.Event()
        self._stopping = False
        self._turns: set[asyncio.Task[None]] = set()
        self._last_form: str | None = None
        self._turned_at = monotonic()
        store.when_accepted(self._wake.set)

    async def run(self) -> None:
        """Raises what is no failure of the store's: a defect, after which the process had better start anew."""
        upkeep = asyncio.create_task(self.upkeep.run())
        try:
            while not self._stopping:
                self._turned_at = monotonic()
                self._wake.clear()
                try:
                    await self._start_turns()
                except StoreError as error:
                    _log.error("claim_failed", cause=type(error).__name__)
                await self._wait()
                if upkeep.done():
                    upkeep.result()
        finally:
            upkeep.cancel()

    async def _start_turns(self) -> None:
        """Claims while there is work and a free hand. A suspect of crashes gets the process to itself."""
        if await self._store.read(partial(find_suspects, now=self._now())):
            if not self._turns and (claim := await self._claim(suspects=True)):
                self._start(claim)
            if self._turns or self._stopping:
                return
        while len(self._turns) < self.courier.terms.concurrency and not self._stopping:
            claim = await self._claim()
            if claim is None:
                return
            self._start(claim)

    async def _claim(self, *, suspects: bool = False) -> Claim | None:
        now = self._now()
        terms = self.courier.terms
        claim = await self._store.write(
            partial(
                claim_in_order,
                steps_back=self._store.steps_back,
                settle=terms.settle + terms.timeout,
                now=now,
                leased_until=now + terms.lease,
                selection=self._select(suspects=suspects),
            )
        )
        if claim is not None:
            self._last_form = claim.form
        return claim

    def _select(self, *, suspects: bool) -> Selection:
        shut: set[str] = set()
        allowances = {}
        for base_url, logins in list_logins(self.courier.forms).items():
            circuit = self.courier.ledger.health.circuits.get(base_url)
            if circuit is not None and circuit.state == "open":
                shut |= logins
            elif circuit is not None and circuit.state == "trying":
                allowances[logins] = circuit.allowance
        return Selection(
            after_form=self._last_form,
            shut=frozenset(shut),
            allowances=allowances,
            per_customer=self._per_customer(),
            suspects=suspects,
        )

    def _per_customer(self) -> int | None:
        """With several customers none may keep every hand busy: one whose calls hang would stop the rest."""
        forms = self.courier.forms.current
        customers = {form.destination.customer_id for form in forms.forms.values()}
        customers |= {one.customer_id for one in forms.receivers.values() if one.customer_id}
        return max(1, self.courier.terms.concurrency // 2) if len(customers) > 1 else None

    def _start(self, claim: Claim) -> None:
        turn = asyncio.create_task(self._take_turn(claim))
        self._turns.add(turn)
        turn.add_done_callback(self._end_turn)

    async def _take_turn(self, claim: Claim) -> None:
        """A defect in one lead's turn must stop neither the worker nor the next lead: its lease runs out."""
        try:
            await self.courier.deliver(claim)
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

    async def turns(self) -> bool:
        """Whether it has looked for leads lately: it does so each second, however many are under way."""
        return monotonic() - self._turned_at < _TURNS_WITHIN.total_seconds()

    async def stop(self, *, grace: timedelta) -> None:
        """Claims no more and waits for the turns under way. What is cut off is in the ledger, and looked for."""
        self._stopping = True
        self._wake.set()
        if self._turns:
            _, late = await asyncio.wait(self._turns, timeout=grace.total_seconds())
            for turn in late:
                turn.cancel()
            await asyncio.gather(*late, return_exceptions=True)
