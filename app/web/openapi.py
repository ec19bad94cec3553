"""/openapi.json: the API as it is, with each configured form's own fields."""

from typing import Any

from app import __version__
from app.forms.model import Form, Forms
from app.web.bodies import MAX_BODY
from app.web.describing import describe_field_properties

_ID = {"type": "string", "format": "uuid"}
_MOMENT = {"type": "string", "format": "date-time"}
_STATUS = {
    "type": "string",
    "enum": ["accepted", "delivered", "held", "closed"],
    "description": "held: a human has it. closed: an operator discarded it.",
}
_REFERENCE = {
    "type": "string",
    "pattern": "^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{2}$",
}


def describe_api(forms: Forms, *, public_url: str | None) -> dict[str, Any]:
    """OpenAPI 3.1. Written out, because the routes are plain Starlette; tests hold it against them."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Leadgate",
            "version": __version__,
            "description": "Web forms' leads, kept before they are answered and delivered to the CRM.",
        },
        "servers": [{"url": public_url or "/"}],
        "paths": {
            "/api/v1/forms/{form}/leads": {"parameters": [_form_parameter(forms)], "post": _post_lead(forms)},
            "/api/v1/forms/{form}": {"parameters": [_form_parameter(forms)], "get": _get_form()},
            "/api/v1/leads/{id}": {"parameters": [_parameter("id", "path", _ID)], "get": _get_lead()},
            "/f/{form}": {"parameters": [_form_parameter(forms)], "get": _get_page(), "post": _post_page()},
            "/healthz": {"get": _answer_only("isAlive", "The process is alive")},
            "/readyz": {
                "get": _answer_only(
                    "isReady", "A lead can be accepted", **_problems(("503", "It cannot now"))
                )
            },
        },
        "components": {"schemas": _schemas(forms)},
    }


def _parameter(name: str, place: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    found = {"name": name, "in": place, "required": place == "path", "schema": schema}
    return found | ({"description": description} if description else {})


def _form_parameter(forms: Forms) -> dict[str, Any]:
    return _parameter("form", "path", {"type": "string", "examples": sorted(forms.forms)[:3]})


def _post_lead(forms: Forms) -> dict[str, Any]:
    return {
        "operationId": "postLead",
        "summary": "Accept a lead",
        "description": "202 means: on disk. Delivery to the CRM follows, whatever its health.",
        "parameters": [
            _parameter(
                "Idempotency-Key",
                "header",
                {"type": "string", "minLength": 1, "maxLength": 255},
                "Within the form: the same key and content is the same lead; other content is a 422.",
            ),
            _parameter(
                "Prefer",
                "header",
                {"type": "string", "examples": ["wait=5"]},
                "RFC 7240: at most 10 seconds.",
            ),
            _parameter("lang", "query", {"type": "string"}, "The language of error texts."),
        ],
        "requestBody": {
            "required": True,
            "description": f"At most {MAX_BODY // 1024} KiB.",
            "content": {
                "application/json": {
                    "schema": {"anyOf": [_ref(_schema_name(name)) for name in sorted(forms.forms)]}
                }
            },
        },
        "responses": {
            "202": {
                "description": "Kept",
                "headers": {
                    "Location": {"schema": {"type": "string"}},
                    "Idempotent-Replayed": {"schema": {"const": "true"}},
                    "Preference-Applied": {"schema": {"type": "string"}},
                },
                "content": {"application/json": {"schema": _ref("Acceptance")}},
            },
            **_problems(
                ("400", "No JSON object, or no usable Idempotency-Key"),
                ("403", "The Origin is not listed for this form"),
                ("404", "No such form"),
                ("413", "Larger than 64 KiB"),
                ("415", "Not application/json"),
                ("422", "Fields to correct, all of them; or the key was used for other content"),
                ("503", "The store cannot be written; see Retry-After"),
            ),
        },
    }


def _get_form() -> dict[str, Any]:
    return {
        "operationId": "getForm",
        "summary": "A form's fields, texts and notice",
        "responses": {
            "200": {
                "description": "The form",
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            **_problems(("404", "No such form")),
        },
    }


def _get_lead() -> dict[str, Any]:
    return {
        "operationId": "getLead",
        "summary": "What became of a lead; no personal data",
        "responses": {
            "200": {
                "description": "The lead's status",
                "content": {"application/json": {"schema": _ref("LeadStatus")}},
            },
            **_problems(("404", "No such lead"), ("503", "The store cannot be read; see Retry-After")),
        },
    }


def _get_page() -> dict[str, Any]:
    return {
        "operationId": "showForm",
        "summary": "The form as a page, also in an iframe",
        "parameters": [_parameter("lang", "query", {"type": "string"})],
        "responses": {"200": _page("The form"), "404": _page("No such form")},
    }


def _post_page() -> dict[str, Any]:
    body = {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}
    statuses = {
        "400": "Unreadable",
        "403": "The Origin is not listed for this form",
        "404": "No such form",
        "413": "Too large",
        "415": "Not a form",
        "422": "The form again, with what to correct",
        "503": "The form again, to be sent once more",
    }
    return {
        "operationId": "submitForm",
        "summary": "Accept a lead from an HTML form",
        "requestBody": {
            "required": True,
            "content": {"application/x-www-form-urlencoded": body, "multipart/form-data": body},
        },
        "responses": {
            "303": {
                "description": "Kept; to the thanks",
                "headers": {"Location": {"schema": {"type": "string"}}},
            },
            **{status: _page(description) for status, description in statuses.items()},
        },
    }


def _page(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/html": {"schema": {"type": "string"}}}}


def _answer_only(operation: str, description: str, **others: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": operation,
        "responses": {"200": {"description": description, "content": content}, **others},
    }


def _problems(*rows: tuple[str, str]) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _ref("Problem")}}
    return {status: {"description": description, "content": content} for status, description in rows}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schema_name(form: str) -> str:
    return f"Lead.{form}"


def _schemas(forms: Forms) -> dict[str, Any]:
    acceptance = {"id": _ID, "reference": _REFERENCE, "status": _STATUS, "receivedAt": _MOMENT}
    return {
        **{_schema_name(name): _describe_lead(form) for name, form in sorted(forms.forms.items())},
        "Acceptance": {"type": "object", "properties": acceptance, "required": list(acceptance)},
        "LeadStatus": {
            "type": "object",
            "properties": acceptance | {"deliveredAt": {**_MOMENT, "type": ["string", "null"]}},
            "required": [*acceptance, "deliveredAt"],
        },
        "Problem": _PROBLEM,
    }


_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "examples": ["#/email"]},
                    "code": {"type": "string", "examples": ["invalid_email"]},
                    "detail": {"type": "string"},
                },
                "required": ["pointer", "code", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}


def _describe_lead(form: Form) -> dict[str, Any]:
    """What the API takes for a form. Context (any type) is never refused; unknown keys are."""
    context: dict[str, Any] = {
        "language": {"description": "The visitor's language, one of the form's"},
        "receiver": {"description": "A receiver's name from the forms file"},
        "pageUrl": {"description": "The page on which the form was shown"},
        "marketing": {
            "description": "{referrer, utmTags: [{name, value}]}; campaign parameters may also stand at the top level"
        },
    }
    notice = {
        "type": ["object", "null"],
        "properties": {"version": {"type": "string"}, "shownAt": _MOMENT},
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": describe_field_properties(form) | {"notice": notice} | context,
        "anyOf": [{"required": ["email"]}, {"required": ["phone"]}],
    }
