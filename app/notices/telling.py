"""A lead as people read it in mail: labels and values in their language, nothing left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from gettext import NullTranslations
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from app.forms.model import Form
from app.i18n import LANGUAGES, get_translations
from app.identity import write_reference
from app.lead import Lead
from app.phones import write_international

_HERE = ZoneInfo("Europe/Stockholm")

Row = tuple[str, str]
"""Label and value."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A language, with its catalog."""

    language: str
    translations: NullTranslations

    def say(self, text: str, **values: object) -> str:
        return self.translations.gettext(text).format(**values)

    def write_moment(self, moment: datetime) -> str:
        """In Swedish time."""
        return format_datetime(
            moment, "d MMMM y HH:mm", tzinfo=_HERE, locale="sv" if self.language == "sv" else "en_GB"
        )


def find_voice(*languages: str) -> Voice:
    """The first of the languages that there are texts in; English otherwise."""
    language = next((one for one in languages if one in LANGUAGES), "en")
    return Voice(language, get_translations(language))


def describe_person(lead: Lead, voice: Voice) -> list[Row]:
    """Who it is, and how they are answered."""
    _ = voice.say
    contact = lead.contact
    address = ", ".join(
        part
        for part in (contact.street_address, " ".join(filter(None, (contact.zip_code, contact.city))))
        if part
    )
    rows = (
        (_("Name"), contact.full_name),
        (_("Company"), contact.company_name),
        (_("Company number"), contact.corporate_number),
        (_("Phone"), contact.phone and write_international(contact.phone)),
        (_("Phone, as it was typed"), lead.unreadable_phone),
        (_("Email"), contact.email),
        (_("Address"), address),
    )
    return [(label, value) for label, value in rows if value]


def describe_rest(lead: Lead, form: Form | None, voice: Voice) -> list[Row]:
    """What was answered and agreed to, and where it came from."""
    return [(label, value) for label, value in _list_rest(lead, form, voice) if value]


def _list_rest(lead: Lead, form: Form | None, voice: Voice) -> Iterator[tuple[str, str | None]]:
    _ = voice.say
    yield from ((answer.label, answer.value) for answer in lead.answers)
    for consent in lead.consents:
        yield consent.label, _("Yes") if consent.given else _("No")
    yield _("Form"), form.title.get(form.languages[0]) if form else lead.form
    yield _("Page"), lead.page_url or lead.marketing.referrer
    yield _("Campaign"), ", ".join(f"{tag.name}={tag.value}" for tag in lead.marketing.utm_tags)
    yield _("Receiver"), lead.receiver
    yield _("Earlier enquiry"), write_reference(lead.follows) if lead.follows else None
    yield _("Received"), voice.write_moment(lead.received_at)
    yield _("Reference"), write_reference(lead.reference)
