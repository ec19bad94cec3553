"""The tables of a forms file: their keys and each value by itself. What spans several keys is checked later."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from app.forms import values


class Shape(BaseModel):
    """Every key is optional here: one that is missing may stand in `[defaults]` or in the preset."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _as_option(value: object) -> object:
    return {"value": value, "label": value} if isinstance(value, str) else value


class OptionShape(Shape):
    value: values.FilledText
    label: values.RawText


class FieldShape(Shape):
    name: str | None = None
    type: (
        Literal[
            "text", "textarea", "email", "tel", "number", "postcode", "select", "radio", "checkbox", "hidden"
        ]
        | None
    ) = None
    label: values.RawText | None = None
    help: values.RawText | None = None
    required: bool = False
    options: list[Annotated[OptionShape, BeforeValidator(_as_option)]] | None = None
    min: values.Number | None = None
    max_length: Annotated[int, Field(ge=1, le=5000)] | None = None


class RouteShape(Shape):
    zip: list[values.Zip] | None = None
    when: dict[str, values.Condition] | None = None
    receiver: str | None = None


class ThemeShape(Shape):
    accent: values.Colour | None = None
    background: values.Colour | None = None
    text: values.Colour | None = None
    radius: values.Length | None = None
    font: values.Font | None = None
    spacing: values.Length | None = None
    mode: Literal["light", "dark", "auto"] = "light"
    logo: values.Asset | None = None
    stylesheet: values.Asset | None = None


class RetentionShape(Shape):
    delivered: values.Duration | None = None
    discarded: values.Duration | None = None
    quarantined: values.Duration | None = None


class PrivacyShape(Shape):
    controller: values.FilledText | None = None
    policy_url: values.PageUrl | None = None
    notice: values.RawText | None = None
    version: values.FilledText | None = None
    retention: RetentionShape = RetentionShape()


class ConsentShape(Shape):
    label: values.RawText | None = None
    maps_to: Literal["wishAdvertising"] | None = None
    required: values.NeverRequired = None


class SpamShape(Shape):
    quarantine_at: Annotated[float, Field(ge=0)] = 1.0
    challenge_at: Annotated[float, Field(ge=0)] = 0.5
    words: list[values.FilledText] = []
    trusted_networks: list[values.Network] = []
    require_key: bool = False


class FormShape(Shape):
    """A `[forms.NAME]`, and `[defaults]` too."""

    preset: Literal["kontakt", "vardering", "objekt"] = "kontakt"
    title: values.RawText | None = None
    intro: values.RawText | None = None
    submit_label: values.RawText | None = None
    thanks: values.RawText | None = None
    subject: values.RawText | None = None
    home_fields: list[str] = []
    languages: Annotated[list[values.Language], Field(min_length=1)] = ["sv", "en"]
    phone_region: values.Region = "SE"
    customer_id: values.CustomerId | None = None
    assigned_to_id: values.VitecId | None = None
    lead_source_id: values.VitecId | None = None
    office_id: values.VitecId | None = None
    assignment_source_id: values.VitecId | None = None
    category_ids: list[values.VitecId] = []
    contact_type: Literal["person", "company"] = "person"
    vitec: str = "default"
    receiver: str | None = None
    fallback_receiver: str | None = None
    routes: list[RouteShape] = []
    office_email: values.Email | None = None
    allowed_origins: list[values.Origin] = []
    redirect_url: values.PageUrl | None = None
    mode: Literal["live", "test"] = "live"
    on_ambiguous: Literal["hold", "resend"] = "hold"
    receipt: bool = False
    reference_in_message: bool = True
    extra_tags: bool = True
    parameters: list[values.Parameter] = []
    fields: list[FieldShape] = []
    theme: ThemeShape = ThemeShape()
    privacy: PrivacyShape = PrivacyShape()
    consents: dict[str, ConsentShape] = {}
    spam: SpamShape = SpamShape()


class ReceiverShape(Shape):
    customer_id: values.CustomerId | None = None
    assigned_to_id: values.VitecId | None = None
    office_id: values.VitecId | None = None
    lead_source_id: values.VitecId | None = None
    assignment_source_id: values.VitecId | None = None
    vitec: str | None = None
    office_email: values.Email | None = None


class PasswordShape(Shape):
    password_file: values.FilledText | None = None
    password_env: values.FilledText | None = None


class LoginShape(PasswordShape):
    username: values.FilledText | None = None
    base_url: values.BaseUrl | None = None
    contact: PasswordShape | None = None
    create: PasswordShape | None = None
    read: PasswordShape | None = None


class ApiKeyShape(Shape):
    hash: values.KeyHash | None = None
    forms: Annotated[list[str], Field(min_length=1)] | None = None
    rate: values.Rate | None = None


class FileShape(Shape):
    defaults: FormShape = FormShape()
    forms: dict[str, FormShape] = {}
    receivers: dict[str, ReceiverShape] = {}
    vitec: dict[str, LoginShape] = {}
    api_keys: dict[str, ApiKeyShape] = {}


Raw = dict[str, Any]
"""A table as TOML has it."""
