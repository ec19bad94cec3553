"""A store that has a past: leads that wait, or were delivered long ago."""

import hashlib
import json
import os
import sqlite3
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.identity import IdentitySource
from app.lead import Contact, Enquiry
from app.store.acceptance import accept_all
from app.store.leads import write_body
from app.store.migrate import upgrade
from app.store.sqlite import open_writer
from app.store.words import NewLead

_BATCH = 1000
_MESSAGE = "Hej! Vi funderar på att sälja vår lägenhet på Storgatan 12 och undrar när ni kan komma förbi. "


def fill(path: Path, number: int, *, delivered: bool) -> None:
    """Leads of the last days, a minute apart where they were delivered. By the store's own hand, without its syncs."""
    engine, identities = open_writer(path), IdentitySource()
    with engine.connect() as connection:
        upgrade(connection)
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA synchronous = OFF")
    with ExitStack() as held:
        held.callback(engine.dispose)
        now = datetime.now(UTC)
        for first in range(0, number, _BATCH):
            news = [
                _make_lead(n, now - timedelta(seconds=number - n))
                for n in range(first, min(first + _BATCH, number))
            ]
            with engine.begin() as connection:
                accept_all(connection, news, identities)
                if delivered:
                    _settle(connection.connection.driver_connection)
    os.sync()  # not while something is measured


def _make_lead(number: int, received_at: datetime) -> NewLead:
    contact = Contact(first_name="Anna", last_name=f"Berg {number}", email=f"anna{number}@example.com")
    key = hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()
    return NewLead(
        form="kontakt",
        received_at=received_at,
        body=write_body(Enquiry(language="sv", contact=contact, message=_MESSAGE * 2)),
        fingerprint=key,
        email_key=key,
        phone_key=key[::-1],
        customer_id="M12345",
        login="default",
    )


def _settle(driver: object) -> None:
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(
        "UPDATE outbox SET state = 'delivered', vitec_lead_id = 'L' || substr(lead_id, 20),"
        " delivered_at = state_at + 1000000, next_attempt_at = NULL WHERE state = 'pending'"
    )


def read_deliveries(path: Path) -> list[tuple[float, float]]:
    """When each delivered lead was received and when it was known to be in Vitec, in seconds, in that order."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT received_at, delivered_at FROM outbox JOIN leads ON id = lead_id"
            " WHERE state = 'delivered' ORDER BY delivered_at"
        ).fetchall()
    return [(received / 1e6, delivered / 1e6) for received, delivered in rows]


def write_forms(folder: Path) -> None:
    """One form, to somebody whom Vitec's stand-in knows."""
    form = {
        "customer_id": "M12345",
        "assigned_to_id": "HAN0B5E2D7C41A84F0E9C6D3A1F72E85B90",
        "lead_source_id": "LKA1",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in form.items()]
    (folder / "forms.toml").write_text("\n".join(["[forms.kontakt]", *lines, ""]), encoding="utf-8")
