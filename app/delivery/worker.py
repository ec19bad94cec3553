"""The worker: claims what is due, works on a few leads at once, and stops when told."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from time import monotonic

from app.delivery.courier import Courier
from app.delivery.upkeep import Upkeep, list_logins
from app.errors import StoreError
from app.log import get_logger
from app.store.circuits import Circuit
from app.store.claiming import claim_in_order
from app.store.outbox import give_back
from app.store.queues import Selection
from app.store.store import Store
from app.store.words import Claim

_log = get_logger("delivery")

POLL = timedelta(seconds=1)
"""Between looks for what has become due, when nobody calls."""

_REST = 0.02
"""Seconds after a look in vain: when leads come by the thousand, none may go, and each of them calls."""

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
        self._holds_suspect = False
        self._turned_at = self._looked_in_vain_at = monotonic()
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
        while self._may_claim():
            claim = await self._claim()
            if claim is None:
                self._looked_in_vain_at = monotonic()
                return
            self._start(claim)

    def _may_claim(self) -> bool:
        """Without asking the store, which has visitors to serve."""
        if self._stopping or self._holds_suspect or len(self._turns) >= self.courier.terms.concurrency:
            return False
        shut = self._find_shut()
        return not shut or shut != self.courier.forms.current.logins.keys()

    async def _claim(self) -> Claim | None:
        now = self._now()
        terms = self.courier.terms
        claim = await self._store.write(
            partial(
                claim_in_order,
                steps_back=self._store.steps_back,
                settle=terms.settle + terms.timeout,
                now=now,
                leased_until=now + terms.lease,
                selection=self.select(),
                alone=not self._turns,
            )
        )
        if claim is not None:
            self._last_form = claim.form
            self._holds_suspect = claim.crashes > 0
        return claim

    def select(self) -> Selection:
        tried = self._list_tried()
        return Selection(
            after_form=self._last_form,
            shut=self._find_shut(),
            allowances={logins: circuit.allowance for circuit, logins in tried},
            # Every other time: it may be just what cannot be read back that closes the door to all.
            looks_first=frozenset(
                login
                for circuit, logins in tried
                if circuit.allowance == 1 and circuit.openings % 2 == 1
                for login in logins
            ),
            per_customer=self._per_customer(),
        )

    def _list_tried(self) -> list[tuple[Circuit, frozenset[str]]]:
        """The destinations that are being tried, and their logins."""
        circuits = self.courier.ledger.health.circuits
        return [
            (circuits[base_url], logins)
            for base_url, logins in list_logins(self.courier.forms).items()
            if base_url in circuits and circuits[base_url].state == "trying"
        ]

    def _find_shut(self) -> frozenset[str]:
        """The logins whose destination is not called at all for now."""
        circuits = self.courier.ledger.health.circuits
        return frozenset(
            name
            for name, login in self.courier.forms.current.logins.items()
            if login.base_url in circuits and circuits[login.base_url].state == "open"
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
        except asyncio.CancelledError:
            await self._give_back(claim)
            raise
        except Exception:  # noqa: BLE001
            _log.error("turn_failed", lead=claim.lead_id, form=claim.form, exc_info=True)

    async def _give_back(self, claim: Claim) -> None:
        """Cut off by a stop, which is no crash. What it has begun is in the ledger, and looked for."""
        # By then Vitec is done with what was under way: two calls at once would race into two contacts.
        not_before = self._now() + self.courier.terms.timeout
        try:
            await self._store.write(partial(give_back, claim=claim, not_before=not_before))
        except StoreError as error:
            _log.warning("lease_not_given_back", lead=claim.lead_id, cause=type(error).__name__)

    def _end_turn(self, turn: asyncio.Task[None]) -> None:
        self._turns.discard(turn)
        self._holds_suspect = False  # it was the only one
        self._wake.set()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), POLL.total_seconds())
        rest = self._looked_in_vain_at + _REST - monotonic()
        if rest > 0 and not self._stopping:
            await asyncio.sleep(rest)

    async def turns(self) -> bool:
        """Whether it has looked for leads lately: it does so each second, however many are under way."""
        return monotonic() - self._turned_at < _TURNS_WITHIN.total_seconds()

    async def stop(self, *, grace: timedelta) -> None:
        """Claims no more and waits for the turns under way. What is cut off is given back."""
        self._stopping = True
        self._wake.set()
        if self._turns:
            _, late = await asyncio.wait(self._turns, timeout=grace.total_seconds())
            for turn in late:
                turn.cancel()
            await asyncio.gather(*late, return_exceptions=True)
