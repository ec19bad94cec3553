"""Tells a watchman each minute that both accepting and delivering turn; when they do not, it is silent."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from app.errors import StoreError, StoreUnavailable
from app.log import get_logger
from app.notices.mailer import NotSent
from app.notices.webhook import Outward
from app.store.pulse import find_pulses, note_pulse, take_beat
from app.store.store import Store

_log = get_logger("notices")

EVERY = timedelta(minutes=1)
_FRESH = timedelta(seconds=150)
"""A sign of life of that age counts: two missed ones do not."""

Check = Callable[[], Awaitable[bool]]


@dataclass(slots=True, kw_only=True)
class Heartbeat:
    store: Store
    outward: Outward
    url: str
    parts: dict[str, Check]
    """What this process does, `accepting` or `delivering` or both, and how it knows that it turns."""
    now: Callable[[], datetime]

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.do_once()
            except (StoreError, NotSent) as error:
                _log.warning("heartbeat_missed", cause=str(error))
            await asyncio.sleep(EVERY.total_seconds())

    async def do_once(self) -> None:
        """Notes what turns here; pings if all that must turn does, somewhere, and nobody has done so this minute.

        Raises StoreError or NotSent.
        """
        now = self.now()
        for name, check in self.parts.items():
            if await check():
                await self.store.write(partial(note_pulse, name=name, now=now))
        pulses = await self.store.read(find_pulses)
        silent = [
            name for name in ("accepting", "delivering") if name not in pulses or now - pulses[name] > _FRESH
        ]
        if silent:
            _log.warning("heartbeat_withheld", silent=silent)
        elif await self.store.write(partial(take_beat, now=now, every=EVERY)):
            await self.outward.ping(self.url)


async def can_accept(store: Store) -> bool:
    """Whether a lead could be kept now."""
    try:
        await store.prove_writable()
    except StoreUnavailable:
        return False
    return True
