"""Mail to the office: a lead whole when it is held or late, that it is in Vitec now, and what still waits."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.forms.live import LiveForms
from app.forms.model import Form
from app.identity import write_reference
from app.lead import Lead
from app.links import Act, LinkSigner
from app.notices.letter import Letter, name_address
from app.notices.telling import Voice, describe_person, describe_rest, find_voice
from app.post import read_address
from app.reasons import tell_reason
from app.resources import TEMPLATES
from app.store.notices import Notice

_MAY_EXIST = "may exist in Vitec"
_REFUSED = "refused by Vitec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A lead in an office's hands."""

    lead: Lead
    reason: str | None = None
    """Why it is held; None while it waits."""


class OfficeDesk:
    """Writes to offices, each in its agency's own language."""

    def __init__(
        self, *, forms: LiveForms, signer: LinkSigner, public_url: str | None, alert_email: str | None
    ) -> None:
        self._forms = forms
        self._signer = signer
        self._public_url = public_url
        self._alert_email = alert_email
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES / "mail"),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def find_address(self, form: str, receiver: str | None) -> str | None:
        """The receiver's office, or the form's; else the operator."""
        return self.find_office(form, receiver) or self._alert_email

    def find_office(self, form: str, receiver: str | None) -> str | None:
        found = self._forms.find(form)
        return self._forms.current.destination(found, receiver).office_email if found else None

    def write_lead(self, notice: Notice, case: Case) -> Letter | None:
        """A held or late lead, whole. None when nobody is to have it."""
        lead = case.lead
        form, address = self._forms.find(lead.form), self.find_address(lead.form, lead.receiver)
        if address is None:
            return None
        voice = _find_voice(form)
        _ = voice.say
        reference = write_reference(lead.reference)
        heading = (
            _("An enquiry that has not reached Vitec")
            if case.reason is None
            else _("An enquiry that Vitec has not taken")
        )
        values = {
            "heading": heading,
            "explanation": _explain(case, voice),
            "subject": (form.subject.get(form.languages[0]) if form else None) or "",
            "person": describe_person(lead, voice),
            "message": lead.message,
            "rest": describe_rest(lead, form, voice),
            "links": self._make_links(notice, lead, voice),
            "can_reply": bool(lead.contact.email),
        }
        return Letter(
            to=read_address(address),
            reply_to=name_address(lead.contact.full_name, lead.contact.email),
            subject=f"{heading} ({reference})",
            text=self._render("lead.txt", voice, **values),
            html=self._render("lead.html", voice, **values),
        )

    def write_landed(self, case: Case) -> Letter | None:
        """It is in Vitec now: nobody needs to type it in."""
        lead = case.lead
        address = self.find_address(lead.form, lead.receiver)
        if address is None:
            return None
        voice = _find_voice(self._forms.find(lead.form))
        _, reference = voice.say, write_reference(lead.reference)
        heading = _("Now in Vitec")
        values = {
            "heading": heading,
            "reference": reference,
            "received": voice.write_moment(lead.received_at),
        }
        return Letter(
            to=read_address(address),
            subject=f"{heading} ({reference})",
            text=self._render("landed.txt", voice, **values),
            html=self._render("landed.html", voice, **values),
        )

    def write_reminder(self, notice: Notice, cases: Sequence[Case]) -> Letter | None:
        """What an office was sent and nobody has settled; no personal data, for it has that already."""
        if not cases:
            return None
        first = cases[0].lead
        address = self.find_address(first.form, first.receiver)
        if address is None:
            return None
        voice = _find_voice(self._forms.find(first.form))
        _ = voice.say
        heading = _("Enquiries that wait for you")
        rows = [
            {
                "reference": write_reference(case.lead.reference),
                "received": voice.write_moment(case.lead.received_at),
                "links": self._make_links(notice, case.lead, voice),
            }
            for case in cases
        ]
        values = {"heading": heading, "rows": rows}
        return Letter(
            to=read_address(address),
            subject=f"{heading} ({len(rows)})",
            text=self._render("reminder.txt", voice, **values),
            html=self._render("reminder.html", voice, **values),
        )

    def _make_links(self, notice: Notice, lead: Lead, voice: Voice) -> list[tuple[str, str]]:
        """Label and address; none where nobody knows how this service is reached."""
        if self._public_url is None:
            return []
        _ = voice.say
        labels = {Act.EXISTS: _("It is in Vitec"), Act.RETRY: _("Send it again")}
        return [
            (label, f"{self._public_url}/settle/{self._signer.issue(lead.id, act, occasion=notice.key)}")
            for act, label in labels.items()
        ]

    def _render(self, name: str, voice: Voice, **values: object) -> str:
        template = self._environment.get_template(name)
        return template.render(_=voice.say, language=voice.language, **values).strip() + "\n"


def _find_voice(form: Form | None) -> Voice:
    return find_voice(*(form.languages if form else ("sv",)))


def _explain(case: Case, voice: Voice) -> list[str]:
    """What has happened, and what it asks of the office."""
    _ = voice.say
    reason = case.reason
    if reason is None:
        return [
            _(
                "It has waited for Vitec for an hour. We keep trying, and write to you again when it is there."
            ),
            _("Everything the visitor wrote is below, so that you can answer at once."),
        ]
    about, _colon, words = reason.partition(": ")
    if _MAY_EXIST in about:
        told = _(
            "It may already be in Vitec, but we could not see it there. Look in Vitec before anything else."
        )
    elif about.startswith(_REFUSED) and words:
        told = _("Vitec refused it: {words}", words=words)
    else:
        told = _(
            "It needs somebody to look at it: {reason}.",
            reason=tell_reason(reason, voice.translations.gettext),
        )
    return [told, _("Everything the visitor wrote is below, so that you can answer at once.")]
