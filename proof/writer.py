"""The real writer, to be cut off: accepts leads, and says of each that it is kept as soon as it is told so.

`python -m proof.writer DATABASE ACKNOWLEDGED LEADS SYNCHRONOUS`
"""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from app.lead import Contact, Enquiry
from app.store.leads import write_body
from app.store.sqlite import _WRITER_PRAGMAS
from app.store.store import Store
from app.store.words import NewLead

# Enough for some commits to hold several leads, and others one.
_SENDERS = 3

SYNCHRONOUS = {"off": 0, "normal": 1, "full": 2}


def main(database: str, acknowledged: str, leads: str, synchronous: str) -> None:
    """Other than `full`, it weakens the product's own pragma: a planted fault, to see that it is seen."""
    _WRITER_PRAGMAS["synchronous"] = SYNCHRONOUS[synchronous]
    said = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    store = Store(Path(database), reserve=0)
    store.open()
    asyncio.run(_accept(store, int(leads), said))
    store.close()


async def _accept(store: Store, leads: int, said: int) -> None:
    numbers = iter(range(leads))

    async def send() -> None:
        for number in numbers:
            kept = await store.accept(_make_lead(number))
            os.write(said, f"{kept.lead_id}\n".encode())

    await asyncio.gather(*(send() for _ in range(_SENDERS)))


def _make_lead(number: int) -> NewLead:
    # A long message now and then, so that the log outgrows a checkpoint and starts anew.
    message = f"{number} " * (1000 if number % 4 == 0 else 10)
    enquiry = Enquiry(language="sv", contact=Contact(first_name="Anna"), message=message)
    return NewLead(
        form="kontakt",
        received_at=datetime.now(UTC),
        body=write_body(enquiry),
        fingerprint=f"f{number}",
        email_key=f"e{number}",
        phone_key=None,
        idempotency_key=f"k{number}",
        body_fingerprint=f"b{number}",
        customer_id="M1",
        login="default",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
