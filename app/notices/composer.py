"""From a notice to its letter, written when it is sent: what is no longer so is not told."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from app.errors import KeyMissing, LeadNotFound
from app.forms.live import LiveForms
from app.lead import LeadState
from app.log import get_logger
from app.notices.digest import DIGEST, write_digest
from app.notices.letter import Letter
from app.notices.mailer import NotSent
from app.notices.office import Case, OfficeDesk
from app.notices.operator import MANNERS, write_alarm
from app.notices.visitor import write_receipt
from app.store.leads import find_status, load_lead
from app.store.notices import Notice, drop
from app.store.store import Store

_log = get_logger("notices")

_STATES = {
    "held": {LeadState.HELD},
    "late": {LeadState.PENDING, LeadState.HELD},
    "landed": {LeadState.DELIVERED},
    "reminder": {LeadState.PENDING, LeadState.HELD},
    "receipt": {LeadState.PENDING, LeadState.HELD, LeadState.DELIVERED},
}
"""Those of a lead in which there is something to tell."""

_OVER = "there was nothing to tell any more"
_NOBODY = "there is no address to send it to"

OFFICE = frozenset({"held", "late", "landed", "reminder"})
"""What offices are told."""


@dataclass(slots=True, kw_only=True)
class Composer:
    store: Store
    forms: LiveForms
    office: OfficeDesk
    alert_email: str | None
    now: Callable[[], datetime]

    async def write(self, notice: Notice) -> Letter | None:
        """None when there is nothing to send; the notice is settled then. Raises NotSent."""
        if notice.kind in MANNERS or notice.kind == DIGEST:
            letter = self._write_to_operator(notice)
        else:
            cases = [case for lead_id in _list_leads(notice) if (case := await self._load(notice, lead_id))]
            if not cases:
                await self._drop(notice, _OVER)
                return None
            letter = self._write_about(notice, cases)
        if letter is None and notice.kind in OFFICE:
            raise NotSent(_NOBODY)  # the file may name one tomorrow
        if letter is None:
            await self._drop(notice, _NOBODY)
        return letter

    def _write_to_operator(self, notice: Notice) -> Letter | None:
        if self.alert_email is None:
            return None
        write = write_digest if notice.kind == DIGEST else write_alarm
        return write(notice, to=self.alert_email)

    def _write_about(self, notice: Notice, cases: list[Case]) -> Letter | None:
        match notice.kind:
            case "reminder":
                return self.office.write_reminder(notice, cases)
            case "landed":
                return self.office.write_landed(cases[0])
            case "receipt":
                lead = cases[0].lead
                form = self.forms.find(lead.form)
                office = self.office.find_office(lead.form, lead.receiver)
                return write_receipt(lead, form, office=office) if form and form.receipt else None
        return self.office.write_lead(notice, cases[0])

    async def _load(self, notice: Notice, lead_id: str) -> Case | None:
        status = await self.store.read(partial(find_status, lead_id=lead_id))
        if status is None or status.state not in _STATES[notice.kind]:
            return None
        try:
            lead = await self.store.read(partial(load_lead, lead_id=lead_id))
        except KeyMissing as error:
            if notice.kind == "reminder":  # the others are told of all the same
                return None
            raise NotSent(f"it is encrypted with key {error.name}, which is missing") from None
        except (ValueError, LeadNotFound):
            _log.error("lead_unreadable", lead=lead_id)
            return None
        return Case(lead=lead, reason=status.reason)

    async def _drop(self, notice: Notice, why: str) -> None:
        now = self.now()
        await self.store.write(lambda connection: drop(connection, notice, why=why, now=now))


def _list_leads(notice: Notice) -> list[str]:
    return [notice.lead_id] if notice.lead_id else list(notice.detail.get("leads", ()))
