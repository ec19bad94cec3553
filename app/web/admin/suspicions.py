"""Why a submission looked like spam, each reason in a sentence."""

from collections.abc import Mapping
from typing import Any

from app.web.admin.wording import Gettext


def describe_suspicion(entry: Mapping[str, Any], gettext: Gettext) -> tuple[str, ...]:
    """The score, and what made it. A reason of a newer version is shown as it is."""
    sentences = _name_reasons(gettext)
    told = [gettext("Score: {score}").format(score=entry.get("score", "?"))]
    for reason in entry.get("reasons", ()):
        code, _, found = str(reason).partition(":")
        sentence = sentences.get(code, code)
        told.append(f"{sentence} ({found})" if found else sentence)
    return tuple(told)


def _name_reasons(gettext: Gettext) -> dict[str, str]:
    return {
        "honeypot": gettext("A field that nobody sees was filled in"),
        "honeypot_missing": gettext("A field that every browser sends was missing"),
        "too_fast": gettext("Sent faster than anybody types"),
        "token_expired": gettext("The page was more than a day old"),
        "token_missing": gettext("Sent without our page"),
        "too_many": gettext("Many came from the same address"),
        "link": gettext("There is a link in it"),
        "links": gettext("There are many links in it"),
        "markup": gettext("There are links as code in it"),
        "phrase": gettext("There are words in it that are sent in bulk"),
        "word": gettext("There is a word in it from the list of the form"),
        "address_in_name": gettext("There is an address in the name"),
        "random_name": gettext("The name looks made up by a program"),
    }
