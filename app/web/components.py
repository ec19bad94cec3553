"""The named schemas of /openapi.json."""

from app.forms.model import Forms
from app.web.describing import Schema, describe_lead

ID: Schema = {"type": "string", "format": "uuid"}
TEXT: Schema = {"type": "string"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_STATUS: Schema = {
    "type": "string",
    "enum": ["accepted", "delivered", "held", "closed"],
    "description": "held: a human has it. closed: an operator discarded it.",
}
_LETTER = "[0-9A-HJKMNP-TV-Z]"
_REFERENCE: Schema = {"type": "string", "pattern": f"^{_LETTER}{{4}}-{_LETTER}{{4}}-{_LETTER}{{2}}$"}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def ref_lead(form: str) -> Schema:
    return ref(f"Lead.{form}")


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def describe_components(forms: Forms) -> Schema:
    acceptance = {"id": ID, "reference": _REFERENCE, "status": _STATUS, "receivedAt": _MOMENT}
    texts = {"type": "object", "additionalProperties": TEXT}
    error = _object(pointer={**TEXT, "examples": ["#/email"]}, code=TEXT, detail=TEXT)
    problem = _object(type=TEXT, title=TEXT, status={"type": "integer"}, detail=TEXT)
    return {
        **{f"Lead.{name}": describe_lead(form) for name, form in sorted(forms.forms.items())},
        "Acceptance": _object(**acceptance),
        "Submission": _object(
            id=ID,
            reference=_REFERENCE,
            thanks={**TEXT, "description": "The path of the page of thanks"},
            redirect={"type": ["string", "null"], "description": "Where the form sends its visitors"},
            conversion={"type": "boolean", "description": "Whether an advertiser should count it"},
        ),
        "LeadStatus": _object(**acceptance, deliveredAt={**_MOMENT, "type": ["string", "null"]}),
        "Form": _object(
            form=TEXT,
            languages={"type": "array", "items": TEXT},
            title=texts,
            intro=texts,
            submitLabel=texts,
            thanks=texts,
            notice=_object(version=TEXT, text=texts),
            consents={"type": "object", "additionalProperties": _object(label=texts)},
            parameters={
                "type": "array",
                "items": TEXT,
                "description": "The campaign parameters that the form takes; each also as first_ and its name",
            },
            schema={"type": "object", "description": "JSON Schema of the form's own fields"},
        ),
        "Problem": problem
        | {
            "description": "RFC 9457",
            "properties": problem["properties"]
            | {
                "errors": {"type": "array", "items": error},
                "challenge": {"type": "object", "description": "By ALTCHA's protocol, version 2"},
            },
        },
    }
