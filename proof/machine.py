"""The delivery of one lead as a finite machine: what it is made of, and what can be taken away from it.

Time is counted in ticks, relative and saturating, so that the states are finite without a horizon. A worker
may rest between any two steps for any time: that is SIGSTOP. A lease may run out at any moment, which covers
every length of a lease, every jump of its clock and the clearing of leases at start. Contact step, gates,
circuit and schedule are left out: they only delay, and write nothing about a create.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Reading(StrEnum):
    """What looking for a lead in Vitec is worth: the world's, not the machine's to choose."""

    PROVEN = "proven"
    FADING = "fading"
    """Proven by the canary, and from some moment on it finds nothing."""
    UNPROVEN = "unproven"
    """No lead of ours has been read back yet: it may find, or not."""
    BLIND = "blind"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The design, and the world it stands in. Each mechanism can be taken away to see what it was worth."""

    workers: int = 2

    intent: bool = True
    """A create attempt is committed before the first byte is sent."""
    index: bool = True
    """The database refuses a second unresolved create."""
    fence: bool = True
    """Decisions of an older claim change nothing."""
    leases_expire: bool = True
    """What a dead worker held is claimed again."""
    guard: bool = True
    """Nothing is sent past the deadline."""
    reconciles_unknown: bool = True
    """A 500 or silence leaves the attempt open."""
    reconciles_open: bool = True
    """A claim that finds an open attempt looks in Vitec."""
    settle: int = 2
    """Ticks from the attempt's deadline until a negative counts: `late` and `lag` together, no fewer."""
    asked_after_settle: bool = True
    """A look counts by when it was asked, not by when it was answered."""
    observed_time: bool = True
    """Settle time is counted as it is lived through, never read off a clock."""
    negatives: int = 2
    apart: bool = True
    """The second negative counts only if it was asked a tick after the first was known."""
    canary: bool = True
    """A negative counts only if the same reading, asked after it, finds a lead known to be there."""
    canary_after_look: bool = True
    resends: bool = False
    """`on_ambiguous`: sent again where looking is worth nothing, instead of held."""
    believes_silence: bool = False
    """An unknown outcome is taken for success."""
    creates: int = 2
    """Unknown creates until the lead is held: the product's five, and two prove as much."""
    renews: bool = True
    """The last of them is settled too, and a retry counts anew: else a human's retry is held again for ever."""

    reading: Reading = Reading.PROVEN
    deadline: int = 1
    late: int = 1
    """Ticks a request may be under way after it was sent."""
    lag: int = 1
    """Ticks until a new lead is seen by the reading."""


class Lead(StrEnum):
    PENDING = "pending"
    HELD = "held"
    DELIVERED = "delivered"


class Step(StrEnum):
    IDLE = "idle"
    CLAIMED = "claimed"
    READY = "ready"
    WAITING = "waiting"
    ANSWERED = "answered"
    LOOKING = "looking"
    SEEN = "seen"


class Word(StrEnum):
    """What Vitec said, to a create or to a look."""

    NONE = ""
    CREATED = "200"
    ERROR = "500"
    NOT_TAKEN = "429"
    REFUSED = "400"
    ABSENT = "nothing there"
    WORTHLESS = "nothing there, and the canary is not found either"
    FORBIDDEN = "looking is forbidden"


class Sight(StrEnum):
    """The reading's eyes: one spell of blindness shorter than a tick, too short for the canary to notice."""

    CLEAR = "clear"
    SPELL = "spell"
    RESTED = "rested"
    BLIND = "blind"


class Negative(StrEnum):
    NONE = "none"
    FRESH = "fresh"
    AGED = "aged"


# Tuples, not dataclasses: millions are hashed. All workers are one type, for tuples of two types may be equal.
class Worker(NamedTuple):
    step: Step = Step.IDLE
    current: bool = False
    """Whether its claim is the newest."""
    request: int = 0
    """The attempt it sends or looks for; 0 for a look without one."""
    deadline: int = 0
    settled: bool = False
    """Whether the settle time was over when it asked."""
    earlier: Negative = Negative.NONE
    """The negative that stood when it asked."""
    trusted: bool = False
    """Whether the canary was found when it asked."""
    word: Word = Word.NONE


class Intent(NamedTuple):
    request: int
    deadline: int
    settle: int
    negative: Negative = Negative.NONE


class Request(NamedTuple):
    number: int
    life: int


class State(NamedTuple):
    lead: Lead
    leased: bool
    look_first: bool
    """Retried by the operator."""
    creates: int
    intent: Intent | None
    workers: tuple[Worker, ...]
    requests: tuple[Request, ...]
    """Under way to Vitec."""
    vitec: tuple[int, ...]
    """The leads in Vitec, each the ticks until it can be seen."""
    sight: Sight
