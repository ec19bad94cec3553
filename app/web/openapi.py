"""/openapi.json: the API and the pages as they are, with each configured form's own fields."""

from typing import Any

from app import __version__
from app.forms.model import Forms
from app.web.bodies import MAX_BODY
from app.web.components import ID, TEXT, describe_components, ref, ref_lead
from app.web.describing import make_example

_DEFECT = {"500": "A defect of the gateway's own"}


def describe_api(forms: Forms, *, public_url: str | None) -> dict[str, Any]:
    """OpenAPI 3.1. Written out, because the routes are plain Starlette; tests hold it against them."""
    form = _parameter("form", "path", {**TEXT, "enum": sorted(forms.forms)})
    lead = _parameter("id", "path", ID)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Leadgate",
            "version": __version__,
            "description": "Web forms' leads, kept before they are answered and delivered to the CRM.",
        },
        "servers": [{"url": public_url or "/"}],
        "paths": {
            "/api/v1/forms/{form}/leads": {
                "parameters": [form],
                "post": _post_lead(forms),
                "options": _preflight("postLead"),
            },
            "/api/v1/forms/{form}": {
                "parameters": [form],
                "get": _get_form(),
                "options": _preflight("getForm"),
            },
            "/api/v1/leads/{id}": {
                "parameters": [lead],
                "get": _get_lead(),
                "options": _preflight("getLead"),
            },
            "/f/{form}": {"parameters": [form, _LANG], "get": _show_form(), "post": _submit_form()},
            "/f/{form}/thanks/{id}": {"parameters": [form, lead, _LANG], "get": _show_thanks()},
            "/f/{form}/theme.css": {"parameters": [form], "get": _show_theme()},
            "/embed/{file}": {
                "parameters": [_parameter("file", "path", {**TEXT, "examples": ["v1.js", "v1.json"]})],
                "get": _get_embed(),
            },
            "/embed/v1/{form}": {"parameters": [form], "get": _explain_frame()},
            "/healthz": {"get": _check_health("isAlive", "The process is alive", {})},
            "/readyz": {
                "get": _check_health(
                    "isReady", "A lead can be accepted", {"503": "The store cannot be written"}
                )
            },
        },
        "components": {
            "schemas": describe_components(forms),
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
        },
    }


def _parameter(name: str, place: str, schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    found = {"name": name, "in": place, "required": place == "path", "schema": schema}
    return found | ({"description": description} if description else {})


_LANG = _parameter("lang", "query", TEXT, "The language wished for; otherwise Accept-Language.")
_KEY = _parameter(
    "Idempotency-Key",
    "header",
    {**TEXT, "minLength": 1, "maxLength": 257},
    "1 to 255 printable ASCII characters, quoted or bare. Within the form: the same key and content is the same"
    " lead; other content is a 422.",
)
_PREFER = _parameter(
    "Prefer",
    "header",
    {**TEXT, "examples": ["wait=5"]},
    "RFC 7240: `wait=N` waits for delivery, at most 10 seconds. `challenge` says that the sender can do a proof of"
    " work, and would rather do it than have a suspect lead wait for a human.",
)


def _post_lead(forms: Forms) -> dict[str, Any]:
    content = {
        "schema": {"anyOf": [ref_lead(name) for name in sorted(forms.forms)]},
        "examples": {name: {"value": make_example(form)} for name, form in sorted(forms.forms.items())},
    }
    return {
        "operationId": "postLead",
        "summary": "Accept a lead",
        "description": "202 means: on disk. Delivery to the CRM follows, whatever its health.",
        "security": [{}, {"apiKey": []}],
        "parameters": [_KEY, _PREFER, _LANG],
        "requestBody": {
            "required": True,
            "description": f"At most {MAX_BODY // 1024} KiB.",
            "content": {"application/json": content},
        },
        "responses": {
            "202": {
                "description": "Kept",
                "headers": {
                    "Location": _header(TEXT),
                    "Leadgate-Conversion": _header(
                        {"enum": ["0", "1"], "description": "0 for what advertising should not count"}
                    ),
                    "Leadgate-Redirect": _header(
                        {**TEXT, "description": "Where the form sends visitors afterwards"}
                    ),
                    "Idempotent-Replayed": _header({"const": "true"}),
                    "Preference-Applied": _header(TEXT),
                },
                "content": _json(ref("Acceptance")),
            },
            **_problems(
                {
                    "400": "No JSON object, or no usable Idempotency-Key",
                    "401": "The API key is unknown, or the form asks for one",
                    "403": "The Origin is not listed for this form, or the API key is not for it",
                    "404": "No such form",
                    "413": f"Larger than {MAX_BODY // 1024} KiB",
                    "415": "Not application/json",
                    "422": "Fields to correct, all of them; or the Idempotency-Key was used for other content; or"
                    " the member `challenge` is to be solved first",
                    "429": "The client's limit is reached; nothing was kept",
                    "503": "The store cannot be written",
                }
            ),
        },
    }


def _get_form() -> dict[str, Any]:
    return {
        "operationId": "getForm",
        "summary": "A form's fields, texts and notice",
        "responses": {
            "200": {"description": "The form", "content": _json(ref("Form"))},
            **_problems({"404": "No such form"}),
        },
    }


def _get_lead() -> dict[str, Any]:
    return {
        "operationId": "getLead",
        "summary": "What became of a lead; no personal data",
        "responses": {
            "200": {"description": "The lead's status", "content": _json(ref("LeadStatus"))},
            **_problems({"404": "No such lead", "503": "The store cannot be read"}),
        },
    }


def _preflight(operation: str) -> dict[str, Any]:
    return {
        "operationId": f"{operation}Preflight",
        "summary": "What a page of another origin may ask",
        "responses": {"204": {"description": "As the headers say"}, **_problems({})},
    }


def _show_form() -> dict[str, Any]:
    return {
        "operationId": "showForm",
        "summary": "The form as a page, also in an iframe",
        "description": "Further parameters: any field of the form, to be filled in beforehand; campaign"
        " parameters; `pageUrl` and `receiver`.",
        "responses": {"200": _page("The form"), **_pages({"404": "No such form"})},
    }


def _submit_form() -> dict[str, Any]:
    body = {"schema": {"type": "object", "additionalProperties": TEXT}}
    return {
        "operationId": "submitForm",
        "summary": "Accept a lead from an HTML form",
        "description": "Whoever names application/json in Accept, as the page's own script does, is answered in"
        " JSON, and with problems instead of pages.",
        "requestBody": {
            "required": True,
            "description": "The fields of a lead by their dotted names; others are ignored.",
            "content": {"application/x-www-form-urlencoded": body, "multipart/form-data": body},
        },
        "responses": {
            "200": {"description": "Kept, told as JSON", "content": _json(ref("Submission"))},
            "303": {"description": "Kept; to the thanks", "headers": {"Location": _header(TEXT)}},
            **_pages_or_problems(
                {
                    "400": "Unreadable",
                    "403": "The Origin is not listed for this form",
                    "404": "No such form",
                    "413": "Too large",
                    "415": "Not a form",
                    "422": "The form again, with what to correct",
                    "429": "The form again, to be sent later",
                    "503": "The form again, to be sent once more",
                }
            ),
        },
    }


def _show_thanks() -> dict[str, Any]:
    return {
        "operationId": "showThanks",
        "summary": "The thanks, with the lead's reference",
        "responses": {
            "200": _page("The thanks"),
            **_pages({"404": "No such lead of this form", "503": "The store cannot be read"}),
        },
    }


def _show_theme() -> dict[str, Any]:
    return {
        "operationId": "showTheme",
        "summary": "The form's colours and measures",
        "responses": {
            "200": {"description": "A stylesheet", "content": {"text/css": {"schema": TEXT}}},
            **_pages({"404": "No such form"}),
        },
    }


def _get_embed() -> dict[str, Any]:
    pin = {"type": "object", "properties": {"src": TEXT, "integrity": TEXT}, "required": ["src", "integrity"]}
    script = {"text/javascript": {"schema": TEXT}}
    return {
        "operationId": "getEmbedScript",
        "summary": "The embed script; v1.json tells its immutable address and its integrity value",
        "responses": {
            "200": {"description": "The script", "content": script | _json(pin)},
            "304": {"description": "Not changed"},
            **_problems({"404": "No such script"}),
        },
    }


def _explain_frame() -> dict[str, Any]:
    cause = {"type": "object", "properties": {"code": TEXT, "detail": TEXT}, "required": ["code", "detail"]}
    return {
        "operationId": "explainFrame",
        "summary": "Why the page that asks cannot show the form, for whoever builds it",
        "responses": {"200": {"description": "The cause", "content": _json(cause)}, **_problems({})},
    }


def _check_health(operation: str, description: str, problems: dict[str, str]) -> dict[str, Any]:
    answer = {"type": "object", "properties": {"status": TEXT}, "required": ["status"]}
    return {
        "operationId": operation,
        "summary": description,
        "responses": {
            "200": {"description": description, "content": _json(answer)},
            **_problems(problems),
        },
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _header(schema: dict[str, Any]) -> dict[str, Any]:
    return {"schema": schema}


def _page(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/html": {"schema": TEXT}}}


def _pages(rows: dict[str, str]) -> dict[str, Any]:
    return {status: _page(text) | _retry_after(status) for status, text in (rows | _DEFECT).items()}


def _pages_or_problems(rows: dict[str, str]) -> dict[str, Any]:
    pages, problems = _pages(rows), _problems(rows)
    both = {status: pages[status]["content"] | problems[status]["content"] for status in pages}
    return {status: page | {"content": both[status]} for status, page in pages.items()}


def _problems(rows: dict[str, str]) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": ref("Problem")}}
    return {
        status: {"description": text, "content": content} | _retry_after(status)
        for status, text in (rows | _DEFECT).items()
    }


def _retry_after(status: str) -> dict[str, Any]:
    return {"headers": {"Retry-After": _header({"type": "integer"})}} if status in {"429", "503"} else {}
