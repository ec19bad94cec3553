"""What goes on beside the leads: observed time, changed passwords, deserted gates, and how an ill destination is."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from app.delivery.health import Health, lacks_password
from app.delivery.ledger import digest_credential
from app.errors import StoreError
from app.forms.live import LiveForms
from app.forms.model import Login
from app.log import get_logger
from app.store.circuits import begin_trying, forget_circuits, take_probe
from app.store.clockstep import NOTABLE, follow_step
from app.store.gates import forget_gate, list_gates, probe_gate
from app.store.queues import forget_deserted_gates, list_deserted_gates
from app.store.reconciling import has_unresolved, tick
from app.store.words import GateKey
from app.vitec.answers import Answer
from app.vitec.client import VitecClient
from app.vitec.guard import read_boot_clock

_log = get_logger("delivery")

EVERY = timedelta(seconds=1)
_CREDENTIALS_EVERY = 5
_FORGET_EVERY = 60


@dataclass(slots=True, kw_only=True)
class Upkeep:
    forms: LiveForms
    client: VitecClient
    health: Health
    digest_password: Callable[[str], str]
    probe_timeout: timedelta
    _round: int = 0
    _offset: datetime | None = None
    """What the clock showed, less the seconds since the machine started."""

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.do_once()
            except StoreError as error:
                _log.error("upkeep_failed", cause=type(error).__name__)
            await asyncio.sleep(EVERY.total_seconds())

    async def do_once(self) -> None:
        await self._watch_clock()
        store, now = self.health.store, self.health.now()
        # Nothing is written while nothing is unresolved: an idle service lets its disk sleep.
        if await store.read(has_unresolved):
            await store.write(lambda connection: tick(connection, now=now))
        await self.health.refresh()
        await self._probe_destinations()
        if self._round % _CREDENTIALS_EVERY == 0:
            await self._notice_changed_logins()
            await self._forget_deserted_gates()
        if self._round % _FORGET_EVERY == 0 and self.health.circuits:
            used = list_addresses(self.forms)
            await store.write(lambda connection: forget_circuits(connection, used=used, now=now))
        self._round += 1

    async def _watch_clock(self) -> None:
        """Against the seconds since the machine started, which no hand sets."""
        now, steady = self.health.now(), timedelta(seconds=read_boot_clock())
        offset = now - steady
        back = (self._offset or offset) - offset
        if back > NOTABLE:
            await self.health.store.write(partial(follow_step, back=back, now=now))
        self._offset = offset  # not before it is followed: what cannot be written is tried again

    async def _probe_destinations(self) -> None:
        """One cheap reading by one worker; whatever is answered, it is answering again."""
        now = self.health.now()
        for base_url, circuit in self.health.circuits.items():
            if circuit.state != "open" or circuit.until > now:
                continue
            take = partial(take_probe, base_url=base_url, now=now, until=now + self.probe_timeout)
            if await self.health.store.write(take):
                await self._probe(base_url)

    async def _probe(self, base_url: str) -> None:
        answer = await self._ask(base_url)
        store, now = self.health.store, self.health.now()
        if answer is None or (answer.status is not None and answer.status < 500 and answer.status != 429):
            await store.write(lambda connection: begin_trying(connection, base_url, now=now))
            _log.info("circuit_trying", destination=base_url)
        else:
            await self.health.reopen(base_url, answer)
        await self.health.refresh()

    async def _ask(self, base_url: str) -> Answer | None:
        """What it answers to the first who can ask; None where nobody can, and the next lead has to find out."""
        for login, customer_id in _list_customers(self.forms, base_url):
            answer = await self.client.get_offices(login, customer_id)
            if not lacks_password(answer):
                return answer
        return None

    async def _notice_changed_logins(self) -> None:
        """Changed credentials probe at once; at another address nothing has been refused yet."""
        for gate in await self.health.store.read(list_gates):
            login = self.forms.current.logins.get(gate.key.login)
            if login is None:
                continue
            if login.base_url != gate.key.base_url:
                await self.health.store.write(partial(forget_gate, key=gate.key))
                _note_forgotten(gate.key)
                continue
            digest = digest_credential(login, gate.key.call_group, self.digest_password)
            now = self.health.now()
            if digest and digest != gate.credential and gate.probe_at > now:
                await self.health.store.write(partial(probe_gate, key=gate.key, credential=digest, now=now))
                _log.info("gate_probed_with_new_password", login=login.name, customer=gate.key.customer_id)

    async def _forget_deserted_gates(self) -> None:
        """A customer or login that the forms file names no more is refused for ever, and nobody cares."""
        store = self.health.store
        if not await store.read(list_gates):
            return
        accounts = self.forms.current.accounts()
        if await store.read(partial(list_deserted_gates, accounts=accounts)):
            for key in await store.write(partial(forget_deserted_gates, accounts=accounts)):
                _note_forgotten(key)


def _note_forgotten(key: GateKey) -> None:
    _log.info("gate_forgotten", login=key.login, customer=key.customer_id, group=key.call_group.value)


def list_logins(forms: LiveForms) -> Mapping[str, frozenset[str]]:
    """The logins of each destination."""
    found: dict[str, set[str]] = defaultdict(set)
    for login in forms.current.logins.values():
        found[login.base_url].add(login.name)
    return {base_url: frozenset(names) for base_url, names in found.items()}


def list_addresses(forms: LiveForms) -> frozenset[str]:
    """Where leads may go."""
    current = forms.current
    logins = (current.logins.get(account.login) for account in current.accounts())
    return frozenset(login.base_url for login in logins if login is not None)


def _list_customers(forms: LiveForms, base_url: str) -> Iterator[tuple[Login, str]]:
    """Whom to ask for there, one for each login: the forms' own first, then those that receivers name."""
    current = forms.current
    own = (form.destination.account for form in current.forms.values())
    asked = set()
    for account in (*own, *current.accounts()):
        login = current.logins.get(account.login)
        if login is not None and login.base_url == base_url and login.name not in asked:
            asked.add(login.name)
            yield login, account.customer_id
