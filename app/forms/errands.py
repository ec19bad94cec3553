"""Every place in Vitec that the forms may send a lead to, and which tables of the forms file name it."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.forms.model import Form, Forms
from app.forms.routing import may_ask_for
from app.lead import Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One table's way to Vitec."""

    source: str
    """The file that names it."""
    key: str
    """The table whose keys decide it, such as `forms.kontakt` or `receivers.solna`."""
    form: str
    destination: Destination
    has_fallback: bool
    """Whether the form names somebody else for a lead whose receiver Vitec refuses."""


def list_errands(forms: Forms) -> list[Errand]:
    """In the order of the forms. A receiver that no form names counts for every form whose page may ask for it."""
    return [errand for form in forms.forms.values() for errand in _list_form(form, forms)]


def _list_form(form: Form, forms: Forms) -> Iterator[Errand]:
    for name in (None, *_reach(form, forms)):
        receiver = forms.receivers.get(name) if name else None
        yield Errand(
            source=receiver.source if receiver else form.source,
            key=f"receivers.{name}" if name else f"forms.{form.name}",
            form=form.name,
            destination=forms.destination(form, name),
            has_fallback=form.fallback_receiver is not None,
        )


def _reach(form: Form, forms: Forms) -> list[str]:
    named = {name for each in forms.forms.values() for name in each.named_receivers}
    loose = [name for name in forms.receivers if name not in named and may_ask_for(name, form, forms)]
    return [*form.named_receivers, *loose]
