"""What the operator is told: one message for each kind of trouble, what has begun, what stands, what is over."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from app.identity import write_reference
from app.notices.digest import DIGEST, describe_digest, name_digest
from app.notices.letter import Letter
from app.post import read_address
from app.store.alarms import Manner
from app.store.notices import Notice

_DAY = timedelta(days=1)

MANNERS: Mapping[str, Manner] = {
    "leads_held": Manner(again=_DAY),
    "waiting": Manner(),
    "waiting_long": Manner(again=_DAY),
    "gate_closed": Manner(again=_DAY),
    "circuit_open": Manner(patience=timedelta(minutes=10), again=_DAY),
    "disk_low": Manner(again=_DAY),
    "receiver_left": Manner(again=7 * _DAY),
    "unsent": Manner(patience=timedelta(minutes=5), window=timedelta(hours=1), again=_DAY),
    "duplicate": Manner(passing=True),
    # Found on a walk through all leads, that comes by again some time: its end cannot be told.
    "invariant": Manner(passing=True, window=timedelta(hours=1)),
}

_TITLES = {
    "leads_held": ("Leads are held: they need a human", "No lead is held any more"),
    "waiting": ("Leads have waited for Vitec for 15 minutes", "No lead waits for Vitec any more"),
    "waiting_long": ("Leads have waited for Vitec for 4 hours", "No lead has waited that long any more"),
    "gate_closed": ("Vitec refuses a login", "Vitec lets the login in again"),
    "circuit_open": ("Vitec does not answer", "Vitec answers again"),
    "disk_low": ("The disk is nearly full", "There is room on the disk again"),
    "receiver_left": ("A receiver has left Vitec", "The receiver is there again"),
    "unsent": ("Messages do not get through", "Messages get through again"),
    "duplicate": ("A lead is in Vitec more than once", ""),
    "invariant": ("The store is in a state that must not be", ""),
}

_ADVICE = {
    "leads_held": (
        "leadgate leads show REFERENCE has the reason in Vitec's own words; when that is mended: leadgate leads retry "
        "REFERENCE. What the visitor got wrong is corrected on the lead's page in /admin"
    ),
    "waiting": "leadgate gates; leadgate leads list --state pending",
    "waiting_long": "leadgate gates; leadgate leads list --state pending",
    "gate_closed": "leadgate gates says what helps; leadgate check --live asks Vitec which calls it refuses",
    "circuit_open": "leads are kept and delivered when it answers; nothing needs to be done here",
    "disk_low": "make room: below 64 MB new leads are refused",
    "receiver_left": "change the receiver in the forms file: Vitec refuses every lead for it",
    "unsent": "leadgate notices, or Messages in /admin, says what and why",
    "duplicate": "remove one of the two in Vitec",
    "invariant": "keep a copy of the store; docs/troubleshooting.md says what each of them means, and what to do",
}

_Line = Callable[[Mapping[str, Any]], str]


def _write_leads(item: Mapping[str, Any]) -> str:
    named = ", ".join(write_reference(one) for one in item["references"])
    return f"{named}, …" if item["count"] > len(item["references"]) else named


def _write_held(item: Mapping[str, Any]) -> str:
    return f"{item['count']} held: {_write_leads(item)}"


def _write_invariant(item: Mapping[str, Any]) -> str:
    return f"{item['subject']}: {_write_leads(item)}"


def _write_waiting(item: Mapping[str, Any]) -> str:
    return f"{item['count']} waiting, the oldest since {item['oldest']}"


_LINES: Mapping[str, _Line] = {
    "leads_held": _write_held,
    "waiting": _write_waiting,
    "waiting_long": _write_waiting,
    "gate_closed": lambda item: (
        f"customer {item['customer']}, login {item['login']}, {item['group']} calls: HTTP {item['status']}"
    ),
    "circuit_open": lambda item: str(item["subject"]),
    "disk_low": lambda item: f"{item['megabytes']} MB free",
    "receiver_left": lambda item: (
        f"{item['id']} of customer {item['customer']} is {item['verdict']} ({', '.join(item['used_by'])})"
    ),
    "unsent": lambda item: f"{item['count']} by {item['subject']}, the last failure: {item['failure']}",
    "invariant": _write_invariant,
    "duplicate": lambda item: f"lead {write_reference(item['reference'])}: {item['vitec_id']}",
}


def is_recovery(notice: Notice) -> bool:
    """Whether it tells of nothing but an end."""
    return not notice.detail["raised"] and not notice.detail["standing"]


def name_trouble(notice: Notice) -> str:
    trouble, end = _TITLES[notice.kind]
    return end if is_recovery(notice) else trouble


def write_alarm(notice: Notice, *, to: str) -> Letter:
    title = name_trouble(notice)
    parts = [
        _write_part("", notice, "raised"),
        _write_part("Still:" if notice.detail["raised"] else "", notice, "standing"),
        _write_part("Over:", notice, "ended") if not is_recovery(notice) else "",
        "" if is_recovery(notice) else f"What to do: {_ADVICE[notice.kind]}",
    ]
    return Letter(
        to=read_address(to),
        subject=f"Leadgate: {title}",
        text="\n\n".join([f"{title}.", *filter(None, parts)]) + "\n",
    )


def _write_part(heading: str, notice: Notice, name: str) -> str:
    items = notice.detail[name]
    lines = [f"- {_LINES[notice.kind](item)} (since {_write_moment(item['since'])})" for item in items]
    return "\n".join([*([heading] if heading and lines else []), *lines])


def _write_moment(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M UTC")


def describe_for_programs(notice: Notice) -> dict[str, Any]:
    """The body of the webhook: ids and counts, never personal data."""
    told: dict[str, Any] = {
        "source": "leadgate",
        "v": 1,
        "kind": notice.kind,
        "at": notice.made_at.isoformat(),
    }
    if notice.kind == DIGEST:
        return told | {"event": "digest", "text": name_digest(notice), **describe_digest(notice)}
    event = "recovered" if is_recovery(notice) else "raised"
    return told | {"event": event, "text": name_trouble(notice), **notice.detail}
