"""What the store calls things, in the operator's language: states, actions, and the people who took them."""

from collections.abc import Callable
from gettext import NullTranslations

from app.errors import OperatorError
from app.identity import reference_of, write_reference
from app.lead import LeadState
from app.reasons import tell_choice, tell_reason

Gettext = Callable[[str], str]


class Wording:
    """A word of a newer version that is not known here is shown as it is."""

    def __init__(self, translations: NullTranslations) -> None:
        self.gettext: Gettext = translations.gettext
        self._states = _name_states(self.gettext)
        self._actions = _name_actions(self.gettext)

    def state(self, state: LeadState) -> str:
        return self._states[state]

    def action(self, action: str) -> str:
        return self._actions.get(action, action)

    def actor(self, actor: str) -> str:
        """`web:eva` signed in here; a bare name belongs to the operating system, and gave a command."""
        name = actor.removeprefix("web:")
        return name if name != actor else self.gettext("{name} (command line)").format(name=actor)

    def age(self, age: str) -> str:
        return _name_ages(self.gettext)[age]

    def done(self, done: str) -> str:
        return _tell_done(self.gettext)[done]

    def why(self, state: LeadState) -> str:
        """What stands before a state's reason."""
        return f"{self._states[state]}:"

    def reason(self, reason: str) -> str:
        return tell_reason(reason, self.gettext)

    def choice(self, reason: str) -> str:
        return tell_choice(reason, self.gettext)

    def reference(self, lead_id: str) -> str:
        return write_reference(reference_of(lead_id))

    def advice(self, status: int) -> str:
        """What as a rule helps when Vitec answers so."""
        if status == 401:
            return self.gettext(
                "Check user name and password, and that the customer has ordered these calls."
            )
        if status == 403:
            return self.gettext("The customer has not opened these calls to the login: ask them, or Vitec.")
        return self.gettext("The address or the customer id is probably wrong.")

    def problem(self, error: OperatorError, lead_id: str) -> str:
        """Why what was asked for is not done."""
        sentence = _tell_problems(self.gettext).get(error.code)
        if sentence is None:
            return str(error)
        about = dict(error.about)
        if "state" in about:
            about["state"] = self._states[LeadState(about["state"])]
        return sentence.format(reference=self.reference(lead_id), **about)

    def group(self, group: str) -> str:
        return _name_groups(self.gettext).get(group, group)

    def field(self, name: str) -> str:
        return name_field(name, self.gettext)

    def matter(self, kind: str) -> str:
        """What a message is about; the operator's own alarms by the names that the webhook gives them."""
        return _name_matters(self.gettext).get(kind, kind)

    def circuit(self, state: str) -> str:
        return _name_circuits(self.gettext).get(state, state)


def _name_states(gettext: Gettext) -> dict[LeadState, str]:
    return {
        LeadState.HELD: gettext("Held"),
        LeadState.QUARANTINED: gettext("Quarantined"),
        LeadState.PENDING: gettext("On its way"),
        LeadState.DELIVERED: gettext("Delivered"),
        LeadState.DISCARDED: gettext("Discarded"),
    }


def _name_actions(gettext: Gettext) -> dict[str, str]:
    return {
        "signed_in": gettext("signed in"),
        "signed_out": gettext("signed out"),
        "retried": gettext("retried a lead"),
        "released": gettext("released a lead from quarantine"),
        "discarded": gettext("discarded a lead"),
        "edited": gettext("corrected a lead"),
        "erased": gettext("erased personal data"),
        "exported": gettext("exported leads"),
        "restored": gettext("said that the store was restored"),
        "gates_probed": gettext("had closed gates tried"),
        "circuit_probed": gettext("had an open circuit tried"),
    }


def _name_ages(gettext: Gettext) -> dict[str, str]:
    return {
        "1d": gettext("Last 24 hours"),
        "7d": gettext("Last 7 days"),
        "30d": gettext("Last 30 days"),
        "over-1h": gettext("Older than an hour"),
        "over-1d": gettext("Older than a day"),
        "over-7d": gettext("Older than a week"),
    }


def _tell_done(gettext: Gettext) -> dict[str, str]:
    return {
        "retried": gettext("It is on its way again."),
        "released": gettext("It is released and on its way."),
        "confirmed": gettext("It is settled: it is in Vitec."),
        "erased": gettext("What told of the person is erased here; what Vitec has must be erased there."),
        "discarded": gettext("It is discarded."),
        "edited": gettext("It is corrected and on its way again."),
    }


def _tell_problems(gettext: Gettext) -> dict[str, str]:
    return {
        "other_state": gettext("{reference} is in another state by now: {state}. Nothing was done."),
        "at_work": gettext("{reference} is being delivered at this moment. Try again in a minute."),
        "held_anew": gettext("{reference} has been sent meanwhile, and held again: look at it anew."),
        "may_be_there": gettext(
            "{reference} may be in Vitec as it is. Send it again, which looks for it there, before you correct it."
        ),
        "looked_for": gettext(
            "{reference} may exist in Vitec, and is looked for there. Wait until it is delivered; or look for it in "
            "Vitec yourself, discard it here, and erase it then."
        ),
        "testing": gettext(
            "The form {form} is in test mode, and nothing of it is sent. Make it live, and try again."
        ),
        "no_reason": gettext("Say why it is discarded."),
    }


def _name_groups(gettext: Gettext) -> dict[str, str]:
    return {
        "contact": gettext("contacts"),
        "create": gettext("new leads"),
        "read": gettext("reading back"),
    }


def _name_circuits(gettext: Gettext) -> dict[str, str]:
    return {
        "open": gettext("Open: nobody calls"),
        "trying": gettext("Being tried"),
        "closed": gettext("Closed: all is well"),
    }


def name_field(name: str, gettext: Gettext) -> str:
    """What of a lead may be corrected, by the names that it is sent under."""
    names = {
        "firstName": gettext("First name"),
        "lastName": gettext("Last name"),
        "email": gettext("E-mail"),
        "phone": gettext("Phone"),
        "companyName": gettext("Company"),
        "corporateNumber": gettext("Company number"),
        "streetAddress": gettext("Street address"),
        "zipCode": gettext("Postcode"),
        "city": gettext("City"),
        "message": gettext("Message"),
    }
    return names.get(name, name)


def _name_matters(gettext: Gettext) -> dict[str, str]:
    return {
        "held": gettext("To the office: held"),
        "late": gettext("To the office: late"),
        "landed": gettext("To the office: in Vitec"),
        "reminder": gettext("To the office: a reminder"),
        "receipt": gettext("To the visitor: a receipt"),
    }
