"""What Vitec's answers say about a configuration. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from app.forms.errands import Errand
from app.forms.model import CallGroup
from app.vitec.answers import (
    Answer,
    Forbidden,
    Misdirected,
    NotSent,
    NotTaken,
    Readable,
    Refused,
    Unauthorized,
    classify_read,
)
from app.vitec.readings import Listed

Verdict = Literal["ok", "archived", "unknown", "not_asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFinding:
    """What one call was answered."""

    group: CallGroup
    call: str
    status: int | None
    ok: bool
    told: str
    """A sentence for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdFinding:
    """An id of the forms file, and who that is in Vitec."""

    id: str
    what: Literal["receiver", "office"]
    used_by: tuple[str, ...]
    verdict: Verdict
    listed: Listed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Who would do as the fallback receiver of forms that have none."""

    forms: tuple[str, ...]
    receiver_id: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerFinding:
    """One login at one customer."""

    login: str
    base_url: str
    customer_id: str
    calls: tuple[CallFinding, ...]
    ids: tuple[IdFinding, ...]
    suggestions: tuple[Suggestion, ...]

    @property
    def ok(self) -> bool:
        wrong = {"archived", "unknown"}
        return all(call.ok for call in self.calls) and not any(one.verdict in wrong for one in self.ids)


def weigh_probe(answer: Answer, *, call: str, group: CallGroup) -> CallFinding:
    """An empty request of somebody who is let in is refused as empty."""
    outcome = classify_read(answer)
    if isinstance(outcome, Refused):
        ok, told = True, "let in; the empty request was refused, as it should be"
    elif isinstance(outcome, Readable):
        ok, told = False, "took an empty request: look in Vitec for something empty, and tell us"
    else:
        ok, told = False, explain(answer)
    return CallFinding(group=group, call=call, status=answer.status, ok=ok, told=told)


def weigh_listing(answer: Answer, rows: Sequence[Listed] | None, *, call: str) -> CallFinding:
    if rows is not None:
        told = f"{len(rows)} listed"
    elif answer.succeeded:
        told = "the answer cannot be read"
    else:
        told = explain(answer)
    return CallFinding(group=CallGroup.READ, call=call, status=answer.status, ok=rows is not None, told=told)


def explain(answer: Answer) -> str:
    """Why there is nothing to read in an answer, and what to look at."""
    match classify_read(answer):
        case NotSent(cause=cause):
            return f"not sent: {cause}" if " " in cause else f"cannot be reached ({cause})"
        case Unauthorized():
            return "the password is wrong, or Vitec has not opened this group of calls to the login"
        case Forbidden():
            return "no access to this customer: has the brokerage ordered it, has the office left Vitec?"
        case Misdirected():
            return "no such call there: look at the login's base_url, or LEADGATE_VITEC_BASE_URL"
        case NotTaken():
            return "Vitec asks for fewer calls: try again later"
        case Refused(words=words):
            return f"refused: {words}"
    return "no answer in time" if answer.status is None else "Vitec is not well: try again later"


def judge(errands: Sequence[Errand], listed: Sequence[Listed], *, complete: bool) -> Iterable[IdFinding]:
    """`complete`: whether every listing could be read; only then is who is not listed unknown."""
    named: dict[tuple[Literal["receiver", "office"], str], list[str]] = {}
    for errand in errands:
        named.setdefault(("receiver", errand.destination.assigned_to_id), []).append(errand.key)
        if office_id := errand.destination.office_id:
            named.setdefault(("office", office_id), []).append(errand.key)
    for (what, wanted), keys in named.items():
        found = _find(wanted, [one for one in listed if what == "receiver" or one.kind == "office"])
        verdict: Verdict = "unknown" if complete else "not_asked"
        if found is not None:
            verdict = "archived" if found.archived else "ok"
        yield IdFinding(
            id=wanted, what=what, used_by=tuple(dict.fromkeys(keys)), verdict=verdict, listed=found
        )


def _find(wanted: str, listed: Sequence[Listed]) -> Listed | None:
    by_customer = (one for one in listed if one.customer_id == wanted)
    return next((one for one in listed if one.id == wanted), None) or next(by_customer, None)


def suggest_fallbacks(errands: Sequence[Errand], listed: Sequence[Listed]) -> Iterable[Suggestion]:
    """The office's own first receiver; the office itself where that is the form's already, or has left."""
    wanting: dict[tuple[str, str], list[str]] = {}
    for errand in errands:
        office = _choose_office(errand.destination.office_id, listed)
        if errand.has_fallback or office is None or errand.key != f"forms.{errand.form}":
            continue
        receiver_id, because = office.id, f"the office {office.name} itself"
        primary = _find(office.primary_receiver_id or "", listed)
        if primary is not None and not primary.archived and primary.id != errand.destination.assigned_to_id:
            receiver_id, because = primary.id, f"{primary.name}, first receiver of the office {office.name}"
        if receiver_id != errand.destination.assigned_to_id:
            wanting.setdefault((receiver_id, because), []).append(errand.form)
    for (receiver_id, because), forms in wanting.items():
        yield Suggestion(forms=tuple(forms), receiver_id=receiver_id, because=because)


def _choose_office(office_id: str | None, listed: Sequence[Listed]) -> Listed | None:
    standing = [one for one in listed if one.kind == "office" and not one.archived]
    return next((one for one in standing if one.id == office_id), None) or next(iter(standing), None)
