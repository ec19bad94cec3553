"""Retention: what has been kept long enough goes, every hour and when an operator says so."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial

from app.errors import StoreError
from app.forms.live import LiveForms
from app.forms.model import Forms, Retention
from app.log import get_logger
from app.store.receipts import find_expired, is_purge_due, purge_expired, take_purge
from app.store.store import Store

_log = get_logger("retention")

EVERY = timedelta(hours=1)
_LOOK_EVERY = timedelta(minutes=1)
# Leads to a transaction: visitors wait behind it for some milliseconds.
_BATCH = 50
_BREATH = 0.02


def list_retention(forms: Forms) -> dict[str, Retention]:
    return {name: form.privacy.retention for name, form in forms.forms.items()}


async def purge(store: Store, retention: Mapping[str, Retention]) -> int:
    """Until nothing is left that has been kept long enough; how many leads have gone. Raises StoreError."""
    count = 0
    find = partial(find_expired, retention=retention, limit=_BATCH)
    while found := await store.read(partial(find, now=store.now())):
        gone = 0
        for expired in found:
            gone += await store.write(partial(purge_expired, expired=expired, now=store.now()))
            await asyncio.sleep(_BREATH)
        if not gone:
            break
        count += gone
    return count


@asynccontextmanager
async def purging(store: Store, forms: LiveForms) -> AsyncIterator[None]:
    """Purges every hour while the block lasts, in one of the processes that share the store."""
    running = asyncio.create_task(_purge_hourly(store, forms))
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _purge_hourly(store: Store, forms: LiveForms) -> None:
    while True:
        try:
            # Asked by reading: an idle service lets its disk sleep.
            if await store.read(partial(is_purge_due, now=store.now(), every=EVERY)) and await store.write(
                partial(take_purge, now=store.now(), every=EVERY)
            ):
                await _purge_quietly(store, list_retention(forms.current))
        except StoreError as error:
            _log.error("purge_failed", cause=type(error).__name__)
        except Exception:  # noqa: BLE001 - a defect here must end neither accepting nor delivering
            _log.error("purge_failed", exc_info=True)
        await asyncio.sleep(_LOOK_EVERY.total_seconds())


async def _purge_quietly(store: Store, retention: Mapping[str, Retention]) -> None:
    if count := await purge(store, retention):
        await store.wipe()
        _log.info("leads_purged", leads=count)
