"""What a refusal says: its status, its kind, and RFC 9457's form of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from app.errors import (
    FieldError,
    IdempotencyConflict,
    LeadgateError,
    LeadNotFound,
    StoreUnavailable,
    SubmissionRefused,
)
from app.i18n import describe_problem, get_translations
from app.intake.accept import InvalidIdempotencyKey
from app.intake.callers import KeyRefused
from app.intake.gatekeeper import ChallengeRequired
from app.intake.limits import LimitReached

RETRY_AFTER = {"Retry-After": "5"}
"""Seconds until a sender whom the store could not serve may try again."""

_KINDS = {
    400: "malformed",
    401: "key-required",
    403: "origin-not-allowed",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-fields",
    429: "limit-reached",
    500: "defect",
    503: "unavailable",
}


class Refused(LeadgateError):
    """A request that goes no further. `kind` names the problem where its status has several."""

    def __init__(self, status: int, kind: str | None = None) -> None:
        self.status = status
        self.kind = kind
        super().__init__(f"{status} {kind or ''}".strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    status: int
    kind: str | None = None
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, object] = field(default_factory=dict)
    """What the problem's kind tells beside RFC 9457's own members."""

    @property
    def name(self) -> str:
        return self.kind or _KINDS.get(self.status, "error")


def explain(error: Exception) -> Problem | None:
    """What the sender is told of it; None for what is no refusal but a defect."""
    match error:
        case HTTPException():
            return Problem(status=error.status_code, headers=error.headers or {})
        case Refused():
            return Problem(status=error.status, kind=error.kind)
        case InvalidIdempotencyKey():
            return Problem(status=400, kind="invalid-idempotency-key")
        case IdempotencyConflict():
            return Problem(status=422, kind="idempotency-key-reused")
        case SubmissionRefused():
            return Problem(status=422, errors=error.errors)
        case LeadNotFound():
            return Problem(status=404)
        case StoreUnavailable():
            return Problem(status=503, headers=RETRY_AFTER)
    return _explain_caution(error)


def _explain_caution(error: Exception) -> Problem | None:
    """What would have been a lead, had its sender a key, done some work, or sent less."""
    match error:
        case ChallengeRequired():
            challenge = {"challenge": error.challenge}
            return Problem(status=422, kind="proof-required", errors=(error.error,), members=challenge)
        case LimitReached():
            return Problem(status=429, headers=retry_after(error))
        case KeyRefused(known=True):
            return Problem(status=403, kind="key-not-allowed")
        case KeyRefused():
            return Problem(status=401, headers={"WWW-Authenticate": "Bearer"})
    return None


def retry_after(error: LimitReached) -> dict[str, str]:
    return {"Retry-After": str(ceil(error.retry_after.total_seconds()))}


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def write_problem(problem: Problem, *, language: str) -> ProblemResponse:
    """RFC 9457, in the visitor's language. Its `type` is stable."""
    kind = problem.name
    title, detail = describe_problem(problem.status, kind=kind, translations=get_translations(language))
    content: dict[str, object] = {
        "type": f"urn:leadgate:problem:{kind}",
        "title": title,
        "status": problem.status,
        "detail": detail,
    }
    if problem.errors:
        content["errors"] = [
            {"pointer": error.pointer, "code": error.code, "detail": error.detail} for error in problem.errors
        ]
    return ProblemResponse(content | dict(problem.members), problem.status, headers=problem.headers)
