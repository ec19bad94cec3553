"""What the page's script is told: its words, and what became of what it sent."""

import json
from typing import Any

from app.forms.model import Form
from app.i18n import describe_error, describe_problem, get_translations
from app.identity import write_reference
from app.store.words import Acceptance


def describe_acceptance(accepted: Acceptance, form: Form, *, thanks: str) -> dict[str, Any]:
    """`redirect` is where the form sends its visitors, if anywhere; `thanks` is there in any case."""
    return {
        "id": accepted.lead_id,
        "reference": write_reference(accepted.reference),
        "thanks": thanks,
        "redirect": form.redirect_url,
        "conversion": accepted.state.converts,
    }


def write_words(language: str, *, either: bool) -> str:
    """As JSON, in the words of the page that comes without a script. `either`: e-mail or phone will do."""
    translations = get_translations(language)
    gettext, ngettext = translations.gettext, translations.ngettext
    words: dict[str, Any] = {
        "error": gettext("Error:"),
        "one": ngettext("One thing needs to be corrected", "%(count)s things need to be corrected", 1),
        "many": ngettext("One thing needs to be corrected", "%(count)s things need to be corrected", 2),
        "kept": gettext("Nothing has been sent yet, and what you wrote is still here."),
        "required": describe_error("required", translations=translations, label="{label}"),
        "email": describe_error("invalid_email", translations=translations, label=""),
        "failed": describe_problem(500, translations=translations),
        "sending": gettext("Sending…"),
        "slow": gettext("Still sending. This takes longer than usual."),
        "sent": gettext("It has arrived."),
        "reference": gettext("Your reference"),
        "lost": gettext(
            "We get no answer, so we cannot say that your message has arrived. What you wrote is still here. We"
            " keep trying for as long as this page is open, and it will arrive only once."
        ),
        "held": gettext(
            "Your message has not been confirmed. What you wrote is still here: send it when you are ready."
        ),
    }
    if either:
        words["either"] = describe_error("email_or_phone_required", translations=translations, label="")
    return json.dumps(words, ensure_ascii=False, separators=(",", ":"))
