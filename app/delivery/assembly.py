"""Puts a worker together from the operator's terms."""

from collections.abc import Callable
from datetime import datetime
from random import Random, SystemRandom

from app.delivery.courier import Courier
from app.delivery.health import Health
from app.delivery.ledger import Ledger
from app.delivery.pace import Pace
from app.delivery.parcel import Terms
from app.delivery.upkeep import Upkeep
from app.delivery.worker import Worker
from app.forms.live import LiveForms
from app.store.store import Store
from app.vitec.client import VitecClient


def make_worker(
    *,
    store: Store,
    forms: LiveForms,
    client: VitecClient,
    terms: Terms,
    digest_password: Callable[[str], str],
    now: Callable[[], datetime],
    random: Random | None = None,
) -> Worker:
    random = random or SystemRandom()
    health = Health(store=store, now=now, random=random)
    ledger = Ledger(
        store=store,
        terms=terms,
        health=health,
        pace=Pace(terms.rate),
        digest_password=digest_password,
        now=now,
        random=random,
    )
    upkeep = Upkeep(
        forms=forms,
        client=client,
        health=health,
        digest_password=digest_password,
        probe_timeout=terms.timeout,
    )
    return Worker(store, Courier(forms=forms, client=client, ledger=ledger), upkeep, now=now)
