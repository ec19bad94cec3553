"""What is allowed in a forms file and still deserves a second look."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from app.errors import Mistake
from app.forms.addresses import is_loopback
from app.forms.colours import find_faint
from app.forms.model import Form, Forms, Route
from app.forms.postcodes import ZipRange, format_range, intersect, subtract, unite
from app.forms.routing import may_ask_for

SWEDEN: ZipRange = (10000, 98499)
"""The postcodes in use, of PostNord's five-digit numbers."""

_SHOWN = 5


def find_warnings(forms: Forms) -> tuple[Mistake, ...]:
    """In the order of the forms, then of the receivers."""
    found = [warning for form in forms.forms.values() for warning in _look_at_form(form)]
    return (*found, *_look_at_receivers(forms))


def _look_at_form(form: Form) -> Iterator[Mistake]:
    for key, message in (
        *_look_at_privacy(form),
        *_look_at_origins(form),
        *((f"theme.{key}", message) for key, message in find_faint(form.theme)),
        *_look_at_routes(form),
    ):
        yield Mistake(form.source, f"forms.{form.name}.{key}", message)
    if not form.destination.customer_id.startswith("M"):
        yield Mistake(form.source, f"forms.{form.name}.customer_id", _NO_OFFICE)


_NO_OFFICE = "does not begin with M, so it is no brokerage office of Vitec's; check it with them"


def _look_at_privacy(form: Form) -> Iterator[tuple[str, str]]:
    if not form.privacy.controller:
        yield (
            "privacy.controller",
            "is missing; write the company's name and registration number, as GDPR article 13 asks",
        )
    if not form.privacy.policy_url:
        yield "privacy.policy_url", "is missing; write the address of the agency's privacy policy"


def _look_at_origins(form: Form) -> Iterator[tuple[str, str]]:
    for origin in form.allowed_origins:
        parts = urlsplit(origin)
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            yield (
                "allowed_origins",
                f"{origin} is not encrypted: others can read what its visitors write; use https",
            )


def _look_at_receivers(forms: Forms) -> Iterator[Mistake]:
    named = {name for form in forms.forms.values() for name in form.named_receivers}
    for name, receiver in forms.receivers.items():
        if name not in named:
            yield Mistake(receiver.source, f"receivers.{name}", _explain_unnamed(name, forms))
        if receiver.customer_id and not receiver.customer_id.startswith("M"):
            yield Mistake(receiver.source, f"receivers.{name}.customer_id", _NO_OFFICE)


def _explain_unnamed(name: str, forms: Forms) -> str:
    if any(may_ask_for(name, form, forms) for form in forms.forms.values()):
        return "is named by no form; only a page that asks for it reaches it"
    return (
        "is named by no form, and no page may ask for it: it leads to another customer or login than theirs, and "
        "stands in another file; write it into the file of its form"
    )


def _look_at_routes(form: Form) -> Iterator[tuple[str, str]]:
    for index, route in enumerate(form.routes):
        # Only routes that ask for nothing more can take this one's leads for certain.
        earlier = [
            (number, other)
            for number, other in enumerate(form.routes[:index], start=1)
            if other.when.items() <= route.when.items()
        ]
        key = f"routes[{index + 1}]"
        if _is_shadowed(route, [other for _, other in earlier]):
            numbers = " and ".join(str(number) for number, other in earlier if _meet(route, other))
            yield (
                key,
                f"can never match: all it asks for is taken by route {numbers} before it; take it out or move it up",
            )
        else:
            yield from _look_at_overlaps(key, route, earlier)
    yield from _look_at_gaps(form)


def _is_shadowed(route: Route, earlier: list[Route]) -> bool:
    if any(not other.zip for other in earlier):
        return True
    taken = [span for other in earlier for span in other.zip]
    return bool(route.zip) and not any(subtract(span, taken) for span in route.zip)


def _meet(route: Route, other: Route) -> bool:
    return not other.zip or bool(intersect(route.zip, other.zip))


def _look_at_overlaps(key: str, route: Route, earlier: list[tuple[int, Route]]) -> Iterator[tuple[str, str]]:
    for number, other in earlier:
        shared = intersect(route.zip, other.zip)
        if shared and other.receiver != route.receiver:
            message = (
                f"shares postcodes {_list(shared)} with route {number}; they go to {other.receiver}, "
                f"not to {route.receiver}, because the first match wins"
            )
            yield key, message


def _look_at_gaps(form: Form) -> Iterator[tuple[str, str]]:
    routes = [route for route in form.routes if not route.when]
    gaps = subtract(SWEDEN, [span for route in routes for span in route.zip])
    if gaps and any(route.zip for route in form.routes):
        taker = form.receiver or "the form's own assigned_to_id"
        yield "routes", f"no route by postcode alone covers {_list(gaps)}; such leads go to {taker}"


def _list(spans: list[ZipRange]) -> str:
    shown = ", ".join(format_range(span) for span in unite(spans)[:_SHOWN])
    more = len(spans) - _SHOWN
    return f"{shown} and {more} more ranges" if more > 0 else shown
