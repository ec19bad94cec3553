"""A store, a sandbox behind a real socket, and a courier between them, with a clock that a test moves."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from app.delivery.assembly import make_worker
from app.delivery.courier import Courier
from app.delivery.parcel import Terms
from app.delivery.upkeep import Upkeep
from app.delivery.worker import Worker
from app.forms.live import LiveForms
from app.forms.model import Form, Forms, Login, Password
from app.forms.reader import read_forms
from app.intake.accept import INNOCENT, Acceptor, Verdict
from app.intake.definition import Definition
from app.intake.digests import Digests
from app.intake.submission import Circumstances, check_submission
from app.lead import LeadState
from app.sandbox.config import AGENT, LEAD_SOURCE
from app.sandbox.faults import FaultOrder
from app.store.claiming import claim_next
from app.store.history import load_history
from app.store.leads import find_status
from app.store.place import Place
from app.store.queues import Selection
from app.store.store import Store
from app.store.words import Claim, LeadStatus
from app.vitec.client import VitecClient
from tests.databases import lay_out
from tests.sandboxes import CUSTOMER, LOGIN, Running

SCHEDULE = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600))

ANNA = {
    "firstName": "Anna",
    "lastName": "Bergström",
    "email": "anna@example.com",
    "phone": "070-174 06 05",
    "message": "Vi vill sälja.",
    "utm_source": "google",
    "pageUrl": "https://agency.example/salja",
}


def make_login(base_url: str, **changes: Any) -> Login:
    return Login(
        **{
            "name": "default",
            "username": LOGIN[0],
            "password": Password(value=LOGIN[1]),
            "base_url": base_url,
            **changes,
        }
    )


def make_forms(folder: Path, login: Login | None, text: str = "") -> Forms:
    path = folder / "forms.toml"
    path.write_text(
        text
        or f"""
        [forms.kontakt]
        customer_id = "{CUSTOMER}"
        assigned_to_id = "{AGENT}"
        lead_source_id = "{LEAD_SOURCE}"
        """,
        encoding="utf-8",
    )
    return read_forms(path, default_login=login, environ={})


_PLACE: ContextVar[Path | str | None] = ContextVar("_PLACE", default=None)


@contextmanager
def placing_stores(place: Path | str) -> Iterator[None]:
    """Where the rigs of a test keep their leads, unless they say otherwise."""
    before = _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(before)


@dataclass(slots=True, kw_only=True)
class Rig:
    store: Store
    sandbox: Running
    forms: LiveForms
    worker: Worker
    moment: datetime
    verdict: Verdict = INNOCENT
    """On what is submitted from now on."""
    _serial: int = field(default=0)

    @property
    def courier(self) -> Courier:
        return self.worker.courier

    @property
    def upkeep(self) -> Upkeep:
        return self.worker.upkeep

    def now(self) -> datetime:
        return self.moment

    def pass_time(self, **duration: float) -> None:
        self.moment += timedelta(**duration)

    def form(self, name: str = "kontakt") -> Form:
        form = self.forms.find(name)
        assert form is not None
        return form

    async def submit(self, form: str = "kontakt", **changes: Any) -> str:
        """A new lead's id."""
        self._serial += 1
        found = self.form(form)
        enquiry = check_submission(
            {**ANNA, **changes},
            Definition(found),
            self.forms.current,
            circumstances=Circumstances(now=self.moment),
        )
        acceptor = Acceptor(self.store, Digests(b"0" * 32))
        kept = await acceptor.accept(
            enquiry, found, self.forms.current, now=self.moment, verdict=self.verdict
        )
        return kept.lead_id

    async def claim(self, *, suspects: bool = False) -> Claim | None:
        leased_until = self.moment + self.courier.terms.lease
        selection = Selection(suspects=suspects)
        return await self.store.write(
            partial(claim_next, now=self.moment, leased_until=leased_until, selection=selection)
        )

    async def live(self, *, seconds: float, until: LeadState | None = None, lead_id: str = "") -> None:
        """Lets observed time pass, a second at a time, with every turn that falls due."""
        for _ in range(int(seconds)):
            self.pass_time(seconds=1)
            await self.upkeep.do_once()
            while await self.turn():
                pass
            if until is not None and (await self.status(lead_id)).state is until:
                return

    async def turn(self) -> bool:
        """One lead's turn, if one is due."""
        claim = await self.claim()
        if claim is not None:
            await self.courier.deliver(claim)
        return claim is not None

    async def status(self, lead_id: str) -> LeadStatus:
        found = await self.store.read(partial(find_status, lead_id=lead_id))
        assert found is not None
        return found

    async def history(self, lead_id: str) -> list[dict[str, Any]]:
        return await self.store.read(partial(load_history, lead_id=lead_id))

    def fault(self, name: str, **order: Any) -> None:
        self.sandbox.app.state.board.set([FaultOrder.model_validate({"name": name, **order})])

    def clear_faults(self) -> None:
        self.sandbox.app.state.board.clear()

    def copies(self, lead_id: str) -> int:
        """How often Vitec has the lead."""
        return sum(("leadgate", lead_id) in lead.utm_tags for lead in self.vitec_leads)

    @property
    def vitec_leads(self) -> Sequence[Any]:
        return list(self.sandbox.app.state.world.leads)

    @property
    def vitec_contacts(self) -> Sequence[Any]:
        return list(self.sandbox.app.state.world.contacts)

    def calls(self, operation: str | None = None) -> int:
        calls = self.sandbox.app.state.world.calls
        return sum(1 for call in calls if operation in {None, call.operation})


@asynccontextmanager
async def open_rig(
    folder: Path,
    sandbox: Running,
    *,
    deadline: float = 2.0,
    wire_format: Any = "json",
    text: str = "",
    base_url: str | None = None,
    settle: float = 900,
    concurrency: int = 1,
    place: Place | Path | str | None = None,
) -> AsyncIterator[Rig]:
    sandbox.app.state.world.reset()
    sandbox.app.state.board.clear()
    store = Store(place or _PLACE.get() or lay_out(folder / "leadgate.db"))
    store.open()
    client = VitecClient(timeout=timedelta(seconds=deadline), wire_format=wire_format)
    forms = LiveForms(make_forms(folder, make_login(base_url or sandbox.url), text))
    worker = make_worker(
        store=store,
        forms=forms,
        client=client,
        terms=Terms(
            timeout=timedelta(seconds=deadline),
            schedule=SCHEDULE,
            settle=timedelta(seconds=settle),
            rate=1000,
            concurrency=concurrency,
        ),
        digest_password=Digests(b"0" * 32).of_password,
        now=lambda: rig.moment,
        random=Random(7),
    )
    rig = Rig(
        store=store,
        sandbox=sandbox,
        forms=forms,
        worker=worker,
        moment=datetime(2026, 9, 1, 8, 0, tzinfo=UTC),
    )
    try:
        yield rig
    finally:
        await client.aclose()
        store.close()
