"""Names in the forms file that stand for something elsewhere in it: receivers and logins."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.forms.findings import Findings, suggest
from app.forms.layers import Layers
from app.forms.model import Form, Mode, Receiver

_NO_CREDENTIALS = (
    "the login default has no credentials; set LEADGATE_VITEC_USERNAME and LEADGATE_VITEC_PASSWORD, "
    'or write mode = "test"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What there is to be named, in all files together."""

    forms: Mapping[str, Form]
    receivers: Mapping[str, Receiver]
    logins: tuple[str, ...]
    has_default: bool


def explain_unknown(name: str, *, kind: str, known: Iterable[str]) -> str:
    """`"slona" is not a receiver; the file has solna, city. Did you mean solna?`"""
    names = tuple(known)
    has = f"the file has {', '.join(names)}." if names else "the file has none."
    return f'"{name}" is not a {kind}; {has}{suggest(name, names)}'


def check_references(references: References, layers: Iterable[Layers], *, findings: Findings) -> None:
    for one in layers:
        _check_form(references, one)
    live = [form for form in references.forms.values() if form.mode is Mode.LIVE]
    for receiver in references.receivers.values():
        key = f"receivers.{receiver.name}.vitec"
        if receiver.vitec and receiver.vitec not in references.logins:
            message = explain_unknown(receiver.vitec, kind="login", known=references.logins)
            findings.add(receiver.source, key, message)
        elif receiver.vitec == "default" and live and not references.has_default:
            findings.add(receiver.source, key, _NO_CREDENTIALS)


def _check_form(references: References, layers: Layers) -> None:
    shape = layers.shape
    named = [(shape.receiver, ("receiver",)), (shape.fallback_receiver, ("fallback_receiver",))]
    routes = [
        (route.receiver, (f"routes[{number}]", "receiver"))
        for number, route in enumerate(shape.routes, start=1)
    ]
    for name, path in (*named, *routes):
        if name is not None and name not in references.receivers:
            layers.add(explain_unknown(name, kind="receiver", known=references.receivers), *path)
    if shape.vitec not in references.logins:
        layers.add(explain_unknown(shape.vitec, kind="login", known=references.logins), "vitec")
    elif shape.vitec == "default" and shape.mode == "live" and not references.has_default:
        layers.add(_NO_CREDENTIALS, "vitec")


def needs_login(references: References, name: str) -> bool:
    """Whether a lead may need it. One that nothing names is held to the same: it is there for a reason."""
    forms = references.forms.values()
    by_receiver = any(receiver.vitec == name for receiver in references.receivers.values())
    # A page may ask for a receiver that its form does not name: whose page is not asked here.
    users = [form for form in forms if by_receiver or form.destination.vitec == name]
    return not users or any(form.mode is Mode.LIVE for form in users)
