"""Looks every minute for what must never be, and says so when it finds it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from app import tally
from app.delivery.parcel import Terms
from app.identity import reference_of
from app.log import get_logger
from app.store.alarms import raise_alarm
from app.store.invariants import Bounds, audit
from app.store.notices import take_turn
from app.store.store import Store, Transaction
from app.vitec.answers import RETRY_AFTER_CAP

_log = get_logger("audit")

ALARM = "invariant"
EVERY = timedelta(minutes=1)
_NAMED = 5
"""Leads that are named of each kind."""


@dataclass(slots=True)
class Auditor:
    store: Store
    terms: Terms
    _walked_to: str = ""
    _told: dict[str, int] = field(default_factory=dict)
    _alarmed: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.audit_once()
            except Exception:  # noqa: BLE001 - leads are delivered, whatever becomes of looking on
                _log.error("audit_failed", exc_info=True)
            await asyncio.sleep(EVERY.total_seconds())

    async def audit_once(self) -> Mapping[str, Sequence[str]]:
        """Raises StoreError."""
        now = self.store.now()
        bounds = find_bounds(self.terms)
        found = await self.store.read(partial(audit, now=now, bounds=bounds, walk_from=self._walked_to))
        self._walked_to = found.walked_to
        for name, lead_ids in found.violations.items():
            self._tell(name, lead_ids)
        tally.AUDITED_AT.set(now.timestamp())
        await self._alarm({name: ids for name, ids in found.violations.items() if ids}, now=now)
        return found.violations

    async def _alarm(self, broken: Mapping[str, Sequence[str]], *, now: datetime) -> None:
        """The operator, when one that held is found broken."""
        news = {name: ids for name, ids in broken.items() if name not in self._alarmed}
        if news:
            await self.store.write(partial(_raise, news=news, now=now))
        self._alarmed = frozenset(broken)

    def _tell(self, name: str, lead_ids: Sequence[str]) -> None:
        """In the log when it changes; in the metrics always."""
        tally.VIOLATIONS.set(len(lead_ids), name)
        if len(lead_ids) != self._told.get(name, 0):
            log = _log.error if lead_ids else _log.info
            event = "invariant_violated" if lead_ids else "invariant_holds_again"
            log(event, invariant=name, count=len(lead_ids), leads=list(lead_ids[:_NAMED]))
            self._told[name] = len(lead_ids)


def _raise(connection: Transaction, *, news: Mapping[str, Sequence[str]], now: datetime) -> None:
    take_turn(connection)
    for name, lead_ids in news.items():
        references = [reference_of(lead_id) for lead_id in lead_ids[:_NAMED]]
        raise_alarm(connection, ALARM, name, now=now, count=len(lead_ids), references=references)


def find_bounds(terms: Terms) -> Bounds:
    """Twice what these terms ask for: other processes of the same store may have been started with longer ones."""
    longest = max(*terms.schedule, RETRY_AFTER_CAP, terms.settle + terms.timeout)
    return Bounds(lease=2 * terms.lease, wait=2 * longest)
