"""Who receives a lead, and why. Pure: one table of rules over one lead's answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.forms.model import FieldType, Form, Forms, Route
from app.forms.postcodes import ZipRange, format_range, parse_postcode
from app.lead import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    receiver: str | None
    """None is the form's own keys."""
    reason: str
    """For the operator; says what the forms file says, never what the visitor typed."""
    note: Note | None = None


def choose_receiver(
    form: Form, forms: Forms, *, wanted: str | None, zip_code: str | None, values: Mapping[str, str]
) -> Choice:
    """What the page asks for, else the first route that matches, else the form's receiver, else its own keys.

    `values` are the lead's answers by field name, a checkbox's being `true` or `false`.
    """
    if wanted and may_ask_for(wanted, form, forms):
        return Choice(receiver=wanted, reason=f"the page asked for {wanted}")
    note = None
    if wanted:
        # The name came from outside, so that it is not repeated.
        note = Note(
            code="receiver_unknown", detail="the page asked for a receiver that the form does not have"
        )
    postcode = parse_postcode(zip_code or "")
    for number, route in enumerate(form.routes, start=1):
        why = _match(form, route, postcode=postcode, values=values)
        if why is not None:
            return Choice(receiver=route.receiver, reason=f"route {number}: {why}", note=note)
    before = "no route matched; " if form.routes else ""
    if form.receiver:
        return Choice(
            receiver=form.receiver, reason=f"{before}the form's receiver is {form.receiver}", note=note
        )
    return Choice(receiver=None, reason=f"{before}the form's own assigned_to_id", note=note)


def may_ask_for(name: str, form: Form, forms: Forms) -> bool:
    """Whether a page may have the form's leads sent to that receiver.

    What a page says comes from outside, and a folder may hold the files of several agencies: the form or its file has
    the receiver, or it leads to the form's own account, as its own file's forms would use it.
    """
    receiver = forms.receivers.get(name)
    if receiver is None:
        return False
    if receiver.source == form.source or name in form.named_receivers:
        return True
    users = [one for one in forms.forms.values() if one.source == receiver.source]
    return all(forms.destination(one, name).account == form.destination.account for one in (form, *users))


def _match(form: Form, route: Route, *, postcode: int | None, values: Mapping[str, str]) -> str | None:
    """Why the route matches, None when it does not."""
    reasons = []
    if route.zip:
        span = _find_range(route.zip, postcode)
        if span is None:
            return None
        reasons.append(f"the postcode is within {format_range(span)}")
    for name, value in route.when.items():
        if _answer(form, name, values) != value:
            return None
        reasons.append(f"{name} is {value}")
    return " and ".join(reasons)


def _find_range(spans: tuple[ZipRange, ...], postcode: int | None) -> ZipRange | None:
    if postcode is None:
        return None
    return next((span for span in spans if span[0] <= postcode <= span[1]), None)


def _answer(form: Form, name: str, values: Mapping[str, str]) -> str:
    field = form.field(name)
    # A browser leaves an unticked box out.
    unanswered = "false" if field is not None and field.type is FieldType.CHECKBOX else ""
    return values.get(name, unanswered).strip()
