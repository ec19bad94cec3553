"""The JSON API: developers post leads, and ask what became of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import IdempotencyConflict, StoreUnavailable, SubmissionRefused
from app.forms.model import Form
from app.i18n import choose_language
from app.identity import write_reference
from app.intake.accept import InvalidIdempotencyKey, read_idempotency_key
from app.intake.submission import Circumstances, check_submission, choose_form_language
from app.lead import LeadState
from app.store.leads import find_status
from app.store.words import Acceptance, LeadStatus
from app.web.bodies import BodyRefused, read_json
from app.web.describing import describe_form
from app.web.origins import Standing, cors_headers, preflight_headers
from app.web.problems import make_problem
from app.web.reception import Reception

RETRY_AFTER = "5"
"""Seconds until a sender whom the store could not serve may try again."""

MAX_WAIT = timedelta(seconds=10)
_LEAD_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?(?=$|[,;\s])", re.IGNORECASE)
_SETTLED = frozenset((LeadState.DELIVERED, LeadState.HELD, LeadState.DISCARDED, LeadState.QUARANTINED))


@dataclass(frozen=True, slots=True)
class Api:
    """The handlers; each answers with CORS headers, whatever its status."""

    reception: Reception

    def routes(self) -> list[Route]:
        leads = "/api/v1/forms/{form}/leads"
        return [
            Route(leads, self.post_lead, methods=["POST"]),
            Route(leads, partial(self.preflight, methods="POST"), methods=["OPTIONS"]),
            Route("/api/v1/forms/{form}", self.get_form, methods=["GET"]),
            Route("/api/v1/forms/{form}", partial(self.preflight, methods="GET"), methods=["OPTIONS"]),
            Route("/api/v1/leads/{lead_id}", self.get_lead, methods=["GET"]),
        ]

    async def post_lead(self, request: Request) -> Response:
        form = self.reception.forms.find(request.path_params["form"])
        standing = self.reception.judge(request, form)
        headers = cors_headers(request, standing)
        language = _choose_language(request, form)
        if form is None:
            return make_problem(404, language=language, kind="unknown-form", headers=headers)
        if standing is Standing.STRANGER:
            return make_problem(403, language=language, headers=headers)
        try:
            return await self._accept(request, form, headers)
        except BodyRefused as refused:
            return make_problem(refused.status, language=language, detail=refused.detail, headers=headers)
        except InvalidIdempotencyKey as error:
            kind = "invalid-idempotency-key"
            return make_problem(400, language=language, kind=kind, detail=str(error), headers=headers)
        except SubmissionRefused as refused:
            return make_problem(422, language=language, errors=refused.errors, headers=headers)
        except IdempotencyConflict:
            return make_problem(
                422,
                language=language,
                kind="idempotency-key-reused",
                detail="This Idempotency-Key was used before with other content. Use a new key for a new lead.",
                headers=headers,
            )
        except StoreUnavailable:
            return make_problem(503, language=language, headers=headers | {"Retry-After": RETRY_AFTER})

    async def _accept(self, request: Request, form: Form, headers: dict[str, str]) -> Response:
        reception = self.reception
        key = read_idempotency_key(request.headers.get("idempotency-key"))
        body = await read_json(request)
        now = reception.now()
        enquiry = check_submission(
            body,
            reception.define(form),
            reception.forms.current,
            circumstances=Circumstances(
                now=now,
                language=request.query_params.get("lang"),
                accept_language=request.headers.get("accept-language"),
                query=request.query_params.multi_items(),
                referer=request.headers.get("referer"),
                own_hosts=reception.own_hosts(request, form),
            ),
        )
        accepted = await reception.acceptor.accept(
            enquiry, form, reception.forms.current, now=now, key=key, body=body
        )
        state = accepted.state
        if accepted.replayed:
            headers["Idempotent-Replayed"] = "true"
        if (wait := _read_wait(request)) is not None:
            headers["Preference-Applied"] = f"wait={int(wait.total_seconds())}"
            state = await self._wait(accepted, wait)
        headers["Location"] = f"/api/v1/leads/{accepted.lead_id}"
        return JSONResponse(_describe_acceptance(accepted, state), 202, headers)

    async def _wait(self, accepted: Acceptance, longest: timedelta) -> LeadState:
        """The lead's state once it is settled, or what it is when the time is up."""
        until = self.reception.now() + longest
        state = accepted.state
        while state not in _SETTLED and (left := until - self.reception.now()) > timedelta():
            await self.reception.store.wait_for_news(accepted.lead_id, longest=left)
            status = await self.reception.store.read(partial(find_status, lead_id=accepted.lead_id))
            state = status.state if status else state
        return state

    async def get_lead(self, request: Request) -> Response:
        lead_id = request.path_params["lead_id"]
        try:
            status = (
                await self.reception.store.read(partial(find_status, lead_id=lead_id))
                if _LEAD_ID.fullmatch(lead_id)
                else None
            )
        except StoreUnavailable:
            language = _choose_language(request, None)
            return make_problem(
                503, language=language, headers={"Vary": "Origin", "Retry-After": RETRY_AFTER}
            )
        form = self.reception.forms.find(status.form) if status else None
        headers = cors_headers(request, self.reception.judge(request, form))
        if status is None:
            return make_problem(404, language=_choose_language(request, None), headers=headers)
        return JSONResponse(_describe_status(status), headers=headers | {"Cache-Control": "no-store"})

    async def get_form(self, request: Request) -> Response:
        form = self.reception.forms.find(request.path_params["form"])
        headers = cors_headers(request, self.reception.judge(request, form))
        language = _choose_language(request, form)
        if form is None:
            return make_problem(404, language=language, kind="unknown-form", headers=headers)
        return JSONResponse(describe_form(form), headers=headers | {"Cache-Control": "public, max-age=60"})

    async def preflight(self, request: Request, *, methods: str) -> Response:
        form = self.reception.forms.find(request.path_params["form"])
        standing = self.reception.judge(request, form)
        return Response(status_code=204, headers=preflight_headers(request, standing, methods=methods))


def _choose_language(request: Request, form: Form | None) -> str:
    wanted, accepted = request.query_params.get("lang"), request.headers.get("accept-language")
    if form is not None:
        return choose_form_language(form, wanted=wanted, accept_language=accepted)
    return choose_language(("sv", "en"), wanted, accept_language=accepted)


def _read_wait(request: Request) -> timedelta | None:
    """RFC 7240 §4.3: at most ten seconds, and None when nobody asked to wait."""
    match = _WAIT.search(", ".join(request.headers.getlist("prefer")))
    return min(timedelta(seconds=int(match[1])), MAX_WAIT) if match else None


def _describe_acceptance(accepted: Acceptance, state: LeadState) -> Mapping[str, Any]:
    return {
        "id": accepted.lead_id,
        "reference": write_reference(accepted.reference),
        "status": state.public,
        "receivedAt": write_moment(accepted.received_at),
    }


def _describe_status(status: LeadStatus) -> Mapping[str, Any]:
    return {
        "id": status.lead_id,
        "reference": write_reference(status.reference),
        "status": status.state.public,
        "receivedAt": write_moment(status.received_at),
        "deliveredAt": write_moment(status.delivered_at) if status.delivered_at else None,
    }


def write_moment(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
