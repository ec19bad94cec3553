"""The round of telling: plans what is to be told, claims what is due, sends it, and settles what came of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.headerregistry import Address
from functools import partial

from app.errors import StoreError
from app.log import get_logger
from app.notices.composer import OFFICE, Composer
from app.notices.digest import DIGEST, list_named
from app.notices.letter import write_message
from app.notices.mailer import Mailer, NotSent
from app.notices.operator import describe_for_programs
from app.notices.planner import Planner
from app.notices.webhook import Outward
from app.store.alarms import Conditions
from app.store.notices import Notice, claim_notices, drop, give_back, is_any_due, note_sent, postpone
from app.store.quarantine import mark_named
from app.store.store import Store, Transaction

_log = get_logger("notices")

EVERY = timedelta(seconds=2)
_THOROUGH_EVERY = 8
"""Rounds: what need not be told at once."""

_LEASE = timedelta(minutes=10)
"""Longer than twenty mails to a server that takes its time with each."""

_SCHEDULE = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 1800, 3600))
"""After each failure; the last one repeats."""

_GIVEN_UP_AFTER: Mapping[str, timedelta] = {"receipt": timedelta(hours=6), "landed": timedelta(days=3)}
"""Everything else is tried for as long as there is somebody to tell."""
_ALARMS_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What messages leave by."""

    sender: Address | None = None
    mailer: Mailer | None = None
    outward: Outward | None = None
    webhook_url: str | None = None


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    store: Store
    planner: Planner
    composer: Composer
    means: Means
    look_outside: Callable[[], Mapping[str, Conditions]]
    now: Callable[[], datetime]
    _round: int = 0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until it is stopped. Nothing that goes wrong here reaches the leads."""
        while not self._stopping.is_set():
            try:
                await self.do_once(thorough=self._round % _THOROUGH_EVERY == 0)
            except StoreError as error:
                _log.error("telling_failed", cause=type(error).__name__)
            except Exception:  # noqa: BLE001 - a defect here must not stop delivery, nor the next message
                _log.error("telling_broken", exc_info=True)
            self._round += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), EVERY.total_seconds())
        self._stopped.set()

    async def stop(self, *, grace: timedelta) -> None:
        """Begins nothing more, and lets the round under way end if it does so in time."""
        self._stopping.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), grace.total_seconds())

    async def do_once(self, *, thorough: bool = True) -> None:
        await self._plan(thorough=thorough)
        if not await self.store.read(partial(is_any_due, now=self.now())):
            return
        now = self.now()
        claimed = await self.store.write(partial(claim_notices, now=now, leased_until=now + _LEASE))
        mails = [notice for notice in claimed if notice.channel == "mail"]
        if mails:
            await self._send_mails(mails)
        for notice in claimed:
            if notice.channel == "webhook":
                await self._post(notice)

    async def _plan(self, *, thorough: bool) -> None:
        now = self.now()
        outside = self.look_outside() if thorough else {}
        needed = partial(self.planner.is_needed, thorough=thorough, outside=outside, now=now)
        if await self.store.read(needed):
            await self.store.write(
                partial(self.planner.carry_out, thorough=thorough, outside=outside, now=now)
            )

    async def _send_mails(self, claimed: Sequence[Notice]) -> None:
        """All in one session; a server that is not there is asked once for all of them."""
        mailer, sender = self.means.mailer, self.means.sender
        if mailer is None or sender is None:
            for notice in claimed:
                await self._fail(notice, "NoMailServer")
            return
        try:
            async with mailer.session() as session:
                for place, notice in enumerate(claimed):
                    if self._stopping.is_set():
                        await self.store.write(partial(give_back, claimed=claimed[place:]))
                        return
                    async with self._settling(notice):
                        letter = await self.composer.write(notice)
                        if letter is None:
                            continue
                        message = write_message(letter, sender=sender, key=notice.key, now=self.now())
                        await session.send(message, sender=sender.addr_spec, to=letter.to.addr_spec)
                        await self._note_sent(notice)
        except NotSent as failure:
            for notice in claimed:
                await self._fail(notice, str(failure))

    @asynccontextmanager
    async def _settling(self, notice: Notice) -> AsyncIterator[None]:
        """One mail's trouble is its own."""
        try:
            yield
        except NotSent as failure:
            await self._fail(notice, str(failure))
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect in one message must not keep the next from being sent
            _log.error("message_broken", kind=notice.kind, lead=notice.lead_id, exc_info=True)
            await self._fail(notice, type(error).__name__)

    async def _post(self, notice: Notice) -> None:
        outward, url = self.means.outward, self.means.webhook_url
        if outward is None or url is None:
            await self._fail(notice, "NoWebhook")
            return
        async with self._settling(notice):
            await outward.post(url, describe_for_programs(notice))
            await self._note_sent(notice)

    async def _note_sent(self, notice: Notice) -> None:
        now = self.now()
        await self.store.write(partial(_keep_sent, notice=notice, now=now))
        _log.info("told", kind=notice.kind, channel=notice.channel, lead=notice.lead_id)

    async def _fail(self, notice: Notice, failure: str) -> None:
        now = self.now()
        _log.warning("not_told", kind=notice.kind, channel=notice.channel, tries=notice.tries, cause=failure)
        if now - notice.made_at > self._find_limit(notice):
            await self.store.write(
                lambda connection: drop(connection, notice, why=failure, now=now, to=_name_reader(notice))
            )
            _log.error("told_nobody", kind=notice.kind, channel=notice.channel, lead=notice.lead_id)
            return
        due_at = now + _SCHEDULE[min(notice.tries, len(_SCHEDULE)) - 1]
        await self.store.write(
            lambda connection: postpone(connection, notice, due_at=due_at, failure=failure)
        )

    @staticmethod
    def _find_limit(notice: Notice) -> timedelta:
        if notice.kind in OFFICE - {"landed"}:
            return timedelta.max
        return _GIVEN_UP_AFTER.get(notice.kind, _ALARMS_AFTER)


def _keep_sent(connection: Transaction, *, notice: Notice, now: datetime) -> None:
    note_sent(connection, notice, to=_name_reader(notice), now=now)
    if notice.kind == DIGEST:  # from now on what nobody releases may go by itself
        mark_named(connection, list_named(notice), now=now)


def _name_reader(notice: Notice) -> str:
    if notice.kind in OFFICE:
        return "office"
    return "visitor" if notice.kind == "receipt" else "operator"
