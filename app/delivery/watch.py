"""A daily look at receivers that have left Vitec: before a lead is refused because of one."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from app.delivery.inspection import Inspector
from app.delivery.verdicts import CustomerFinding
from app.errors import StoreError
from app.forms.live import LiveForms
from app.forms.model import CallGroup
from app.log import get_logger
from app.store.alarms import load_conditions, note_conditions
from app.store.gates import list_gates
from app.store.notices import take_turn
from app.store.pulse import take_beat
from app.store.store import Store, Transaction

_log = get_logger("delivery")

ALARM = "receiver_left"
DAILY = timedelta(days=1)
_LOOK_WHETHER_EVERY = timedelta(minutes=10)


@dataclass(slots=True, kw_only=True)
class ReceiverWatch:
    store: Store
    forms: LiveForms
    inspector: Inspector
    now: Callable[[], datetime]

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.do_once()
            except StoreError as error:
                _log.error("receivers_not_looked_at", cause=type(error).__name__)
            await asyncio.sleep(_LOOK_WHETHER_EVERY.total_seconds())

    async def do_once(self) -> bool:
        """Looks if nobody has done so today. Whoever refuses us is not asked; what could not be asked stays."""
        now = self.now()
        beat = partial(take_beat, now=now, every=DAILY, name="receivers_looked_at")
        if not await self.store.write(beat):
            return False
        gates = await self.store.read(list_gates)
        refused = {
            (one.key.login, one.key.customer_id) for one in gates if one.key.call_group is CallGroup.READ
        }
        findings = await self.inspector.look_at_receivers(self.forms.current, refused=refused)
        left = _list_left(findings)
        asked = {one.customer_id for one in findings if all(call.ok for call in one.calls)}
        for subject in left:
            _log.warning("receiver_left", subject=subject)
        await self.store.write(partial(_keep, left=left, asked=asked, now=now))
        return True


def _keep(connection: Transaction, *, left: dict[str, Any], asked: set[str], now: datetime) -> None:
    take_turn(connection)
    known = load_conditions(connection, ALARM)
    unasked = {subject: detail for subject, detail in known.items() if detail["customer"] not in asked}
    note_conditions(connection, ALARM, unasked | left, now=now)


def _list_left(findings: Iterable[CustomerFinding]) -> dict[str, dict[str, Any]]:
    return {
        f"{finding.customer_id} {one.id}": {
            "customer": finding.customer_id,
            "id": one.id,
            "verdict": "archived" if one.verdict == "archived" else "not listed any more",
            "used_by": list(one.used_by),
        }
        for finding in findings
        for one in finding.ids
        if one.verdict in {"archived", "unknown"}
    }
