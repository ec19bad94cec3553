"""The JSON API: developers post leads, and ask what became of them."""

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import StoreUnavailable
from app.forms.model import PROOF, Form, Mode
from app.identity import write_reference
from app.intake.accept import read_idempotency_key
from app.intake.callers import Caller, find_key
from app.intake.gatekeeper import Approach
from app.intake.submission import check_submission
from app.lead import LeadState
from app.store.leads import find_status
from app.store.words import Acceptance, LeadStatus
from app.web.bodies import read_json
from app.web.describing import describe_form
from app.web.origins import preflight_headers
from app.web.preferences import can_work, read_wait
from app.web.problems import Refused
from app.web.reception import Reception
from app.web.routing import Handler, make_route
from app.web.security import NO_STORE

LEADS = "/api/v1/forms/{form}/leads"
LEAD_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Api:
    """The handlers. What they raise is told by Refusals; CORS headers are put on every answer outside of them."""

    reception: Reception

    def routes(self) -> list[Route]:
        return [
            make_route(LEADS, POST=self.post_lead, OPTIONS=_answer_preflight("POST")),
            make_route("/api/v1/forms/{form}", GET=self.get_form, OPTIONS=_answer_preflight("GET")),
            make_route("/api/v1/leads/{id}", GET=self.get_lead, OPTIONS=_answer_preflight("GET")),
        ]

    async def post_lead(self, request: Request) -> Response:
        form = self.reception.require_form(request)
        self.reception.admit(request)
        key = find_key(request.headers.get("authorization"), form, self.reception.forms.current.api_keys)
        caller = await self.reception.identify(request, form, key=key)
        accepted = await self._accept(request, form, caller)
        headers = {
            "Location": f"/api/v1/leads/{accepted.lead_id}",
            # Beside the body, whose keys are the same for everyone.
            "Leadgate-Conversion": str(int(accepted.state.converts)),
        }
        if form.redirect_url:
            headers["Leadgate-Redirect"] = form.redirect_url
        if accepted.replayed:
            headers["Idempotent-Replayed"] = "true"
        state = accepted.state
        wait = read_wait(_prefer(request))
        if wait is not None:
            headers["Preference-Applied"] = f"wait={wait.seconds}"
            state = await self._await_settled(accepted, form, wait)
        content = to_json(_describe_acceptance(accepted, state))
        return Response(content, 202, headers, media_type="application/json")

    async def _accept(self, request: Request, form: Form, caller: Caller) -> Acceptance:
        reception = self.reception
        key = read_idempotency_key(request.headers.get("idempotency-key"))
        body = await read_json(request)
        proof = body.pop(PROOF, None)  # no part of what is sent: the same again may come with another
        wish = body.get("language")
        request.state.language = wish if isinstance(wish, str) else None
        now = reception.now()
        enquiry = check_submission(
            body,
            reception.define(form),
            reception.forms.current,
            circumstances=reception.describe_circumstances(request, form, now=now),
        )
        return await reception.gatekeeper.let_in(
            enquiry,
            form,
            reception.forms.current,
            approach=Approach(caller=caller, proof=proof, can_work=can_work(_prefer(request))),
            now=now,
            key=key,
            body=body,
        )

    async def _await_settled(self, accepted: Acceptance, form: Form, longest: timedelta) -> LeadState:
        """The lead's state once it is settled, or what it is when the time is up. The lead is kept either way.

        A lead in quarantine waits like any other: an answer at once would tell its sender where it is.
        """
        unsettled = {LeadState.PENDING} | ({LeadState.QUARANTINED} if form.mode is Mode.LIVE else set())
        store, state = self.reception.store, accepted.state
        with suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(longest.total_seconds()):
                while state in unsettled and not store.draining:
                    await store.wait_for_news(accepted.lead_id, longest=longest)
                    status = await store.read(partial(find_status, lead_id=accepted.lead_id))
                    state = status.state if status else LeadState.DISCARDED
        return state

    async def get_lead(self, request: Request) -> Response:
        lead_id = request.path_params["id"]
        if not LEAD_ID.fullmatch(lead_id):
            raise Refused(404)
        status = await self.reception.store.read(partial(find_status, lead_id=lead_id))
        if status is None:
            raise Refused(404)
        request.state.form = status.form
        return JSONResponse(_describe_status(status), headers=NO_STORE)

    async def get_form(self, request: Request) -> Response:
        form = self.reception.require_form(request)
        return JSONResponse(describe_form(form), headers={"Cache-Control": "public, max-age=60"})


def _prefer(request: Request) -> str:
    return ", ".join(request.headers.getlist("prefer"))


def _answer_preflight(method: str) -> Handler:
    async def answer(_request: Request) -> Response:
        return Response(status_code=204, headers=preflight_headers(method))

    return answer


def _describe_acceptance(accepted: Acceptance, state: LeadState) -> dict[str, Any]:
    return {
        "id": accepted.lead_id,
        "reference": write_reference(accepted.reference),
        "status": state.public,
        "receivedAt": write_moment(accepted.received_at),
    }


def _describe_status(status: LeadStatus) -> dict[str, Any]:
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
