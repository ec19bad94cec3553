"""The visitor's pages: the form, its answer, and the thanks."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.errors import FieldError, LeadNotFound, StoreUnavailable, SubmissionRefused
from app.forms.model import Form
from app.i18n import choose_language, describe_suggestion, get_translations
from app.identity import write_reference
from app.intake.accept import Key
from app.intake.attribution import LANDING_REFERRER
from app.intake.html_form import Unfolded, unfold
from app.intake.people import suggest_email
from app.intake.submission import Circumstances, check_submission, choose_form_language
from app.lead import Enquiry, Note
from app.store.leads import load_lead
from app.store.words import Acceptance
from app.web.api import RETRY_AFTER
from app.web.bodies import BodyRefused, read_form
from app.web.origins import Standing
from app.web.reception import PageToken, Reception
from app.web.security import page_headers
from app.web.theme import render_theme

# Travels with the page unseen, from the address it was opened with to the lead.
_CARRIED = ("pageUrl", "receiver")
_A_DAY = "public, max-age=86400"


@dataclass(frozen=True, slots=True)
class Pages:
    reception: Reception

    def routes(self) -> list[Route]:
        return [
            Route("/f/{form}", self.show_form, methods=["GET"]),
            Route("/f/{form}", self.submit_form, methods=["POST"]),
            Route("/f/{form}/thanks/{lead_id}", self.show_thanks, methods=["GET"]),
            Route("/f/{form}/theme.css", self.show_theme, methods=["GET"]),
        ]

    async def show_form(self, request: Request) -> Response:
        form = self.reception.forms.find(request.path_params["form"])
        if form is None:
            return self.problem(request, 404)
        carried = self._carry(request, form)
        prefilled = {name: value for name, value in request.query_params.items() if form.field(name)}
        return self._page(
            request, form, language=_language_of(request, form), values=prefilled, hidden=carried
        )

    def _carry(self, request: Request, form: Form) -> dict[str, str]:
        """What the address and the browser tell of where the form is shown."""
        names = self.reception.define(form).parameter_names
        carried = {
            name: value
            for name, value in request.query_params.items()
            if name in _CARRIED or name.lower() in names
        }
        referer = request.headers.get("referer")
        if referer and _is_framed(request):
            carried.setdefault("pageUrl", referer)
        elif referer and _host(referer) not in self.reception.own_hosts(request, form):
            carried.setdefault(LANDING_REFERRER, referer)
        return carried

    async def submit_form(self, request: Request) -> Response:
        form = self.reception.forms.find(request.path_params["form"])
        if form is None:
            return self.problem(request, 404)
        if self.reception.judge(request, form) is Standing.STRANGER:
            return self.problem(request, 403, form=form)
        try:
            pairs = await read_form(request)
        except BodyRefused as refused:
            return self.problem(request, refused.status, form=form)
        sent = unfold(pairs, self.reception.define(form))
        token = self.reception.signer.read(sent.token, form)
        try:
            accepted = await self._accept(request, form, sent, token)
        except SubmissionRefused as refused:
            return self._again(request, form, sent, token, status=422, errors=refused.errors)
        except StoreUnavailable:
            return self._again(request, form, sent, token, status=503)
        address = form.redirect_url or f"/f/{form.name}/thanks/{accepted.lead_id}"
        return RedirectResponse(address, 303, headers=page_headers(form))

    async def _accept(
        self, request: Request, form: Form, sent: Unfolded, token: PageToken | None
    ) -> Acceptance:
        reception = self.reception
        now = reception.now()
        untold = () if token else (Note(code="page_token_missing"),)
        enquiry = check_submission(
            sent.body,
            reception.define(form),
            reception.forms.current,
            circumstances=Circumstances(
                now=now,
                language=request.query_params.get("lang"),
                accept_language=request.headers.get("accept-language"),
                query=request.query_params.multi_items(),
                referer=request.headers.get("referer"),
                own_hosts=reception.own_hosts(request, form),
                page_shown_at=min(token.issued_at, now) if token else None,
                notes=(*sent.notes, *untold),
            ),
        )
        return await reception.acceptor.accept(
            enquiry, form, reception.forms.current, now=now, key=self._key(form, enquiry, token)
        )

    def _key(self, form: Form, enquiry: Enquiry, token: PageToken | None) -> Key | None:
        """The page and its content: pressed twice it is the same lead, changed it is a new one, never an error."""
        if token is None:
            return None
        fingerprint = self.reception.acceptor.fingerprint(form, enquiry)
        return Key(value=f"{token.nonce}:{fingerprint}", once_in_ten_minutes=True)

    def _again(
        self,
        request: Request,
        form: Form,
        sent: Unfolded,
        token: PageToken | None,
        *,
        status: int,
        errors: tuple[FieldError, ...] = (),
    ) -> Response:
        """The page once more, with everything that was typed."""
        names = self.reception.define(form).parameter_names
        wish = sent.typed.get("language")
        language = wish if wish in form.languages else _language_of(request, form)
        return self._page(
            request,
            form,
            language=language,
            values=sent.typed,
            hidden={
                name: value
                for name, value in sent.typed.items()
                if name in _CARRIED or name == "marketing.referrer" or name.lower() in names
            },
            token=sent.token if token else None,
            status=status,
            errors=errors,
        )

    def _page(
        self,
        request: Request,
        form: Form,
        *,
        language: str,
        values: Mapping[str, str],
        hidden: Mapping[str, str],
        token: str | None = None,
        status: int = 200,
        errors: tuple[FieldError, ...] = (),
    ) -> Response:
        headers = page_headers(form) | {"Cache-Control": "no-store"}
        if status == 503:
            headers["Retry-After"] = RETRY_AFTER
        content = self.reception.renderer.render_form(
            form,
            language=language,
            action=f"/f/{form.name}",
            token=token or self.reception.signer.issue(form, now=self.reception.now()),
            values=values,
            errors=errors,
            hints=_hint(values, language),
            hidden=hidden,
            framed=_is_framed(request),
            problem_status=status if status == 503 else None,
        )
        return Response(content, status, headers, media_type="text/html")

    async def show_thanks(self, request: Request) -> Response:
        form = self.reception.forms.find(request.path_params["form"])
        if form is None:
            return self.problem(request, 404)
        try:
            lead = await self.reception.store.read(partial(load_lead, lead_id=request.path_params["lead_id"]))
        except LeadNotFound:
            return self.problem(request, 404, form=form)
        except StoreUnavailable:
            return self.problem(request, 503, form=form)
        if lead.form != form.name:
            return self.problem(request, 404, form=form)
        content = self.reception.renderer.render_thanks(
            form,
            language=lead.language if lead.language in form.languages else form.languages[0],
            reference=write_reference(lead.reference),
            framed=_is_framed(request),
        )
        headers = page_headers(form) | {"Cache-Control": "no-store"}
        return Response(content, headers=headers, media_type="text/html")

    async def show_theme(self, request: Request) -> Response:
        form = self.reception.forms.find(request.path_params["form"])
        if form is None:
            return self.problem(request, 404)
        return Response(render_theme(form), headers={"Cache-Control": _A_DAY}, media_type="text/css")

    def problem(self, request: Request, status: int, *, form: Form | None = None) -> Response:
        """A page that says what is wrong in words; the form's look where the form is known."""
        language = _language_of(request, form)
        content = self.reception.renderer.render_problem(
            language=language, status=status, form=form, framed=_is_framed(request)
        )
        headers = page_headers(form) | {"Cache-Control": "no-store"}
        if status == 503:
            headers["Retry-After"] = RETRY_AFTER
        return Response(content, status, headers, media_type="text/html")


def _language_of(request: Request, form: Form | None) -> str:
    wanted, accepted = request.query_params.get("lang"), request.headers.get("accept-language")
    if form is not None:
        return choose_form_language(form, wanted=wanted, accept_language=accepted)
    return choose_language(("sv", "en"), wanted, accept_language=accepted)


def _is_framed(request: Request) -> bool:
    return request.headers.get("sec-fetch-dest") == "iframe"


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _hint(values: Mapping[str, str], language: str) -> dict[str, str]:
    meant = suggest_email(values.get("email", "").strip())
    return {"email": describe_suggestion(meant, translations=get_translations(language))} if meant else {}
