"""Why a lead waits for people, or has its receiver, in the language of who reads it, on a page or in mail. The store
keeps it in English, as the log has it."""

import re
from collections.abc import Callable

Gettext = Callable[[str], str]
Sentences = tuple[tuple[str, str], ...]
"""What each may look like, and how it is told."""


def tell_reason(reason: str, gettext: Gettext) -> str:
    """A reason of a newer version, and what a person wrote, is shown as it is."""
    return _tell(reason, _list_reasons(gettext))


def tell_choice(reason: str, gettext: Gettext) -> str:
    """Why a receiver has the lead: see app/forms/routing.py."""
    return _tell(reason, _list_choices(gettext))


def _tell(reason: str, sentences: Sentences) -> str:
    for pattern, sentence in sentences:
        if match := re.fullmatch(pattern, reason, re.DOTALL):
            found = match.groupdict()
            if why := found.get("why"):
                found["why"] = _tell(why, sentences)
            return sentence.format(**found)
    return reason


def _list_choices(gettext: Gettext) -> Sentences:
    return (
        (r"the page asked for (?P<receiver>.+)", gettext("the page asked for {receiver}")),
        (r"no route matched; (?P<why>.+)", gettext("no route matched; {why}")),
        (r"the form's receiver is (?P<receiver>.+)", gettext("the form's receiver is {receiver}")),
        ("the form's own assigned_to_id", gettext("the form's own assigned_to_id")),
        (r"route (?P<number>\d+): (?P<why>.+)", gettext("route {number}: {why}")),
        (
            r"the postcode is within (?P<span>[\d -]+) and (?P<why>.+)",
            gettext("the postcode is within {span} and {why}"),
        ),
        (r"the postcode is within (?P<span>[\d -]+)", gettext("the postcode is within {span}")),
        (
            r"(?P<field>\w+) is (?P<value>.*?) and (?P<why>\w+ is .*)",
            gettext("{field} is {value} and {why}"),
        ),
        (r"(?P<field>\w+) is (?P<value>.*)", gettext("{field} is {value}")),
    )


def _list_reasons(gettext: Gettext) -> Sentences:
    contact = "the contact may exist in Vitec, which cannot match this person again"
    return (
        (r"may exist in Vitec: (?P<why>.+)", gettext("may exist in Vitec: {why}")),
        ("reading it back is refused", gettext("reading it back is refused")),
        (
            "the contact's leads could not be read before it was sent",
            gettext("the contact's leads could not be read before it was sent"),
        ),
        (
            "reading leads back is not proven for this customer",
            gettext("reading leads back is not proven for this customer"),
        ),
        ("the person cannot be searched for", gettext("the person cannot be searched for")),
        (
            r"(?P<number>\d+) contacts share the address",
            gettext("{number} contacts share the address"),
        ),
        (
            "a new lead of the contact's cannot be read",
            gettext("a new lead of the contact's cannot be read"),
        ),
        (
            r"refused by Vitec \((?P<status>\d+)\):\s*",
            gettext("refused by Vitec ({status}), which does not say why"),
        ),
        (
            "the contact is gone, or what it had of leads",
            gettext("the contact is gone, or what it had of leads"),
        ),
        ("it could not be looked for in 30 days", gettext("it could not be looked for in 30 days")),
        (
            r"refused by Vitec \((?P<status>\d+)\): (?P<words>.*)",
            gettext("refused by Vitec ({status}): {words}"),
        ),
        ("it is in Vitec, says the office", gettext("it is in Vitec, says the office")),
        ("erased", gettext("erased")),
        ("purged", gettext("purged")),
        ("not delivered in 30 days", gettext("not delivered in 30 days")),
        (
            r"not in Vitec after (?P<number>\d+) creates of unknown outcome",
            gettext("not in Vitec after {number} creates of unknown outcome"),
        ),
        (
            rf"{contact}: (?P<why>.+)",
            gettext("the contact may exist in Vitec, which cannot match this person again: {why}"),
        ),
        (
            "working on it has ended the process three times, with nothing else under way",
            gettext("working on it has ended the process three times, with nothing else under way"),
        ),
        (
            "the forms file has no form '(?P<form>.+)' any more",
            gettext("the forms file has no form “{form}” any more"),
        ),
        (
            "the form is in test mode: nothing is sent to Vitec",
            gettext("the form is in test mode: nothing is sent to Vitec"),
        ),
        ("test mode: kept, never sent to Vitec", gettext("test mode: kept, never sent to Vitec")),
        (
            "what was kept cannot be read by this version",
            gettext("what was kept cannot be read by this version"),
        ),
        ("there is no login '(?P<login>.+)' for Vitec", gettext("there is no login “{login}” for Vitec")),
    )
