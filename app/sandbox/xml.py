"""DataContract XML as Vitec's help pages show it: leads come in, ids and errors go out."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

LEAD = "http://schemas.datacontract.org/2004/07/Vitec.Housing.Connect.Api.Models.Lead"
MARKETING = "http://schemas.datacontract.org/2004/07/Express.Connect.Api.Services.Advertising"
STRING = "http://schemas.microsoft.com/2003/10/Serialization/"

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_LEAD_MEMBERS = (
    "AssignedToId",
    "AssignmentSourceId",
    "ContactId",
    "LeadSourceId",
    "Marketing",
    "Message",
    "OfficeId",
)
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, Char


class _NoDoctype(ET.TreeBuilder):
    def doctype(self, *_declaration: str | None) -> None:
        """Entities are how an XML bomb is built, and they need a document type."""
        raise ValueError("a document type is refused")


def decode_lead(content: bytes) -> dict[str, Any]:
    """The lead with its members named as in JSON. Raises ValueError for what is no Lead.

    As the DataContract deserialiser has it: an element out of alphabetical order, of another namespace or
    unknown is dropped without a word.
    """
    parser = ET.XMLParser(target=_NoDoctype())  # noqa: S314  # document types are refused
    try:
        root = ET.fromstring(content, parser)  # noqa: S314
    except (ET.ParseError, LookupError) as error:
        raise ValueError("no XML") from error
    if root.tag != f"{{{LEAD}}}Lead":
        raise ValueError("no Lead")
    members = _read_members(root, LEAD, _LEAD_MEMBERS)
    lead: dict[str, Any] = {_camel(name): element.text or "" for name, element in members.items()}
    if "Marketing" in members:
        lead["marketing"] = _decode_marketing(members["Marketing"])
    return lead


def encode_string(text: str) -> bytes:
    return f'<string xmlns="{STRING}">{_escape(text)}</string>'.encode()


def encode_error(error: Mapping[str, Any]) -> bytes:
    """`error` as it is in JSON: a `message`, and `modelState` with lists of texts."""
    state: Mapping[str, Sequence[str]] = error.get("modelState", {})
    fields = "".join(_encode_field(_encode_name(name), texts) for name, texts in state.items())
    content = f"<Message>{_escape(error['message'])}</Message>"
    return f"<Error>{content}{fields and f'<ModelState>{fields}</ModelState>'}</Error>".encode()


def _encode_field(name: str, texts: Sequence[str]) -> str:
    return f"<{name}>{_escape(' '.join(texts))}</{name}>"


def _encode_name(name: str) -> str:
    """`lead.UtmTags[0]` is no element's name; .NET escapes what is not allowed in one."""
    return re.sub(r"[^A-Za-z0-9_.-]", lambda found: f"_x{ord(found[0]):04X}_", name)


def _decode_marketing(element: ET.Element) -> dict[str, Any]:
    members = _read_members(element, MARKETING, ("Referrer", "UtmTags"))
    marketing: dict[str, Any] = {}
    if "Referrer" in members:
        marketing["referrer"] = members["Referrer"].text or ""
    if "UtmTags" in members:
        tags = members["UtmTags"].findall(f"{{{MARKETING}}}FormMarketingUtmTags")
        marketing["utmTags"] = [_decode_tag(tag) for tag in tags]
    return marketing


def _decode_tag(element: ET.Element) -> dict[str, str]:
    members = _read_members(element, MARKETING, ("Name", "Value"))
    return {_camel(name): member.text or "" for name, member in members.items()}


def _read_members(parent: ET.Element, namespace: str, names: Sequence[str]) -> dict[str, ET.Element]:
    expected = [f"{{{namespace}}}{name}" for name in names]
    found: dict[str, ET.Element] = {}
    ahead = 0
    for element in parent:
        if element.tag in expected[ahead:]:
            position = expected.index(element.tag)
            ahead = position + 1
            if element.get(_NIL) != "true":
                found[names[position]] = element
    return found


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _escape(text: str) -> str:
    return escape(_FORBIDDEN.sub("", text))
