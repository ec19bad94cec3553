"""A held lead put right by a person: its contact and its message, checked like a visitor's, and sent again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.errors import FieldError, LeadNotFound, OperatorError, SubmissionRefused
from app.forms.model import Form
from app.intake.correction import CORRECTABLE, correct, list_changes, read_typed
from app.intake.submission import choose_form_language
from app.lead import Enquiry, Lead, LeadState
from app.store.inbox import Whole, load_whole
from app.store.leads import write_body
from app.store.operator import decide_on, edit_lead
from app.store.words import Edit
from app.web.admin.backoffice import Backoffice, Visit
from app.web.problems import Refused
from app.web.routing import make_route
from app.web.security import NO_STORE


def can_be_corrected(whole: Whole, form: Form | None) -> bool:
    """Whether there is a form to check it by, and no create that may have reached Vitec; the store says so too."""
    unresolved = any(
        entry["kind"] == "attempt_create" and entry["outcome"] in {"open", "unknown"}
        for entry in whole.history
    )
    return whole.place.state is LeadState.HELD and None not in (whole.lead, form) and not unresolved


@dataclass(frozen=True, slots=True)
class Correction:
    backoffice: Backoffice

    def routes(self) -> list[Route]:
        guard = self.backoffice.guard
        return [make_route("/admin/leads/{id}/edit", GET=guard(self.show), POST=guard(self.act))]

    async def show(self, visit: Visit) -> Response:
        whole, _, lead = await self._load(visit)
        return self._show(visit, whole, typed=read_typed(lead), seen=_write_seen(whole))

    async def _load(self, visit: Visit) -> tuple[Whole, Form, Lead]:
        """Raises LeadNotFound, or Refused where there is nothing to correct any more."""
        name, customers = visit.request.path_params["id"], visit.user.customers
        whole = await self.backoffice.reception.store.read(
            partial(load_whole, name=name, customers=customers)
        )
        form = self.backoffice.reception.forms.find(whole.place.form)
        if form is None or whole.lead is None or not can_be_corrected(whole, form):
            raise Refused(404)
        return whole, form, whole.lead

    def _show(
        self,
        visit: Visit,
        whole: Whole,
        *,
        typed: Mapping[str, str],
        seen: str,
        errors: Sequence[FieldError] = (),
        problem: OperatorError | None = None,
    ) -> Response:
        return self.backoffice.show(
            visit,
            "admin/edit.html",
            status=422 if errors else 409 if problem else 200,
            place=whole.place,
            lead=whole.lead,
            names=CORRECTABLE,
            typed=typed,
            seen=seen,
            errors=errors,
            told={_find_place(error): error.detail for error in reversed(errors)},
            problem=problem,
        )

    async def act(self, visit: Visit) -> Response:
        whole, form, lead = await self._load(visit)
        given = {
            name: value.replace("\r\n", "\n").replace("\r", "\n")
            for name, value in (await visit.read_form()).items()
        }
        typed = {name: given.get(name, "") for name in CORRECTABLE}
        definition = self.backoffice.reception.define(form)
        language = choose_form_language(
            form, wanted=self.backoffice.choose_language(visit.request), accept_language=None
        )
        show = partial(self._show, visit, whole, typed=typed, seen=given.get("seen", ""))
        try:
            corrected = correct(lead, typed, definition, language=language)
            held_since = datetime.fromisoformat(given.get("seen", ""))
            await self._keep(visit, lead, corrected, held_since=held_since)
        except SubmissionRefused as refused:
            return show(errors=refused.errors)
        except ValueError:
            raise Refused(400) from None
        except LeadNotFound:
            raise
        except OperatorError as error:
            return show(problem=error)
        return RedirectResponse(f"/admin/leads/{lead.id}?done=edited", 303, NO_STORE)

    async def _keep(self, visit: Visit, lead: Lead, corrected: Enquiry, *, held_since: datetime) -> None:
        digests, contact = self.backoffice.digests, corrected.contact
        edit = Edit(
            held_since=held_since,
            body=write_body(corrected),
            email_key=digests.of_email(contact.email) if contact.email else None,
            phone_key=digests.of_phone(contact.phone) if contact.phone else None,
            fields=list_changes(lead, corrected),
        )
        store = self.backoffice.reception.store
        await store.write(
            partial(
                decide_on,
                name=lead.id,
                decide=partial(edit_lead, edit=edit, locate=self.backoffice.reception.forms.locate),
                customers=visit.user.customers,
                now=self.backoffice.reception.now(),
                actor=visit.actor,
            )
        )
        store.wake()


def _write_seen(whole: Whole) -> str:
    return whole.place.state_at.isoformat()


def _find_place(error: FieldError) -> str:
    """The field under which an error stands: a form may ask for the whole name in one."""
    return "firstName" if error.field == "name" else error.field
