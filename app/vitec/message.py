"""The message an agent reads in Vitec, in the agency's own language."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from app.forms.model import Form
from app.identity import write_reference
from app.lead import Lead
from app.vitec.contact import Overflow, write_address

_WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "sv": {
            "enquiry": "Förfrågan från webben",
            "possible_duplicate": "Möjlig dubblett: samma förfrågan kan redan ha kommit in.",
            "phone": "Telefon",
            "unreadable_phone": "Telefon, som den skrevs",
            "email": "E-post",
            "name": "Namn",
            "contact_person": "Kontaktperson",
            "company": "Företag",
            "corporate_number": "Organisationsnummer",
            "address": "Adress",
            "follows": "Samma person skickade även",
            "consent": "Samtycke",
        },
        "en": {
            "enquiry": "Enquiry from the web",
            "possible_duplicate": "Possible duplicate: the same enquiry may have arrived already.",
            "phone": "Phone",
            "unreadable_phone": "Phone, as it was typed",
            "email": "E-mail",
            "name": "Name",
            "contact_person": "Contact person",
            "company": "Company",
            "corporate_number": "Company number",
            "address": "Address",
            "follows": "The same person also sent",
            "consent": "Consent",
        },
    }
)


def compose_message(
    lead: Lead, form: Form, *, overflow: Iterable[Overflow] = (), possible_duplicate: bool = False
) -> str:
    """What is wanted and about which home, the visitor's words, and what no field of Vitec's holds.

    Never empty. Lines end in LF. The fixed words are Swedish or English: English for any other language.
    """
    words = _WORDS.get(form.languages[0], _WORDS["en"])
    blocks = [
        [words["possible_duplicate"] if possible_duplicate else ""],
        [_write_subject(lead, form, words)],
        [lead.message],
        [
            _write_line(answer.label, answer.value)
            for answer in lead.answers
            if answer.name not in form.home_fields
        ],
        _tell_contact(lead, overflow, words),
        _tell_context(lead, words),
        [write_closing(lead.reference) if form.reference_in_message else ""],
    ]
    written = ("\n".join(line for line in block if line) for block in blocks)
    message = "\n\n".join(block for block in written if block.strip())
    return message.replace("\r\n", "\n").replace("\r", "\n").strip()


def write_closing(reference: str) -> str:
    """The last line of a message, the same in every language: it tells a lead whose tags are gone."""
    return f"Ref: {write_reference(reference)}"


def _write_subject(lead: Lead, form: Form, words: Mapping[str, str]) -> str:
    subject = form.subject.get(form.languages[0], "").strip() or words["enquiry"]
    home = _write_home(lead, form)
    return f"{subject}: {home}" if home else subject


def _write_home(lead: Lead, form: Form) -> str:
    contact, told = lead.contact, form.home_fields
    address = write_address(
        contact.street_address if "streetAddress" in told else None,
        contact.zip_code if "zipCode" in told else None,
        contact.city if "city" in told else None,
    )
    own = [answer.value.strip() for name in told for answer in lead.answers if answer.name == name]
    return ", ".join(part for part in (address, *own) if part)


def _tell_contact(lead: Lead, overflow: Iterable[Overflow], words: Mapping[str, str]) -> list[str]:
    return [
        _write_line(words["phone"], lead.contact.phone),
        _write_line(words["unreadable_phone"], lead.unreadable_phone),
        _write_line(words["email"], lead.contact.email),
        *(_write_line(words[one.what], one.value) for one in overflow),
    ]


def _tell_context(lead: Lead, words: Mapping[str, str]) -> list[str]:
    told = [consent.label for consent in lead.consents if consent.given and not consent.maps_to]
    return [
        # Without the closing line's label: this is another lead's reference, not its own.
        f"{words['follows']} {write_reference(lead.follows)}" if lead.follows else "",
        *(_write_line(words["consent"], label) for label in told),
    ]


def _write_line(label: str, value: str | None) -> str:
    value = (value or "").strip()
    return f"{label}: {value}" if value else ""
