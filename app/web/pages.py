"""The visitor's pages: the form, its answer, and the thanks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from app import tally
from app.errors import FieldError, KeyMissing, LeadNotFound, StoreUnavailable, SubmissionRefused
from app.forms.model import FieldType, Form
from app.i18n import choose_language, describe_masked, describe_suggestion, get_translations
from app.identity import write_reference
from app.intake.accept import Key
from app.intake.attribution import LANDING_REFERRER
from app.intake.gatekeeper import Approach
from app.intake.html_form import Unfolded, unfold
from app.intake.limits import LimitReached
from app.intake.people import suggest_email
from app.intake.spam import PageSigns, Token
from app.intake.submission import MASKED, TYPO_LIKELY, check_submission
from app.intake.text import mask_identity_numbers
from app.lead import Lead, Note
from app.store.leads import find_status, load_lead
from app.store.words import Acceptance
from app.web.api import LEAD_ID
from app.web.bodies import read_form
from app.web.compression import COMPRESSED, PACKED, takes_gzip
from app.web.preferences import asks_for_json
from app.web.problems import RETRY_AFTER, Problem, Refused, retry_after
from app.web.reception import Reception, host_of
from app.web.refusals import is_framed
from app.web.routing import make_route
from app.web.script import describe_acceptance
from app.web.security import NO_STORE, page_headers
from app.web.theme import render_theme
from app.web.tokens import PageToken

# Travels with the page unseen, beside campaign parameters, from the address it was opened with to the lead.
_CARRIED = frozenset({"pageUrl", "receiver", "marketing.referrer"})
FORM = "/f/{form}"
_NOTHING: Mapping[str, str] = {}
_A_DAY = "public, max-age=86400"


@dataclass(frozen=True, slots=True)
class Pages:
    """The handlers. What they raise is told by Refusals."""

    reception: Reception

    def routes(self) -> list[Route]:
        return [
            make_route(FORM, COMPRESSED, GET=self.show_form, POST=self.submit_form),
            make_route("/f/{form}/thanks/{id}", GET=self.show_thanks),
            make_route("/f/{form}/theme.css", GET=self.show_theme),
        ]

    async def show_form(self, request: Request) -> Response:
        form = self.reception.require_form(request)
        # Of a repeated parameter the last that is not empty counts.
        given = {name: value for name, value in request.query_params.multi_items() if value.strip()}
        prefilled = {name: value for name, value in given.items() if form.field(name)}
        carried = self._tell_source(request) | self._choose_carried(form, given.items())
        return self._page(request, form, values=prefilled, hidden=carried)

    def _tell_source(self, request: Request) -> dict[str, str]:
        """The embedding page, or the page that sent the visitor, where the browser tells and it is not ours."""
        referer = request.headers.get("referer")
        if not referer or host_of(referer) in self.reception.find_hosts(request):
            return {}
        return {"pageUrl" if is_framed(request) else LANDING_REFERRER: referer}

    def _choose_carried(self, form: Form, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
        names = self.reception.define(form).parameter_names
        return {name: value for name, value in pairs if name in _CARRIED or name.lower() in names}

    async def submit_form(self, request: Request) -> Response:
        form = self.reception.require_form(request)
        self.reception.admit(request)
        sent = unfold(await read_form(request), self.reception.define(form))
        request.state.language = sent.typed.get("language")
        token = self.reception.signer.read(sent.token, form)
        if asks_for_json(request.headers.get("accept", "")):
            accepted = await self._accept(request, form, sent, token=token)
            thanks = _locate_thanks(form, accepted)
            return JSONResponse(describe_acceptance(accepted, form, thanks=thanks), headers=NO_STORE)
        try:
            accepted = await self._accept(request, form, sent, token=token)
        except SubmissionRefused as refused:
            return self._page_again(request, form, sent, token=token, status=422, errors=refused.errors)
        except LimitReached as reached:
            return self._page_again(
                request, form, sent, token=token, status=429, headers=retry_after(reached)
            )
        except StoreUnavailable:
            return self._page_again(request, form, sent, token=token, status=503, headers=RETRY_AFTER)
        return RedirectResponse(form.redirect_url or _locate_thanks(form, accepted), 303)

    async def _accept(
        self, request: Request, form: Form, sent: Unfolded, *, token: PageToken | None
    ) -> Acceptance:
        reception = self.reception
        now = reception.now()
        untold = () if token else (Note(code="page_token_missing"),)
        enquiry = check_submission(
            sent.body,
            reception.define(form),
            reception.forms.current,
            circumstances=reception.describe_circumstances(
                request,
                form,
                now=now,
                page_shown_at=min(token.issued_at, now) if token else None,
                notes=(*sent.notes, *untold),
            ),
        )
        key = None
        if token and token.is_fresh(now):
            # The page and its content: pressed twice it is the same lead, changed it is a new one.
            fingerprint = reception.acceptor.fingerprint(form, enquiry)
            key = Key(value=f"{token.nonce}:{fingerprint}", once_in_ten_minutes=True, made_here=True)
        return await reception.gatekeeper.let_in(
            enquiry,
            form,
            reception.forms.current,
            approach=Approach(
                caller=await reception.identify(request, form),
                page=self._read_signs(request, sent, token, now=now),
                proof=sent.proof,
                # Only the page's own script asks for JSON; without it nobody is there to do the work.
                can_work=asks_for_json(request.headers.get("accept", "")),
            ),
            now=now,
            key=key,
        )

    def _read_signs(
        self, request: Request, sent: Unfolded, token: PageToken | None, *, now: datetime
    ) -> PageSigns | None:
        """None for a form on a page of the agency's own, which has neither token nor honeypot."""
        if token is not None:
            state = Token.FRESH if token.is_fresh(now) else Token.EXPIRED
            return PageSigns(token=state, took=now - token.issued_at, honeypot=sent.honeypot)
        if sent.honeypot is None and not self.reception.is_of_our_page(request):
            return None
        return PageSigns(token=Token.MISSING, honeypot=sent.honeypot)

    def _page_again(
        self,
        request: Request,
        form: Form,
        sent: Unfolded,
        *,
        token: PageToken | None,
        status: int,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] = _NOTHING,
    ) -> Response:
        """The page once more, with everything that was typed; a token that is too old is renewed."""
        tally.REFUSED.add(Problem(status=status).name)
        fresh = token is not None and token.is_fresh(self.reception.now())
        return self._page(
            request,
            form,
            values=sent.typed,
            hidden=self._choose_carried(form, sent.typed.items()),
            token=sent.token if fresh else None,
            status=status,
            errors=errors,
            headers=headers,
        )

    def _page(
        self,
        request: Request,
        form: Form,
        *,
        values: Mapping[str, str],
        hidden: Mapping[str, str],
        token: str | None = None,
        status: int = 200,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] = _NOTHING,
    ) -> Response:
        language = self.reception.choose_language(request)
        renderer, action, framed = self.reception.renderer, f"/f/{form.name}", is_framed(request)
        token = token or self.reception.signer.issue(form, now=self.reception.now())
        packed = False
        if status == 200 and not values and not hidden:
            blank = renderer.find_blank_form(
                form, language=language, action=action, length=len(token), framed=framed
            )
            packed = takes_gzip(request)
            content = (blank.pack if packed else blank.fill)(token.encode())
        else:
            content = renderer.render_form(
                form,
                language=language,
                action=action,
                token=token,
                values=values,
                errors=errors,
                hints=_hint(values, language),
                hidden=hidden,
                # What was posted is typed, and stands in no address.
                prefilled=values if status == 200 else _NOTHING,
                framed=framed,
                problem_status=status if status in {429, 503} else None,
            )
        told = {**page_headers(form), **headers, **(PACKED if packed else _NOTHING)}
        return Response(content, status, told, media_type="text/html")

    async def show_thanks(self, request: Request) -> Response:
        form, lead_id = self.reception.require_form(request), request.path_params["id"]
        if not LEAD_ID.fullmatch(lead_id):
            raise Refused(404)
        try:
            lead = await self.reception.store.read(partial(load_lead, lead_id=lead_id))
        except (LeadNotFound, KeyMissing):
            return await self._show_receipt(request, form, lead_id)
        if lead.form != form.name:
            raise Refused(404)
        status = await self.reception.store.read(partial(find_status, lead_id=lead_id))
        language = choose_language(
            form.languages, request.query_params.get("lang"), lead.language, accept_language=None
        )
        content = self.reception.renderer.render_thanks(
            form,
            language=language,
            reference=write_reference(lead.reference),
            again=_find_context(form, lead),
            meant=next((note.detail for note in lead.notes if note.code == TYPO_LIKELY), None),
            masked=any(note.code == MASKED for note in lead.notes),
            framed=is_framed(request),
            lead_id=lead_id,
            conversion=status is not None and status.state.converts,
        )
        return Response(content, headers=page_headers(form), media_type="text/html")

    async def _show_receipt(self, request: Request, form: Form, lead_id: str) -> Response:
        """For a lead of which no more can be read: it has been purged, or its key is missing."""
        status = await self.reception.store.read(partial(find_status, lead_id=lead_id))
        if status is None or status.form != form.name:
            raise Refused(404)
        content = self.reception.renderer.render_thanks(
            form,
            language=self.reception.choose_language(request),
            reference=write_reference(status.reference),
            framed=is_framed(request),
        )
        return Response(content, headers=page_headers(form), media_type="text/html")

    async def show_theme(self, request: Request) -> Response:
        form = self.reception.require_form(request)
        return Response(render_theme(form), headers={"Cache-Control": _A_DAY}, media_type="text/css")


def _locate_thanks(form: Form, accepted: Acceptance) -> str:
    return f"/f/{form.name}/thanks/{accepted.lead_id}"


def _find_context(form: Form, lead: Lead) -> dict[str, str]:
    """Where a lead came from and which home it was about, and nothing of the person: for the next one."""
    hidden = {field.name for field in form.fields if field.type is FieldType.HIDDEN}
    context = {answer.name: answer.value for answer in lead.answers if answer.name in hidden}
    context |= {tag.name: tag.value for tag in lead.marketing.utm_tags}
    return context | ({"pageUrl": lead.page_url} if lead.page_url else {})


def _hint(values: Mapping[str, str], language: str) -> dict[str, str]:
    meant = suggest_email(values.get("email", "").strip())
    translations = get_translations(language)
    hints = {
        name: describe_masked(translations=translations)
        for name, value in values.items()
        if mask_identity_numbers(value) != value
    }
    return hints | ({"email": describe_suggestion(meant, translations=translations)} if meant else {})
