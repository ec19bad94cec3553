"""Looks in Vitec for a lead whose create may have arrived, and decides only on evidence."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import assert_never

from app.delivery.ledger import Ledger
from app.delivery.parcel import Parcel
from app.delivery.policy import next_look
from app.failpoints import reach
from app.forms.model import CallGroup, OnAmbiguous
from app.log import get_logger
from app.store.gates import close_gate, is_closed, is_known, open_gate
from app.store.reconciling import (
    MAX_UNKNOWN_CREATES,
    OpenCreate,
    ReadPath,
    find_owned,
    keep_canary,
    load_read_path,
)
from app.store.settling import (
    Adopted,
    CloseGate,
    Decision,
    Hold,
    LookAgain,
    NotCreated,
    Settlement,
    TryLater,
)
from app.vitec.answers import Answer, Forbidden, Misdirected, Readable, Unauthorized, classify_read
from app.vitec.client import VitecClient
from app.vitec.readings import carries_marker, parse_incoming, parse_lead_ids

_log = get_logger("delivery")

MAY_EXIST = "may exist in Vitec"
CANARY_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """The lead's ids in Vitec, oldest first; empty when it is not there."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Blind:
    """No evidence this time: ask again."""


@dataclass(frozen=True, slots=True)
class Barred:
    """Reading is refused."""

    closing: CloseGate | None
    """None when the gate was closed before."""


Look = Seen | Blind | Barred


@dataclass(slots=True, kw_only=True)
class Reconciler:
    client: VitecClient
    ledger: Ledger

    async def settle_unknown(self, parcel: Parcel, create: OpenCreate) -> None:
        """One look for a lead whose create is not known to have failed."""
        # Asked after the settle time only if that was over before the question was.
        due = create.deadline_at - create.started_at + self.ledger.terms.settle
        settled = create.observed >= due
        look = await self.look(
            parcel, contact_id=parcel.claim.contact_id or "", known=create.snapshot or frozenset()
        )
        reach("after_look")
        match look:
            case Seen(ids) if ids:
                await self._adopt(parcel, create, ids)
            case Seen():
                await self._weigh_absence(parcel, create, settled=settled, due=due)
            case Blind():
                await self._settle(parcel, self.ledger.later(parcel))
            case Barred(closing):
                await self._decide_unproven(parcel, create, "reading it back is refused", closing=closing)
            case _:
                assert_never(look)

    async def _adopt(self, parcel: Parcel, create: OpenCreate, ids: tuple[str, ...]) -> None:
        if len(ids) > 1:
            _log.error("lead_found_more_than_once", lead=parcel.claim.lead_id, times=len(ids))
        await self._settle(parcel, Adopted(attempt_id=create.attempt_id, vitec_lead_ids=ids))

    async def _weigh_absence(
        self, parcel: Parcel, create: OpenCreate, *, settled: bool, due: timedelta
    ) -> None:
        now = self.ledger.now()
        if not settled:
            at = next_look(now, deadline_at=create.deadline_at, remaining=due - create.observed)
            await self._settle(parcel, TryLater(at=at, spend_try=False))
        elif create.denied_at is None or create.observed <= create.denied_at:
            at = now + timedelta(seconds=2)
            await self._settle(parcel, LookAgain(attempt_id=create.attempt_id, at=at))
        elif create.snapshot is None:
            why = "the contact's leads could not be read before it was sent"
            await self._decide_unproven(parcel, create, why)
        elif (proven := await self.prove(parcel)) is None:
            await self._settle(parcel, self.ledger.later(parcel))
        elif not proven:
            why = "reading leads back is not proven for this customer"
            await self._decide_unproven(parcel, create, why)
        elif create.number >= MAX_UNKNOWN_CREATES:
            reason = f"not in Vitec after {create.number} creates of unknown outcome"
            await self._settle(parcel, Hold(reason=reason, not_created=create.attempt_id))
        else:
            await self._settle(
                parcel, NotCreated(attempt_id=create.attempt_id, why="looked for in vain, twice")
            )

    async def _decide_unproven(
        self, parcel: Parcel, create: OpenCreate, why: str, *, closing: CloseGate | None = None
    ) -> None:
        """Where looking is impossible the form says what is worse: a lead twice, or a human's minute."""
        decision: Decision
        if parcel.form.on_ambiguous is OnAmbiguous.RESEND and create.number < MAX_UNKNOWN_CREATES:
            decision = NotCreated(
                attempt_id=create.attempt_id,
                why=f"sent again by the form's choice: {why}",
                possible_duplicate=True,
            )
        else:
            decision = Hold(reason=f"{MAY_EXIST}: {why}")
        await self._settle(parcel, decision, closes=closing)

    async def look(self, parcel: Parcel, *, contact_id: str, known: frozenset[str]) -> Look:
        """The contact's leads but for those known before or owned by others, each read for the marker."""
        gate = parcel.gate(CallGroup.READ)
        if await self.ledger.store.read(
            partial(is_closed, key=gate, claim=parcel.claim, now=self.ledger.now())
        ):
            return Barred(None)
        answer = await self._ask(parcel, self.client.list_leads(parcel.login, parcel.customer_id, contact_id))
        barred = await self._find_bar(parcel, answer)
        await self._open_if_readable(parcel, answer)
        ids = parse_lead_ids(answer)
        if barred is not None or ids is None:
            return barred or Blind()
        fresh = [one for one in ids if one not in known]
        owned = await self.ledger.store.read(
            partial(find_owned, vitec_lead_ids=fresh, lead_id=parcel.claim.lead_id)
        )
        return await self._read_each(parcel, [one for one in fresh if one not in owned])

    async def _read_each(self, parcel: Parcel, candidates: Sequence[str]) -> Look:
        found: list[tuple[str, str]] = []
        for candidate in candidates:  # as many as the person has leads
            await self.ledger.go_on(parcel)
            answer = await self._ask(
                parcel, self.client.read_incoming(parcel.login, parcel.customer_id, candidate)
            )
            if answer.status == 404:
                continue  # a lead of another kind, which nobody sent in from outside
            if barred := await self._find_bar(parcel, answer):
                return barred
            incoming = parse_incoming(answer)
            if incoming is None:
                return Blind()
            if carries_marker(incoming, lead_id=parcel.lead.id, reference=parcel.lead.reference):
                found.append((incoming.sent_at, candidate))
        return Seen(tuple(candidate for _, candidate in sorted(found)))

    async def _ask(self, parcel: Parcel, call: Awaitable[Answer]) -> Answer:
        await self.ledger.pace.wait()
        answer = await call
        await self.ledger.health.record(parcel.login.base_url, answer, lead_id=parcel.claim.lead_id)
        return answer

    async def _find_bar(self, parcel: Parcel, answer: Answer) -> Barred | None:
        outcome = classify_read(answer)
        if isinstance(outcome, Unauthorized | Forbidden | Misdirected):
            status = answer.status or 0
            return Barred(await self.ledger.close_gate(parcel, CallGroup.READ, status))
        return None

    async def note_bar(self, parcel: Parcel, answer: Answer) -> None:
        """A reading that was refused, or allowed again, beside a lead that goes on regardless."""
        bar = await self._find_bar(parcel, answer)
        await self._open_if_readable(parcel, answer)
        if bar is None or (closing := bar.closing) is None:
            return
        now = self.ledger.now()
        await self.ledger.store.write(
            lambda connection: close_gate(
                connection,
                closing.key,
                parcel.claim,
                status=closing.status,
                probe_at=closing.probe_at,
                credential=closing.credential,
                now=now,
            )
        )

    async def _open_if_readable(self, parcel: Parcel, answer: Answer) -> None:
        gate = parcel.gate(CallGroup.READ)
        readable = isinstance(classify_read(answer), Readable)
        if readable and await self.ledger.store.read(partial(is_known, key=gate)):
            await self.ledger.store.write(partial(open_gate, key=gate))

    async def prove(self, parcel: Parcel) -> bool | None:
        """Whether the same calls find, at this moment, a lead that we delivered. None: they failed, ask again."""
        path = await self._load_path(parcel)
        if path is None:
            return False
        proven = await self._find_canary(parcel, path)
        if proven is not None:
            await self._keep_path(parcel, replace(path, checked_at=self.ledger.now()), proven=proven)
        return proven

    async def prove_by(self, parcel: Parcel, *, contact_id: str, vitec_lead_id: str) -> None:
        """After a delivery: reads it back, if that is not proven yet or was longer than a day ago."""
        now = self.ledger.now()
        path = await self._load_path(parcel)
        if path and path.proven_at and path.checked_at and now - path.checked_at < CANARY_EVERY:
            return
        gate = parcel.gate(CallGroup.READ)
        if await self.ledger.store.read(partial(is_closed, key=gate, claim=parcel.claim, now=now)):
            return
        fresh = ReadPath(
            contact_id=contact_id,
            vitec_lead_id=vitec_lead_id,
            lead_id=parcel.lead.id,
            reference=parcel.lead.reference,
            proven_at=path.proven_at if path else None,
            checked_at=now,
        )
        proven = await self._find_canary(parcel, fresh)
        if proven is not None:
            await self._keep_path(parcel, fresh, proven=proven)
        elif path is None:  # to be asked about after the next delivery
            await self._keep_path(parcel, replace(fresh, checked_at=None), proven=False)

    async def _find_canary(self, parcel: Parcel, path: ReadPath) -> bool | None:
        """None when nothing can be told: a timeout or a 500 is no evidence of blindness."""
        answer = await self._ask(
            parcel, self.client.list_leads(parcel.login, parcel.customer_id, path.contact_id)
        )
        ids = parse_lead_ids(answer)
        if ids is None:
            return _is_refused(answer)
        if path.vitec_lead_id not in ids:
            return False
        answer = await self._ask(
            parcel, self.client.read_incoming(parcel.login, parcel.customer_id, path.vitec_lead_id)
        )
        incoming = parse_incoming(answer)
        if incoming is None:
            return _is_refused(answer)
        return carries_marker(incoming, lead_id=path.lead_id, reference=path.reference)

    async def _load_path(self, parcel: Parcel) -> ReadPath | None:
        return await self.ledger.store.read(
            partial(
                load_read_path,
                base_url=parcel.login.base_url,
                login=parcel.login.name,
                customer_id=parcel.customer_id,
            )
        )

    async def _keep_path(self, parcel: Parcel, path: ReadPath, *, proven: bool) -> None:
        kept = replace(path, proven_at=self.ledger.now() if proven else None)
        if not proven:
            _log.warning("read_path_unproven", customer=parcel.customer_id, login=parcel.login.name)
        await self.ledger.store.write(
            partial(
                keep_canary,
                base_url=parcel.login.base_url,
                login=parcel.login.name,
                customer_id=parcel.customer_id,
                path=kept,
            )
        )

    async def _settle(self, parcel: Parcel, decision: Decision, *, closes: CloseGate | None = None) -> None:
        await self.ledger.settle(parcel.claim, Settlement(decision=decision, closes=closes))


def _is_refused(answer: Answer) -> bool | None:
    """False, that is not proven, for a plain no; None for what may be otherwise the next time."""
    refused = isinstance(classify_read(answer), Unauthorized | Forbidden | Misdirected)
    return False if refused or answer.status == 404 else None
