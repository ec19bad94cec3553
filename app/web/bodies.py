"""What came with a request: read to a limit, and parsed as its type says."""

import json
from collections.abc import AsyncGenerator
from typing import Any

from pydantic_core import from_json
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from app.intake.html_form import parse_urlencoded
from app.web.problems import Refused

MAX_BODY = 64 * 1024
_MAX_FIELDS = 200
_MAX_NESTING = 200  # as the fast parser has it

_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"


async def read_body(request: Request) -> bytes:
    """At most 64 KiB. Raises Refused without waiting for the rest."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BODY:
        raise Refused(413)
    chunks = bytearray()
    try:
        async for chunk in request.stream():
            chunks += chunk
            if len(chunks) > MAX_BODY:
                raise Refused(413)
    except ClientDisconnect:
        raise Refused(400) from None
    return bytes(chunks)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request) -> dict[str, Any]:
    """The object in an application/json body. Raises Refused."""
    if media_type(request) != "application/json":
        raise Refused(415)
    parsed = _parse_json(await read_body(request))
    if not isinstance(parsed, dict):
        raise Refused(400)
    return parsed


def _parse_json(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError:
        pass  # the fast parser refuses lone surrogates, which are only to be removed, and UTF-16
    if body.count(b"[") + body.count(b"{") > _MAX_NESTING:
        raise Refused(400)
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except ValueError:
        raise Refused(400) from None


def _refuse_constant(_name: str) -> None:
    raise ValueError


async def read_form(request: Request) -> list[tuple[str, str]]:
    """The pairs of an HTML form; files are passed over. Raises Refused."""
    kind = media_type(request)
    if kind not in {_URLENCODED, _MULTIPART}:
        raise Refused(415)
    body = await read_body(request)
    pairs = parse_urlencoded(body) if kind == _URLENCODED else await _parse_multipart(request.headers, body)
    if len(pairs) > _MAX_FIELDS:
        raise Refused(413)
    return pairs


async def _parse_multipart(headers: Headers, body: bytes) -> list[tuple[str, str]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    # The body has its limit already, and the fields theirs.
    limits = {"max_files": MAX_BODY, "max_fields": MAX_BODY, "max_part_size": MAX_BODY}
    try:
        form = await MultiPartParser(headers, stream(), **limits).parse()
    except (MultiPartException, ValueError, LookupError):  # boundary and charset may be anything
        raise Refused(400) from None
    pairs = [(name, value) for name, value in form.multi_items() if not isinstance(value, UploadFile)]
    await form.close()
    return pairs
