"""The daily list of what is new in quarantine: suspects by reference and reason, tests by their number."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from app.identity import reference_of, write_reference
from app.intake.accept import TEST_MODE
from app.notices.letter import Letter
from app.post import read_address
from app.store.notices import Detail, Notice
from app.store.quarantine import Unnamed

DIGEST = "quarantine"

_LISTED = 200
"""One by one; the others are counted."""


_ADVICE = """\
What to do: leadgate leads show REFERENCE; leadgate leads release REFERENCE, or discard.
Those that nobody releases go by themselves, as each form's privacy.retention says."""


def write_detail(found: Sequence[Unnamed]) -> dict[str, Any]:
    """What the notice keeps until it is sent. `named`: those whose time of going by themselves begins then."""
    suspects = [one for one in found if one.reason != TEST_MODE]
    rows = [
        {
            "leadId": one.lead_id,
            "reference": reference_of(one.lead_id),
            "form": one.form,
            "reason": one.reason,
        }
        for one in suspects[:_LISTED]
    ]
    return {
        "count": len(found),
        "rows": rows,
        "others": _count(suspects[_LISTED:]),
        "tests": _count(one for one in found if one.reason == TEST_MODE),
        "named": [one.lead_id for one in found],
    }


def _count(leads: Iterable[Unnamed]) -> list[dict[str, Any]]:
    numbers = Counter((one.form, _first_sign(one.reason)) for one in leads)
    return [
        {"form": form, "reason": reason, "count": number} for (form, reason), number in numbers.most_common()
    ]


def _first_sign(reason: str) -> str:
    """Of `spam score 1.25: links, phrase:guest post`: with scores and all there are as many as leads."""
    about, _, signs = reason.partition(": ")
    return re.split("[:,]", signs, maxsplit=1)[0] or about


def write_digest(notice: Notice, *, to: str) -> Letter:
    """Who wrote it is for the list itself."""
    return Letter(to=read_address(to), subject=f"Leadgate: {name_digest(notice)}", text=_write(notice.detail))


def name_digest(notice: Notice) -> str:
    return f"{notice.detail['count']} new in quarantine"


def list_named(notice: Notice) -> list[str]:
    """The leads whose time of going by themselves begins when it is sent."""
    known = notice.detail.get("named")
    return known if known is not None else [row["leadId"] for row in notice.detail["rows"]]


def describe_digest(notice: Notice) -> Detail:
    """For programs, which count the others by form and reason too."""
    return {name: value for name, value in notice.detail.items() if name != "named"}


def _write(detail: Detail) -> str:
    listed = [
        f"{write_reference(row['reference'])}  {row['form']}: {row['reason']}" for row in detail["rows"]
    ]
    # Those made by an older version have none of these.
    others = [f"{row['count']} of {row['form']}: {row['reason']}" for row in detail.get("others", ())]
    tests = [f"{row['count']} of {row['form']}" for row in detail.get("tests", ())]
    parts = [
        _write_part("Suspected as spam since the last digest, kept, and sent to nobody:", listed),
        _write_part("And more, which leadgate leads list --state quarantined lists:", others),
        _write_part("From forms in test mode, kept, and sent to nobody:", tests),
        _ADVICE,
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _write_part(heading: str, lines: Sequence[str]) -> str:
    return "\n".join([heading, "", *(f"- {line}" for line in lines)]) if lines else ""
