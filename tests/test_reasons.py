"""Why a lead waits, or has its receiver, told to an operator in her language."""

import pytest

from app.delivery.contacts import UNMATCHABLE
from app.delivery.parcel import MAY_EXIST
from app.i18n import get_translations
from app.intake.accept import TEST_MODE
from app.reasons import tell_choice, tell_reason
from app.store.erasure import ERASED
from app.store.operator import IN_VITEC
from app.store.receipts import PURGED

REASONS = {
    f"{MAY_EXIST}: reading it back is refused": "finns kanske i Vitec: vi får inte läsa tillbaka den",
    f"{MAY_EXIST}: the contact's leads could not be read before it was sent": "finns kanske i Vitec: kontaktens",
    f"{MAY_EXIST}: reading leads back is not proven for this customer": "finns kanske i Vitec: att",
    f"{MAY_EXIST}: the person cannot be searched for": "finns kanske i Vitec: personen kan inte sökas",
    f"{MAY_EXIST}: 3 contacts share the address": "finns kanske i Vitec: 3 kontakter delar",
    f"{MAY_EXIST}: a new lead of the contact's cannot be read": "finns kanske i Vitec: ett nytt lead",
    f"{MAY_EXIST}: the contact is gone, or what it had of leads": "finns kanske i Vitec: kontakten",
    f"{MAY_EXIST}: it could not be looked for in 30 days": "finns kanske i Vitec: det gick inte",
    "refused by Vitec (400): The field {x} is\nwrong: 1": "avvisad av Vitec (400): The field {x} is\nwrong: 1",
    "refused by Vitec (400): ": "avvisad av Vitec (400), som inte säger varför",
    "not delivered in 30 days": "inte levererad",
    IN_VITEC: "finns i Vitec",
    ERASED: "raderad",
    PURGED: "gallrad",
    "not in Vitec after 5 creates of unknown outcome": "finns inte i Vitec efter 5 försök",
    f"{UNMATCHABLE}: 3 contacts share the address": "kontakten finns kanske",
    f"{UNMATCHABLE}: the person cannot be searched for": "kontakten finns kanske",
    "working on it has ended the process three times, with nothing else under way": "arbetet med den",
    "the forms file has no form 'kontakt' any more": "formulärfilen har inte längre något formulär ”kontakt”",
    "the form is in test mode: nothing is sent to Vitec": "formuläret är i testläge",
    TEST_MODE: "testläge",
    "what was kept cannot be read by this version": "det som sparades",
    "there is no login 'own' for Vitec": "det finns ingen inloggning ”own”",
}


@pytest.mark.parametrize(("reason", "told"), REASONS.items())
def test_a_reason_is_told_in_swedish(reason: str, told: str) -> None:
    assert tell_reason(reason, get_translations("sv").gettext).startswith(told)


@pytest.mark.parametrize("reason", ["sold already: {not} ours", "", "score 80: honeypot"])
def test_what_a_person_wrote_is_shown_as_it_is(reason: str) -> None:
    assert tell_reason(reason, get_translations("sv").gettext) == reason


CHOICES = {
    "the page asked for anna": "sidan bad om anna",
    "no route matched; the form's receiver is bo": "ingen regel passade; formulärets mottagare är bo",
    "no route matched; the form's own assigned_to_id": "ingen regel passade; formulärets egen assigned_to_id",
    "route 2: the postcode is within 111-118": "regel 2: postnumret är inom 111-118",
    "route 1: the postcode is within 111 22 and interest is selling and area is north and south": (
        "regel 1: postnumret är inom 111 22 och interest är selling och area är north and south"
    ),
    "what a newer version says": "what a newer version says",
}


@pytest.mark.parametrize(("reason", "told"), CHOICES.items())
def test_why_a_receiver_has_it_is_told_in_swedish(reason: str, told: str) -> None:
    assert tell_choice(reason, get_translations("sv").gettext) == told
