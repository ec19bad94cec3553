"""What this process has counted since its start: plain numbers, cheap to raise, told by /metrics.

A label's values come from the forms file or from this code, never from what a visitor sends: they are few, and
nobody's name. Each tally is raised by one thread alone.
"""

from bisect import bisect_left
from dataclasses import dataclass, field

Labels = tuple[str, ...]


@dataclass(slots=True)
class Count:
    """How often something happened."""

    name: str
    help: str
    labels: Labels = ()
    values: dict[Labels, int] = field(default_factory=dict)

    def add(self, *labels: str) -> None:
        self.values[labels] = self.values.get(labels, 0) + 1


@dataclass(slots=True)
class Bins:
    """How many amounts fell between each bound and the one before, and their sum."""

    counts: list[int]
    total: float = 0.0


@dataclass(slots=True)
class Spread:
    """How amounts are spread: one bin for each bound, which it includes, and one for what is above all."""

    name: str
    help: str
    bounds: tuple[float, ...]
    labels: Labels = ()
    values: dict[Labels, Bins] = field(default_factory=dict)

    def add(self, amount: float, *labels: str) -> None:
        bins = self.values.get(labels)
        if bins is None:
            bins = self.values[labels] = Bins([0] * (len(self.bounds) + 1))
        bins.counts[bisect_left(self.bounds, amount)] += 1
        bins.total += amount


@dataclass(slots=True)
class Level:
    """What something stood at when it was last looked at."""

    name: str
    help: str
    labels: Labels = ()
    values: dict[Labels, float] = field(default_factory=dict)

    def set(self, value: float, *labels: str) -> None:
        self.values[labels] = value


ACCEPTED = Count("accepted", "Leads kept and acknowledged.", ("form",))
REPLAYED = Count("replayed", "Submissions that were an earlier lead once more.", ("form",))
REFUSED = Count(
    "refused",
    "Submissions that did not become a lead.",
    ("reason",),
    # Told as nothing until the first, which is then seen to rise.
    values={("unavailable",): 0, ("defect",): 0, ("invalid-fields",): 0},
)
DELIVERED = Count(
    "delivered", "Leads known to be in Vitec: created, or found there after a lost answer.", ("form", "how")
)
HELD = Count("held", "Leads put in front of a human.", ("form",))
QUARANTINED = Count("quarantined", "Leads put in quarantine for what looked like spam.", ("form",))
SPAM_SIGNS = Count("spam_signs", "What spoke against leads that were kept, in quarantine or not.", ("sign",))
VITEC_CALLS = Count("vitec_calls", "Calls to Vitec by what their answers meant.", ("call", "outcome"))

TIME_TO_VITEC = Spread(
    "time_to_vitec_seconds",
    "From a lead's acceptance until it was known to be in Vitec.",
    (0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400),
)
VITEC_SECONDS = Spread(
    "vitec_call_seconds", "How long calls to Vitec took.", (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30), ("call",)
)
COMMIT_JOBS = Spread(
    "commit_jobs", "Writes that shared one commit of the store.", (1, 2, 4, 8, 16, 32, 64, 128)
)
COMMIT_SECONDS = Spread(
    "commit_seconds",
    "How long the store's commits took, the disk's sync included.",
    (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)

VIOLATIONS = Level(
    "invariant_violations", "Rows in a state that must not be, as the last audit found them.", ("invariant",)
)
UNNAMED_PROXY = Level(
    "unnamed_proxy",
    "Whether all submissions come through one proxy that LEADGATE_TRUSTED_PROXIES does not name.",
)
AUDITED_AT = Level("audited_timestamp_seconds", "When the last audit of the store ended.")

COUNTS = (ACCEPTED, REPLAYED, REFUSED, DELIVERED, HELD, QUARANTINED, SPAM_SIGNS, VITEC_CALLS)
SPREADS = (TIME_TO_VITEC, VITEC_SECONDS, COMMIT_JOBS, COMMIT_SECONDS)
LEVELS = (VIOLATIONS, UNNAMED_PROXY, AUDITED_AT)
