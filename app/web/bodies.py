"""What came with a request: read to a limit, and parsed as its type says."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from pydantic_core import from_json
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from app.errors import LeadgateError
from app.intake.html_form import parse_urlencoded

MAX_BODY = 64 * 1024
_MAX_FIELDS = 200


class BodyRefused(LeadgateError):
    """The body cannot be read as what the route takes."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(detail)


async def read_body(request: Request) -> bytes:
    """At most 64 KiB. Raises BodyRefused(413) without waiting for the rest."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY:
        raise BodyRefused(413, "The body may be at most 64 KiB.")
    chunks = bytearray()
    try:
        async for chunk in request.stream():
            chunks += chunk
            if len(chunks) > MAX_BODY:
                raise BodyRefused(413, "The body may be at most 64 KiB.")
    except ClientDisconnect:
        raise BodyRefused(400, "The body ended early.") from None
    return bytes(chunks)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request) -> dict[str, Any]:
    """The object in an application/json body. Raises BodyRefused."""
    if media_type(request) != "application/json":
        raise BodyRefused(415, "Send application/json.")
    parsed = _parse_json(await read_body(request))
    if not isinstance(parsed, dict):
        raise BodyRefused(400, "The body must be a JSON object.")
    return parsed


def _parse_json(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        pass  # the fast parser refuses lone surrogates, which are only to be removed
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BodyRefused(400, "The body is not valid JSON.") from None


def _refuse_constant(_name: str) -> None:
    raise ValueError


async def read_form(request: Request) -> list[tuple[str, str]]:
    """The pairs of an HTML form; files are passed over. Raises BodyRefused."""
    kind = media_type(request)
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        raise BodyRefused(415, "Send a form: application/x-www-form-urlencoded or multipart/form-data.")
    body = await read_body(request)
    pairs = (
        parse_urlencoded(body)
        if kind.endswith("urlencoded")
        else await _parse_multipart(request.headers, body)
    )
    if len(pairs) > _MAX_FIELDS:
        raise BodyRefused(413, f"A form may have at most {_MAX_FIELDS} fields.")
    return pairs


async def _parse_multipart(headers: Headers, body: bytes) -> list[tuple[str, str]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        parser = MultiPartParser(
            headers, stream(), max_files=10, max_fields=_MAX_FIELDS, max_part_size=MAX_BODY
        )
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError, LookupError):
        raise BodyRefused(400, "The body is not a valid multipart form.") from None
    pairs = [(name, value) for name, value in form.multi_items() if not isinstance(value, UploadFile)]
    await form.close()
    return pairs
