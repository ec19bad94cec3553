"""What the stand-in answers, in JSON or in XML, and how it refuses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from app.sandbox import xml

JSON = "application/json; charset=utf-8"
XML = "application/xml; charset=utf-8"

_JSON_TYPES = frozenset({"application/json", "text/json", "application/*", "*/*"})
_XML_TYPES = frozenset({"application/xml", "text/xml"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer before it is written out."""

    status: int = 200
    value: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    def render(self, accept: str) -> Response:
        """As `accept` has it, where XML is documented: for ids and errors. All else is JSON."""
        if prefers_xml(accept) and isinstance(self.value, str):
            content, media_type = xml.encode_string(self.value), XML
        elif prefers_xml(accept) and self.status >= 400:
            content, media_type = xml.encode_error(self.value), XML
        else:
            content, media_type = json.dumps(self.value).encode(), JSON
        return Response(content, self.status, dict(self.headers), media_type)


class Refusal(Exception):
    """The call goes no further."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(f"{reply.status}")


def refuse_content(errors: Mapping[str, Sequence[str]]) -> Refusal:
    """400 in the style of ASP.NET Web API; the real shape is not documented. `errors`: texts by field."""
    model_state = {name: list(texts) for name, texts in errors.items()}
    return Refusal(Reply(status=400, value={"message": "Begäran är ogiltig.", "modelState": model_state}))


def refuse_login() -> Refusal:
    message = {"message": "Auktorisering har nekats för den här begäran."}
    return Refusal(Reply(status=401, value=message, headers={"www-authenticate": 'Basic realm="Vitec"'}))


def refuse_access() -> Refusal:
    return Refusal(Reply(status=403, value={"message": "Åtkomst till begärd data saknas."}))


def refuse_unknown() -> Refusal:
    return Refusal(Reply(status=404, value={"message": "Hittades inte."}))


def refuse_media_type() -> Refusal:
    return Refusal(Reply(status=415, value={"message": "Begärans medietyp stöds inte för den här resursen."}))


def prefers_xml(accept: str) -> bool:
    """Whether XML comes before JSON in an Accept header (RFC 9110, 12.5.1); the default is JSON."""
    ranked = sorted(_read_accept(accept), key=lambda item: -item[1])
    known = (name for name, _ in ranked if name in _JSON_TYPES | _XML_TYPES)
    return next(known, "*/*") in _XML_TYPES


def _read_accept(accept: str) -> list[tuple[str, float]]:
    found = []
    for part in accept.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = next((one.removeprefix("q=") for one in parameters if one.startswith("q=")), "1")
        try:
            found.append((name, float(quality)))
        except ValueError:
            continue
    return [item for item in found if item[1] > 0]
