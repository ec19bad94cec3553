"""The receipt: an enquiry has come in. It repeats nothing that was typed, so that it carries nobody's words."""

from app.forms.model import Form
from app.identity import write_reference
from app.lead import Lead
from app.notices.letter import Letter, name_address
from app.notices.telling import find_voice
from app.post import read_address


def write_receipt(lead: Lead, form: Form, *, office: str | None) -> Letter | None:
    """In the visitor's language, answers going to the office. None where there is no address to send it to."""
    to = name_address("", lead.contact.email)
    if to is None:
        return None
    voice = find_voice(lead.language, *form.languages)
    _ = voice.say
    agency = form.privacy.controller or ""
    from_whom = (
        _("{agency} has received your enquiry.", agency=agency)
        if agency
        else _("We have received your enquiry.")
    )
    paragraphs = [
        _("Hello,"),
        f"{from_whom} {form.thanks.get(voice.language) or form.thanks[form.languages[0]]}",
        _(
            "Your reference is {reference}. Mention it if you contact us about this.",
            reference=write_reference(lead.reference),
        ),
        _("If you want to add something, answer this mail.") if office else "",
        _("If you have sent us nothing, somebody else has written your address: you need not do anything."),
        agency,
    ]
    return Letter(
        to=to,
        reply_to=read_address(office) if office else None,
        subject=_("We have received your enquiry"),
        text="\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n",
        sender_name=agency or "Leadgate",
    )
