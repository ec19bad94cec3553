"""One form, from its layers to the value that everything else works with."""

from app.forms.fields import build_consents, build_fields
from app.forms.layers import Layers
from app.forms.model import (
    ContactType,
    Field,
    Form,
    Mode,
    OnAmbiguous,
    Spam,
    Text,
    Theme,
)
from app.forms.privacy import build_privacy
from app.forms.routes import build_routes
from app.forms.texts import resolve_text
from app.lead import Destination


def build_form(layers: Layers) -> Form:
    """The form; its mistakes go to the layers. Where there are any, the value is not to be used."""
    shape = layers.shape
    languages = tuple(shape.languages)
    if len(set(languages)) < len(languages):
        layers.add("has a language twice; take one out", "languages")
    fields = build_fields(layers, languages)
    _check_home_fields(layers, fields)
    return Form(
        name=layers.name,
        source=layers.source,
        preset=shape.preset,
        title=_text(layers, "title", languages),
        intro=_text(layers, "intro", languages),
        submit_label=_text(layers, "submit_label", languages),
        thanks=_text(layers, "thanks", languages),
        subject=_text(layers, "subject", languages),
        home_fields=tuple(shape.home_fields),
        languages=languages,
        phone_region=shape.phone_region,
        fields=fields,
        destination=_build_destination(layers),
        receiver=shape.receiver,
        fallback_receiver=shape.fallback_receiver,
        routes=build_routes(layers, fields=fields),
        category_ids=tuple(shape.category_ids),
        contact_type=ContactType(shape.contact_type),
        allowed_origins=tuple(dict.fromkeys(shape.allowed_origins)),
        redirect_url=shape.redirect_url,
        mode=Mode(shape.mode),
        on_ambiguous=OnAmbiguous(shape.on_ambiguous),
        receipt=shape.receipt,
        reference_in_message=shape.reference_in_message,
        extra_tags=shape.extra_tags,
        parameters=tuple(dict.fromkeys(shape.parameters)),
        theme=Theme(**shape.theme.model_dump()),
        privacy=build_privacy(layers, languages),
        consents=build_consents(layers, languages, fields=fields),
        spam=_build_spam(layers),
    )


def _text(layers: Layers, key: str, languages: tuple[str, ...]) -> Text:
    return resolve_text(
        getattr(layers.shape, key),
        languages,
        add=lambda message: layers.add(message, key),
        may_be_empty=key == "intro",
    )


def _check_home_fields(layers: Layers, fields: tuple[Field, ...]) -> None:
    names = [field.name for field in fields]
    for name in layers.shape.home_fields:
        if name not in names:
            layers.add(f'"{name}" is no field of the form; it has {", ".join(names)}', "home_fields")


def _build_destination(layers: Layers) -> Destination:
    shape = layers.shape
    examples = {"customer_id": "M12345", "assigned_to_id": "HAN…", "lead_source_id": "…"}
    for key, example in examples.items():
        if getattr(shape, key) is None:
            layers.add(f'is missing; write {key} = "{example}" here or in [defaults]', key)
    return Destination(
        customer_id=shape.customer_id or "",
        assigned_to_id=shape.assigned_to_id or "",
        lead_source_id=shape.lead_source_id or "",
        office_id=shape.office_id,
        assignment_source_id=shape.assignment_source_id,
        vitec=shape.vitec,
        office_email=shape.office_email,
    )


def _build_spam(layers: Layers) -> Spam:
    shape = layers.shape.spam
    if shape.quarantine_at < shape.challenge_at:
        layers.add(
            f"is {shape.quarantine_at:g}, less than challenge_at, which is {shape.challenge_at:g}; "
            "a lead is challenged before it is quarantined",
            "spam",
            "quarantine_at",
        )
    return Spam(
        quarantine_at=shape.quarantine_at,
        challenge_at=shape.challenge_at,
        words=tuple(shape.words),
        trusted_networks=tuple(shape.trusted_networks),
        require_key=shape.require_key,
    )
