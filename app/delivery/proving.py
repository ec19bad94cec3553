"""Whether looking finds what is there: shown, for each login and customer, on a lead that was delivered."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from app.delivery.ledger import Ledger
from app.delivery.lookout import Barred, Blind, Gone, Lookout
from app.delivery.parcel import Parcel
from app.log import get_logger
from app.store.reconciling import ReadPath, find_canary, keep_canary, load_read_path
from app.vitec.readings import Incoming, carries_marker

_log = get_logger("delivery")

CANARY_EVERY = timedelta(days=1)


@dataclass(slots=True, kw_only=True)
class Prover:
    lookout: Lookout
    ledger: Ledger

    async def prove(self, parcel: Parcel) -> bool | None:
        """Whether the same calls find, at this moment, a lead that we delivered. None: they failed, ask again."""
        path = await self._load_path(parcel)
        if path is None:
            return False
        found = await self._find(parcel, path)
        if isinstance(found, Gone) and (other := await self._find_another(parcel, path)):
            await self.ledger.go_on(parcel)
            path, found = other, await self._find(parcel, other)
        if isinstance(found, Blind):
            return None
        proven = found is True
        await self._keep_path(parcel, replace(path, checked_at=self.ledger.now()), proven=proven)
        return proven

    async def prove_by(self, parcel: Parcel, *, contact_id: str, vitec_lead_id: str) -> None:
        """After a delivery: reads it back where that is not proven, was refused, or was longer than a day ago."""
        now = self.ledger.now()
        path = await self._load_path(parcel)
        is_recent = path and path.proven_at and path.checked_at and now - path.checked_at < CANARY_EVERY
        if is_recent and not await self.lookout.is_on_probation(parcel):
            return
        if await self.lookout.is_barred(parcel):
            return
        fresh = ReadPath(
            contact_id=contact_id,
            vitec_lead_id=vitec_lead_id,
            lead_id=parcel.lead.id,
            reference=parcel.lead.reference,
            proven_at=path.proven_at if path else None,
            checked_at=now,
        )
        found = await self._find(parcel, fresh)
        if isinstance(found, bool):
            await self.lookout.open_gate(parcel)
        if not isinstance(found, Blind | Gone):
            await self._keep_path(parcel, fresh, proven=found is True)
        elif path is None:  # to be asked about after the next delivery
            await self._keep_path(parcel, replace(fresh, checked_at=None), proven=False)

    async def _find(self, parcel: Parcel, path: ReadPath) -> bool | Gone | Blind | Barred:
        """A timeout or a 500 is no evidence of blindness, and a contact's own 404 none against others'."""
        ids = await self.lookout.list_leads(parcel, path.contact_id)
        if not isinstance(ids, tuple):
            return ids
        if path.vitec_lead_id not in ids:
            return False
        incoming = await self.lookout.read_incoming(parcel, path.vitec_lead_id)
        if not isinstance(incoming, Incoming):
            return False if isinstance(incoming, Gone) else incoming
        if carries_marker(incoming, lead_id=path.lead_id, reference=path.reference):
            return True
        return Gone() if incoming.is_anonymized else False

    async def _find_another(self, parcel: Parcel, path: ReadPath) -> ReadPath | None:
        """In the place of a canary whose contact an agent has merged or removed."""
        return await self.ledger.store.read(
            partial(
                find_canary,
                login=parcel.login.name,
                customer_id=parcel.customer_id,
                other_than=path.contact_id,
            )
        )

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
