"""DataContract XML, as POST CRM/Lead documents it, and the few shapes of XML that come back."""

import re
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from app.vitec.contact import Body

LEAD_NAMESPACE = "http://schemas.datacontract.org/2004/07/Vitec.Housing.Connect.Api.Models.Lead"
MARKETING_NAMESPACE = "http://schemas.datacontract.org/2004/07/Express.Connect.Api.Services.Advertising"

ANSWER_CAP = 64 * 1024
"""Bytes of XML that are looked at."""

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, Char


def encode_lead(body: Body) -> bytes:
    """The body of POST CRM/Lead. DataContract drops elements out of alphabetical order without a word."""
    marketing = body.get("marketing", {})
    content = "".join(
        (
            _element("AssignedToId", body.get("assignedToId")),
            _element("AssignmentSourceId", body.get("assignmentSourceId")),
            _element("ContactId", body.get("contactId")),
            _element("LeadSourceId", body.get("leadSourceId")),
            _encode_marketing(marketing) if marketing else "",
            _element("Message", body.get("message")),
            _element("OfficeId", body.get("officeId")),
        )
    )
    return f'<?xml version="1.0" encoding="utf-8"?><Lead xmlns="{LEAD_NAMESPACE}">{content}</Lead>'.encode()


def read_texts(body: bytes) -> tuple[tuple[str, str], ...] | None:
    """The elements that hold text, as (local name, text) in the order of their ends.

    None for what is no XML, too long, or declares a document type: entities are never expanded.
    """
    if len(body) > ANSWER_CAP:
        return None
    texts = _Texts()
    parser = ET.XMLParser(target=texts)  # noqa: S314  # the target refuses document types
    try:
        parser.feed(body)
        parser.close()
    except (ET.ParseError, ValueError, LookupError):
        return None
    return tuple(texts.found)


def _encode_marketing(marketing: Body) -> str:
    tags = "".join(
        f"<m:FormMarketingUtmTags>{_element('m:Name', tag['name'])}{_element('m:Value', tag['value'])}"
        "</m:FormMarketingUtmTags>"
        for tag in marketing.get("utmTags", ())
    )
    content = _element("m:Referrer", marketing.get("referrer")) + (tags and f"<m:UtmTags>{tags}</m:UtmTags>")
    return f'<Marketing xmlns:m="{MARKETING_NAMESPACE}">{content}</Marketing>'


def _element(name: str, text: str | None) -> str:
    allowed = _FORBIDDEN.sub("", text or "")
    # A bare carriage return would be read as a line feed.
    return f"<{name}>{escape(allowed, {chr(13): '&#13;'})}</{name}>" if allowed else ""


class _Texts:
    """Gathers the text of leaves; any document type ends the reading."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._text: list[str] = []

    def start(self, _tag: str, _attributes: dict[str, str]) -> None:
        self._text.clear()

    def data(self, text: str) -> None:
        self._text.append(text)

    def end(self, tag: str) -> None:
        if text := "".join(self._text).strip():
            self.found.append((tag.rpartition("}")[2], text))
        self._text.clear()

    def doctype(self, *_declaration: str | None) -> None:
        raise ValueError("a document type is refused")

    def close(self) -> None:
        """Asked of every target."""
