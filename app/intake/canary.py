"""The enquiry of a canary: a lead that nobody sent, made to see whether leads arrive and can be read back."""

from collections.abc import Mapping
from types import MappingProxyType

from app.forms.model import ContactType, Form, Forms
from app.forms.routing import choose_receiver
from app.lead import Contact, Enquiry, Marketing, UtmTag

FIRST_NAME, LAST_NAME = "Leadgate", "Provlead"
"""The same at each canary, so that Vitec finds the contact again instead of making another."""

NOBODY = "provlead@example.com"
"""The address of a canary whose office has none; RFC 2606 keeps the domain for such."""

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "sv": "Provlead från Leadgate: ingen kund har skrivit detta. Det visar att ett lead når Vitec och går att "
        "läsa tillbaka. Ta gärna bort leadet och kontakten Leadgate Provlead efteråt.",
        "en": "A test lead from Leadgate: no customer wrote this. It shows that a lead reaches Vitec and can be "
        "read back. Feel free to remove the lead and the contact Leadgate Provlead afterwards.",
    }
)


def compose_canary(form: Form, forms: Forms, *, email: str | None = None) -> Enquiry:
    """Goes where an enquiry goes for which no route matches."""
    language = form.languages[0]
    choice = choose_receiver(form, forms, wanted=None, zip_code=None, values={})
    company = f"{FIRST_NAME} {LAST_NAME}" if form.contact_type is ContactType.COMPANY else None
    return Enquiry(
        language=language,
        contact=Contact(
            first_name=FIRST_NAME, last_name=LAST_NAME, email=email or NOBODY, company_name=company
        ),
        message=_WORDS.get(language, _WORDS["en"]),
        marketing=Marketing(
            utm_tags=(
                UtmTag(name="utm_source", value="leadgate"),
                UtmTag(name="utm_medium", value="canary"),
            )
        ),
        receiver=choice.receiver,
        receiver_reason=choice.reason,
    )
