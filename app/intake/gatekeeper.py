"""Whether a submission is let in at once, asked for some work first, or shown to a human; and how many."""

import asyncio
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app import tally
from app.errors import FieldError, LeadgateError
from app.forms.model import PROOF, Form, Forms
from app.i18n import describe_error, get_translations
from app.intake.accept import Acceptor, Key, Verdict
from app.intake.callers import Caller
from app.intake.limits import Limiter, LimitReached, Place
from app.intake.proof import NOTHING, Answer, Challenger, Work
from app.intake.spam import PageSigns, Scorer
from app.lead import Enquiry, LeadState
from app.store.words import Acceptance, Suspicion


class ChallengeRequired(LeadgateError):
    """The submission is kept once the caller has done some work. Nothing was kept yet."""

    def __init__(self, challenge: dict[str, Any], error: FieldError) -> None:
        self.challenge = challenge
        self.error = error
        super().__init__("work is asked for")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """How a submission came, beside what it says."""

    caller: Caller
    page: PageSigns | None = None
    proof: object = None
    """The field `altcha` as it came."""
    can_work: bool = False
    """Whether whoever sent it knows what to do with a challenge. Others are never asked."""


class Gatekeeper:
    """Stands before the acceptor. To be used from one event loop."""

    def __init__(self, acceptor: Acceptor, *, limiter: Limiter, challenger: Challenger) -> None:
        self._acceptor = acceptor
        self._limiter = limiter
        self._challenger = challenger
        self._scorers: dict[str, Scorer] = {}

    async def let_in(
        self,
        enquiry: Enquiry,
        form: Form,
        forms: Forms,
        *,
        approach: Approach,
        now: datetime,
        key: Key | None = None,
        body: Any = None,
    ) -> Acceptance:
        """Returns when the lead is on disk, be it in quarantine.

        Raises ChallengeRequired or LimitReached before anything is kept, and what Acceptor.accept raises. What
        was kept before is neither asked for work nor held to a limit.
        """
        verdict = await self._judge(enquiry, form, approach, now=now)
        if verdict is None:
            if not await self._is_known(form, key):
                raise await self._ask_for_work(form, enquiry.language, now=now)
            verdict = Verdict(quarantined=True, suspicion=Suspicion(0, ("replayed",)))
        with await self._hold_place(form, approach.caller, key, now=now) as place:
            kept = await self._acceptor.accept(
                enquiry, form, forms, now=now, key=key, body=body, verdict=verdict
            )
            place.counted = not kept.replayed
        if verdict.suspicion is not None and not kept.replayed:
            _count(verdict.suspicion, kept, form)
        return kept

    async def _judge(
        self, enquiry: Enquiry, form: Form, approach: Approach, *, now: datetime
    ) -> Verdict | None:
        """None where work is to be asked for."""
        too_many = self._limiter.notice(approach.caller, now=now)
        found = self._find_scorer(form).score(enquiry, page=approach.page, too_many=too_many)
        score, limits = found.score if found else 0, form.spam
        if score < min(limits.challenge_at, limits.quarantine_at):
            return Verdict(suspicion=found)
        suspicion = found or Suspicion(0, ("every_lead",))
        if score >= limits.quarantine_at:
            return Verdict(suspicion=suspicion, quarantined=True)
        answer = await self._check_work(form, approach.proof, now=now)
        if answer.work is Work.DONE:
            return Verdict(suspicion=suspicion, proof=answer.proof)
        if answer.work is Work.NOT_DONE:
            suspicion = replace(suspicion, reasons=(*suspicion.reasons, "proof_invalid"))
        elif approach.can_work:
            return None
        return Verdict(suspicion=suspicion, quarantined=True)

    def _find_scorer(self, form: Form) -> Scorer:
        known = self._scorers.get(form.name)
        if known is None or known.form is not form:
            known = self._scorers[form.name] = Scorer(form)
        return known

    async def _check_work(self, form: Form, payload: object, *, now: datetime) -> Answer:
        if payload is None:
            return NOTHING
        return await asyncio.to_thread(self._challenger.check, payload, form, now=now)

    async def _ask_for_work(self, form: Form, language: str, *, now: datetime) -> ChallengeRequired:
        challenge = await asyncio.to_thread(self._challenger.issue, form, now=now)
        code = "proof_required"
        detail = describe_error(code, translations=get_translations(language), label=PROOF)
        return ChallengeRequired(challenge, FieldError(field=PROOF, code=code, detail=detail))

    async def _hold_place(
        self, form: Form, caller: Caller, key: Key | None, *, now: datetime
    ) -> AbstractContextManager[Place]:
        try:
            return self._limiter.hold_place(caller, form.name, now=now)
        except LimitReached:
            if not await self._is_known(form, key):
                raise
            return nullcontext(Place(limiter=self._limiter, names=(), items=(), at=now))

    async def _is_known(self, form: Form, key: Key | None) -> bool:
        return key is not None and await self._acceptor.is_known(form, key)


def _count(suspicion: Suspicion, kept: Acceptance, form: Form) -> None:
    if kept.state is LeadState.QUARANTINED:
        tally.QUARANTINED.add(form.name)
    for reason in suspicion.reasons:
        tally.SPAM_SIGNS.add(reason.partition(":")[0])
