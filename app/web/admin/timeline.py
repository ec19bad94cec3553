"""One lead's history as sentences: what happened, when, and why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.identity import write_reference
from app.lead import Lead
from app.reasons import tell_choice, tell_reason
from app.web.admin.adaptations import describe_note
from app.web.admin.suspicions import describe_suspicion
from app.web.admin.wording import Gettext, name_field

_TOLD = frozenset(
    {"at", "kind", "actor", "finishedAt", "outcome", "status", "detail", "vitecId", "reason", "fields"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    at: datetime
    title: str
    lines: tuple[str, ...] = ()
    words: str | None = None
    """Somebody else's: Vitec's, or what an operator wrote."""
    actor: str | None = None
    tone: str = "quiet"
    """`good`, `bad`, `person` or `quiet`."""
    lasted: timedelta | None = None


def tell_story(lead: Lead | None, history: Iterable[Mapping[str, Any]], gettext: Gettext) -> list[Step]:
    """From the page's being shown to Vitec's id, the earliest first."""
    steps = [*_begin(lead, gettext), *(_tell(entry, lead, gettext) for entry in history)]
    return sorted(steps, key=lambda step: step.at)


def _begin(lead: Lead | None, gettext: Gettext) -> Iterator[Step]:
    shown_at = lead.notice.shown_at if lead and lead.notice else None
    if lead and shown_at and shown_at <= lead.received_at:
        yield Step(
            at=shown_at,
            title=gettext("The form was shown"),
            lines=(lead.page_url,) if lead.page_url else (),
        )


def _tell(entry: Mapping[str, Any], lead: Lead | None, gettext: Gettext) -> Step:
    kind = str(entry["kind"])
    if kind == "received":
        return _tell_received(entry, lead, gettext)
    if kind == "adapted":
        sentence = describe_note(entry.get("code", ""), entry.get("detail", ""), gettext)
        return Step(at=entry["at"], title=gettext("Adapted to Vitec's limits"), lines=(sentence,))
    if kind.startswith("attempt_"):
        return _tell_attempt(entry, kind.removeprefix("attempt_"), gettext)
    return _tell_event(entry, kind, gettext)


def _tell_received(entry: Mapping[str, Any], lead: Lead | None, gettext: Gettext) -> Step:
    lines = []
    if lead and lead.receiver_reason:
        lines.append(gettext("Receiver: {reason}").format(reason=tell_choice(lead.receiver_reason, gettext)))
    if follows := entry.get("follows"):
        reference = write_reference(str(follows))
        lines.append(gettext("The same person also sent {reference}").format(reference=reference))
    lines += [describe_note(note.code, note.detail, gettext) for note in lead.notes] if lead else []
    return Step(at=entry["at"], title=gettext("Received and kept on disk"), lines=tuple(lines), tone="good")


def _tell_attempt(entry: Mapping[str, Any], kind: str, gettext: Gettext) -> Step:
    calls = {
        "contact": gettext("Asked Vitec for the contact"),
        "create": gettext("Sent the lead to Vitec"),
        "reconcile": gettext("Looked for the lead in Vitec"),
    }
    outcome = str(entry["outcome"])
    told, tone = _name_outcomes(gettext).get(outcome, (outcome, "quiet"))
    status = (
        gettext("Vitec answered {status}").format(status=entry["status"]) if entry.get("status") else None
    )
    vitec_id = _tell_id(entry, gettext)
    finished = entry.get("finishedAt")
    return Step(
        at=entry["at"],
        title=calls.get(kind, kind),
        lines=tuple(line for line in (told, status, vitec_id) if line),
        words=entry.get("detail"),
        tone=tone,
        lasted=finished - entry["at"] if finished else None,
    )


def _tell_id(entry: Mapping[str, Any], gettext: Gettext) -> str | None:
    found = entry.get("vitecId")
    return gettext("Id in Vitec: {id}").format(id=found) if found else None


def _name_outcomes(gettext: Gettext) -> dict[str, tuple[str, str]]:
    return {
        "open": (gettext("Under way, or ended by a crash"), "quiet"),
        "done": (gettext("Taken"), "good"),
        "not_sent": (gettext("Nothing left this machine"), "bad"),
        "not_taken": (gettext("Not taken: Vitec asked us to wait"), "bad"),
        "refused": (gettext("Refused"), "bad"),
        "gate": (gettext("Vitec does not let us in: the gate closed"), "bad"),
        "unknown": (gettext("Outcome unknown: it is looked for before it is sent again"), "bad"),
        "not_created": (gettext("It did not arrive: it may be sent again"), "quiet"),
    }


def _tell_event(entry: Mapping[str, Any], kind: str, gettext: Gettext) -> Step:
    if kind in {"quarantined", "suspected"}:
        title = (
            gettext("Looked like spam")
            if kind == "suspected"
            else gettext("Quarantined: it looked like spam")
        )
        return Step(at=entry["at"], title=title, lines=describe_suspicion(entry, gettext), tone="bad")
    if kind in {"told", "not_told"}:
        return _tell_telling(entry, kind, gettext)
    title, tone = _name_events(gettext).get(kind, (kind.replace("_", " ").capitalize(), "quiet"))
    actor = entry.get("actor")
    rest = [f"{name}: {value}" for name, value in entry.items() if name not in _TOLD and name != "version"]
    if vitec_id := _tell_id(entry, gettext):
        rest.append(vitec_id)
    if fields := entry.get("fields"):
        rest.append(", ".join(name_field(name, gettext) for name in fields))
    if detail := entry.get("detail"):
        rest.append(str(detail))
    return Step(
        at=entry["at"],
        title=title,
        lines=tuple(rest),
        words=_tell_reason(entry, gettext),
        actor=actor,
        tone="person" if actor and tone == "quiet" else tone,
    )


def _tell_reason(entry: Mapping[str, Any], gettext: Gettext) -> str | None:
    reason = entry.get("reason")
    return None if reason is None else tell_reason(str(reason), gettext)


def _tell_telling(entry: Mapping[str, Any], kind: str, gettext: Gettext) -> Step:
    to, what = str(entry.get("to")), str(entry.get("what"))
    told = {
        "office": gettext("The office was told"),
        "visitor": gettext("The visitor got a receipt"),
        "operator": gettext("The operator was told"),
    }
    failed = {
        "office": gettext("The office could not be told"),
        "visitor": gettext("The visitor's receipt did not get through"),
        "operator": gettext("The operator could not be told"),
    }
    matters = {
        "held": gettext("that it is held"),
        "late": gettext("that it is late"),
        "landed": gettext("that it is in Vitec"),
        "reminder": gettext("that nobody has settled it yet"),
    }
    return Step(
        at=entry["at"],
        title=(told if kind == "told" else failed).get(to, to),
        lines=(matters[what],) if what in matters else (),
        words=entry.get("reason"),
        tone="quiet" if kind == "told" else "bad",
    )


def _name_events(gettext: Gettext) -> dict[str, tuple[str, str]]:
    return {
        "frozen": (gettext("What will be sent was fixed: every attempt sends the same"), "quiet"),
        "gate_opened": (gettext("Vitec let us in again: the gate opened"), "good"),
        "held": (gettext("Held: it needs a person"), "bad"),
        "reconciled": (gettext("Found in Vitec: it had arrived after all"), "good"),
        "duplicate_suspected": (gettext("Vitec has a second copy"), "bad"),
        "not_created": (gettext("It is not in Vitec: it will be sent again"), "quiet"),
        "contact_resolved_anew": (gettext("Vitec did not know the contact: it is made once more"), "quiet"),
        "fallback_receiver": (gettext("Vitec did not know the receiver: the fallback gets it"), "quiet"),
        "retried": (gettext("Set on its way again"), "quiet"),
        "released": (gettext("Released from quarantine"), "quiet"),
        "discarded": (gettext("Discarded"), "quiet"),
        "edited": (gettext("Corrected"), "quiet"),
        "canary": (gettext("A test of the way to Vitec"), "quiet"),
        "erased": (gettext("Erased: nothing that tells of the person is left here"), "quiet"),
        "purged": (gettext("Purged as agreed: nothing that tells of the person is left here"), "quiet"),
        "restored": (gettext("The store was restored: it is looked for in Vitec first"), "quiet"),
    }
