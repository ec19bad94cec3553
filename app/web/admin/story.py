"""One lead: what was sent in, its whole way, and what a person may do about it."""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.errors import LeadNotFound, OperatorError, StoreUnavailable
from app.forms.model import Form, Mode
from app.i18n import get_translations
from app.lead import Destination, Lead, LeadState
from app.store.erasure import Remains, erase_for
from app.store.inbox import load_whole
from app.store.operator import Decide, confirm_in_vitec, decide_on, discard_lead, release_lead, retry_lead
from app.web.admin.backoffice import Backoffice, Visit
from app.web.admin.correction import can_be_corrected
from app.web.admin.timeline import tell_story
from app.web.problems import Refused
from app.web.routing import make_route
from app.web.security import NO_STORE

ACTIONS: dict[str, frozenset[LeadState]] = {
    "retry": frozenset({LeadState.HELD, LeadState.PENDING}),
    "release": frozenset({LeadState.QUARANTINED}),
    "confirm": frozenset({LeadState.HELD}),
    "erase": frozenset(LeadState),
    "discard": frozenset({LeadState.HELD, LeadState.PENDING, LeadState.QUARANTINED}),
}
"""What may be done, and in which states: the store has the last word."""

DONE = {
    "retry": "retried",
    "release": "released",
    "confirm": "confirmed",
    "discard": "discarded",
}

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Story:
    backoffice: Backoffice

    def routes(self) -> list[Route]:
        guard = self.backoffice.guard
        return [
            make_route("/admin/leads/{id}", GET=guard(self.show)),
            make_route("/admin/leads/{id}/{action}", POST=guard(self.act)),
        ]

    async def show(self, visit: Visit) -> Response:
        return await self._show(visit)

    async def _show(
        self,
        visit: Visit,
        *,
        status: int = 200,
        problem: OperatorError | None = None,
        remains: Remains | None = None,
    ) -> Response:
        store = self.backoffice.reception.store
        name, customers = visit.request.path_params["id"], visit.user.customers
        whole = await store.read(partial(load_whole, name=name, customers=customers))
        translations = get_translations(self.backoffice.choose_language(visit.request))
        form = self.backoffice.reception.forms.find(whole.place.form)
        return self.backoffice.show(
            visit,
            "admin/lead.html",
            status=status,
            place=whole.place,
            lead=whole.lead,
            form=form,
            steps=tell_story(whole.lead, whole.history, translations.gettext),
            actions=[
                name
                for name, states in ACTIONS.items()
                if whole.place.state in states and whole.place.purged_at is None
            ],
            correctable=can_be_corrected(whole, form),
            testing=form is not None and form.mode is Mode.TEST,
            destination=self._find_destination(visit, form, whole.lead),
            contact_id=_find_contact_id(whole.history),
            done="erased" if remains else _read_done(visit.request),
            problem=problem,
            remains=remains,
        )

    def _find_destination(self, visit: Visit, form: Form | None, lead: Lead | None) -> Destination | None:
        """By today's forms file, which may name another customer; what was sent is what the history says."""
        if form is None or lead is None:
            return None
        found = self.backoffice.reception.forms.current.destination(form, lead.receiver)
        return found if visit.user.sees(found.customer_id) else None

    async def act(self, visit: Visit) -> Response:
        action = visit.request.path_params["action"]
        if action not in ACTIONS:
            raise Refused(404)
        if action == "erase":
            return await self._erase(visit)
        given = await visit.read_form()
        store, now = self.backoffice.reception.store, self.backoffice.reception.now()
        job = partial(
            decide_on,
            name=visit.request.path_params["id"],
            decide=self._choose(action, reason=given.get("reason", "")[:LONGEST_REASON]),
            customers=visit.user.customers,
            now=now,
            actor=visit.actor,
        )
        try:
            lead_id = await store.write(job)
        except LeadNotFound:
            raise
        except OperatorError as error:
            return await self._show(visit, status=409, problem=error)
        store.wake()
        return RedirectResponse(f"/admin/leads/{lead_id}?done={DONE[action]}", 303, NO_STORE)

    async def _erase(self, visit: Visit) -> Response:
        """Answers with the page itself: what is to be done by hand in Vitec is known at this moment alone."""
        store = self.backoffice.reception.store
        job = partial(
            erase_for,
            name=visit.request.path_params["id"],
            customers=visit.user.customers,
            now=self.backoffice.reception.now(),
            actor=visit.actor,
        )
        try:
            remains = await store.write(job)
        except LeadNotFound:
            raise
        except OperatorError as error:
            return await self._show(visit, status=409, problem=error)
        with suppress(StoreUnavailable):  # it is erased; what the log still holds goes with the next purge
            await store.wipe()
        return await self._show(visit, remains=remains)

    def _choose(self, action: str, *, reason: str) -> Decide:
        match action:
            case "retry":
                return partial(retry_lead, locate=self.backoffice.reception.forms.locate)
            case "release":
                forms = self.backoffice.reception.forms
                testing = [name for name, form in forms.current.forms.items() if form.mode is Mode.TEST]
                return partial(release_lead, testing=testing, locate=forms.locate)
            case "confirm":
                return confirm_in_vitec
            case _:
                return partial(discard_lead, reason=reason)


def _find_contact_id(history: list[dict[str, Any]]) -> str | None:
    found = [
        entry["vitecId"] for entry in history if entry["kind"] == "attempt_contact" and entry.get("vitecId")
    ]
    return found[-1] if found else None


def _read_done(request: Request) -> str | None:
    done = request.query_params.get("done")
    return done if done in {*DONE.values(), "edited"} else None
