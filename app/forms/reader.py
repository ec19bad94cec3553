"""Reads the forms file or directory, and tells every mistake in it at once."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from app.errors import ConfigurationError
from app.forms.files import Document, read_documents
from app.forms.findings import Findings
from app.forms.form import build_form
from app.forms.grammar import check_grammar
from app.forms.layers import Layers
from app.forms.logins import LoginTable, build_login
from app.forms.model import ApiKey, Forms, Login, Receiver
from app.forms.references import References, check_references, explain_unknown, needs_login
from app.forms.shape import ApiKeyShape, LoginShape, Raw, ReceiverShape

_TABLES = {"forms": "form", "receivers": "receiver", "vitec": "login", "api_keys": "API key"}
_FORM_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NAME = re.compile(r"\w[\w.-]{0,63}")


def read_forms(path: Path, *, default_login: Login | None, environ: Mapping[str, str]) -> Forms:
    """Everything that the file, or the `*.toml` files of the directory, says.

    `default_login` is the login of the environment, if it has one; `environ` is asked for each `password_env`.
    Logins without credentials are left out: only forms in test mode may name them.
    Raises ConfigurationError with every mistake.
    """
    findings = Findings()
    documents = read_documents(path, findings=findings)
    checked = [(one, check_grammar(one, findings=findings)) for one in documents]
    _check_names(checked, findings=findings)
    if documents and not any(one.content.get("forms") for one in documents):
        findings.add(
            str(path),
            "forms",
            "has no form; write [forms.kontakt] with customer_id, assigned_to_id and lead_source_id",
        )
    forms = _build(checked, default_login=default_login, environ=environ, findings=findings)
    if findings.mistakes:
        raise ConfigurationError(findings.mistakes)
    return forms


def _check_names(documents: list[tuple[Document, Raw]], *, findings: Findings) -> None:
    seen: dict[tuple[str, str], str] = {}
    for document, content in documents:
        for table, kind in _TABLES.items():
            for name in content.get(table, {}):
                key = f"{table}.{name}"
                if other := seen.get((table, name)):
                    findings.add(
                        document.source, key, f"is in {other} too; a {kind} stands in one file, so rename one"
                    )
                elif problem := _find_fault(table, name):
                    findings.add(document.source, key, problem)
                seen.setdefault((table, name), document.source)


def _find_fault(table: str, name: str) -> str | None:
    if table == "forms" and not _FORM_NAME.fullmatch(name):
        return "is no form name; it stands in addresses: at most 64 lower-case letters a-z, digits, - and _"
    if not _NAME.fullmatch(name):
        return "is no name; it has at most 64 letters, digits, - and _"
    if (table, name) == ("vitec", "default"):
        return "is the login of LEADGATE_VITEC_USERNAME and LEADGATE_VITEC_PASSWORD; choose another name"
    return None


def _build(
    documents: list[tuple[Document, Raw]],
    *,
    default_login: Login | None,
    environ: Mapping[str, str],
    findings: Findings,
) -> Forms:
    layers = [one for document in documents for one in _read_layers(*document, findings=findings)]
    forms = {one.name: build_form(one) for one in layers}
    receivers = {one.name: one for document in documents for one in _read_receivers(*document)}
    tables = {one.name: one for document in documents for one in _read_logins(*document)}
    references = References(
        forms=forms, receivers=receivers, logins=(*tables, "default"), has_default=default_login is not None
    )
    check_references(references, layers, findings=findings)
    logins = {} if default_login is None else {"default": default_login}
    for name, table in tables.items():
        needed = needs_login(references, name)
        login = build_login(
            table, default_login=default_login, environ=environ, needed=needed, findings=findings
        )
        if login is not None:
            logins[name] = login
    keys = [key for document in documents for key in _read_keys(*document, forms=forms, findings=findings)]
    return Forms(forms=forms, receivers=receivers, logins=logins, api_keys={key.name: key for key in keys})


def _read_layers(document: Document, content: Raw, *, findings: Findings) -> Iterator[Layers]:
    defaults = content.get("defaults", {})
    for name, own in content.get("forms", {}).items():
        yield Layers(source=document.source, name=name, own=own, defaults=defaults, findings=findings)


def _read_receivers(document: Document, content: Raw) -> Iterator[Receiver]:
    for name, table in content.get("receivers", {}).items():
        shape = ReceiverShape.model_validate(table)
        yield Receiver(name=name, source=document.source, **shape.model_dump())


def _read_logins(document: Document, content: Raw) -> Iterator[LoginTable]:
    for name, table in content.get("vitec", {}).items():
        shape = LoginShape.model_validate(table)
        yield LoginTable(name=name, source=document.source, folder=document.path.parent, shape=shape)


def _read_keys(
    document: Document, content: Raw, *, forms: Mapping[str, object], findings: Findings
) -> Iterator[ApiKey]:
    for name, table in content.get("api_keys", {}).items():
        shape, key = ApiKeyShape.model_validate(table), f"api_keys.{name}"
        if shape.hash is None:
            findings.add(
                document.source, f"{key}.hash", "is missing; write the SHA-256 of the key in hexadecimal"
            )
        for form in shape.forms or ():
            if form not in forms:
                findings.add(document.source, f"{key}.forms", explain_unknown(form, kind="form", known=forms))
        # A key says nothing of the forms in other agencies' files.
        own = tuple(content.get("forms", {})) if shape.forms is None else tuple(shape.forms)
        yield ApiKey(name=name, hash=shape.hash or "", forms=own, rate=shape.rate)
