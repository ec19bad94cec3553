"""Where the links in the office's mail lead: a page that shows what it is about, and a button that settles it."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.errors import OperatorError
from app.i18n import LANGUAGES, choose_language
from app.identity import write_reference
from app.lead import LeadState
from app.links import Act, Link, LinkSigner
from app.store.leads import find_status
from app.store.links import is_spent, spend
from app.store.operator import Locate, confirm_in_vitec, retry_lead
from app.store.store import Transaction
from app.store.words import LeadStatus
from app.web.origins import may_speak
from app.web.problems import Refused
from app.web.reception import Reception
from app.web.routing import make_route
from app.web.security import page_headers

_HERE = ZoneInfo("Europe/Stockholm")
_ACTOR = "office"
_OPEN = (LeadState.HELD, LeadState.PENDING)
# The address is as good as a key: it goes to nobody else. With no-referrer a browser would post without an origin.
_HEADERS = {"Referrer-Policy": "same-origin"}


@dataclass(frozen=True, slots=True)
class SettlePages:
    """The handlers. A GET changes nothing: mail programs follow links on their own."""

    reception: Reception
    signer: LinkSigner

    def routes(self) -> list[Route]:
        return [make_route("/settle/{token}", GET=self.show, POST=self.settle)]

    async def show(self, request: Request) -> Response:
        link = self.signer.read(request.path_params["token"], now=self.reception.now())
        status = await self._find(link)
        if link is None or status is None:
            return self._page(request, None, view="expired", code=404)
        spent = await self.reception.store.read(partial(is_spent, digest=link.digest))
        return self._page(request, status, link=link, view=_choose_view(status, spent=spent))

    async def settle(self, request: Request) -> Response:
        self._admit(request)
        link = self.signer.read(request.path_params["token"], now=self.reception.now())
        status = await self._find(link)
        if link is None or status is None:
            return self._page(request, None, view="expired", code=404)
        store = self.reception.store
        try:
            job = partial(_act, link=link, locate=self.reception.forms.locate, now=self.reception.now())
            await store.write(job)
        except OperatorError:  # somebody is at work on it, or was quicker
            status = await self._find(link) or status
            view = "busy" if status.state in _OPEN else _choose_view(status, spent=True)
            return self._page(request, status, link=link, view=view, code=409)
        store.wake()
        return RedirectResponse(request.url.path, 303)

    def _admit(self, request: Request) -> None:
        """Raises Refused for another site's page. Nobody embeds this one."""
        headers = request.headers
        if not may_speak(
            origin=headers.get("origin"),
            host=headers.get("host"),
            fetch_site=headers.get("sec-fetch-site"),
            public_url=self.reception.public_url,
        ):
            raise Refused(403)

    async def _find(self, link: Link | None) -> LeadStatus | None:
        if link is None:
            return None
        return await self.reception.store.read(partial(find_status, lead_id=link.lead_id))

    def _page(
        self,
        request: Request,
        status: LeadStatus | None,
        *,
        view: str,
        link: Link | None = None,
        code: int = 200,
    ) -> Response:
        form = self.reception.forms.find(status.form) if status else None
        language = choose_language(
            form.languages if form else LANGUAGES,
            request.query_params.get("lang"),
            accept_language=None if form else request.headers.get("accept-language"),
        )
        content = self.reception.renderer.render_settle(
            form,
            language=language,
            view=view,
            act=link.act if link else "",
            reference=write_reference(status.reference) if status else "",
            received=_write_moment(status.received_at, language) if status else "",
        )
        return Response(content, code, page_headers(form, framed=False) | _HEADERS, media_type="text/html")


def _act(connection: Transaction, *, link: Link, locate: Locate, now: datetime) -> None:
    """Once, and in one transaction with what it does. Raises OperatorError."""
    if not spend(connection, link.digest, lead_id=link.lead_id, now=now):
        return
    decide = confirm_in_vitec if link.act is Act.EXISTS else partial(retry_lead, locate=locate)
    decide(connection, link.lead_id, now=now, actor=_ACTOR)


def _choose_view(status: LeadStatus, *, spent: bool) -> str:
    match status.state:
        case LeadState.DELIVERED:
            return "delivered"
        case LeadState.HELD:
            return "held" if spent else "ask"
        case LeadState.PENDING:
            return "sending" if spent else "ask"
    return "closed"


def _write_moment(moment: datetime, language: str) -> str:
    locale = "sv" if language == "sv" else "en_GB"
    return format_datetime(moment, "d MMMM y HH:mm", tzinfo=_HERE, locale=locale)
