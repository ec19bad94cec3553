"""Errors as RFC 9457 has them, in the visitor's language."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from starlette.responses import JSONResponse

from app.errors import FieldError
from app.i18n import describe_problem, get_translations

_SLUGS = {
    400: "malformed",
    403: "origin-not-allowed",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-fields",
    429: "too-many-requests",
    503: "unavailable",
}


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def make_problem(
    status: int,
    *,
    language: str,
    detail: str | None = None,
    kind: str | None = None,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """`kind` names the problem where a status has several; its `type` is stable."""
    title, usual = describe_problem(status, translations=get_translations(language))
    content: dict[str, object] = {
        "type": f"urn:leadgate:problem:{kind or _SLUGS.get(status, 'error')}",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or usual,
    }
    if errors:
        content["errors"] = [
            {"pointer": error.pointer, "code": error.code, "detail": error.detail} for error in errors
        ]
    return ProblemResponse(content, status, headers=headers)
