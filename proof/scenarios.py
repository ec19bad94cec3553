"""What is done to the gateway and to Vitec while leads come in."""

from dataclasses import dataclass

BEFORE = ("500_before", "drop_before", "429", "hang_before")
AFTER = (
    "500_after",
    "drop_after",
    "empty_200_after",
    "html_200_after",
    "truncated_after",
    "late_commit",
    "hang_after",
)

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One fault, for many leads."""

    name: str
    faults: tuple[str, ...] = ()
    """One of these meets seven in ten creates."""
    reads: str | None = None
    """A fault of every reading: `reads_forbidden`, `reads_blind`."""
    proven: bool = True
    """Whether a first lead is delivered in peace, which proves the read path."""
    kill: float = 0
    """Odds of a kill at each failpoint."""
    stop: float = 0
    """Odds of a stop of two seconds at each failpoint."""
    every: float = 0
    """Seconds, on average, between kills and stops of any process at any moment."""
    servers: int = 1
    deliverers: int = 0
    """Beside the servers, which then only accept."""
    clock: bool = False
    """Whether the gateway's clock jumps, by up to a day, both ways, every few seconds."""
    database_dies: bool = False
    """Whether the database server is killed every few seconds."""
    only: str | None = None
    """The database that it is about."""
    mutant: str = ""
    """A mechanism taken away, to see whether the harness sees: it must double leads."""

    @property
    def may_hold(self) -> bool:
        """Whether a human is needed where an answer was lost: nowhere else."""
        return self.reads is not None or not self.proven


SCENARIOS = (
    Scenario(name="nothing"),
    Scenario(name="kill -9 at failpoints", kill=0.02),
    Scenario(name="SIGSTOP at failpoints", stop=0.03),
    Scenario(name="faults before Vitec's commit", faults=BEFORE),
    Scenario(name="faults after Vitec's commit", faults=AFTER),
    Scenario(name="both, with kill -9 and SIGSTOP", faults=BEFORE + AFTER, kill=0.01, stop=0.01),
    Scenario(name="both, killed and stopped at any moment", faults=BEFORE + AFTER, every=6),
    Scenario(name="both, read path unproven", faults=BEFORE + AFTER, proven=False, kill=0.01),
    Scenario(name="both, reading forbidden", faults=BEFORE + AFTER, reads="reads_forbidden", kill=0.01),
    Scenario(name="both, reading blind", faults=BEFORE + AFTER, reads="reads_blind", kill=0.01),
    Scenario(name="both, the clock jumping", faults=BEFORE + AFTER, clock=True, kill=0.005),
    Scenario(
        name="both, two servers and two deliverers killed and stopped",
        faults=BEFORE + AFTER,
        servers=2,
        deliverers=2,
        every=6,
        only=POSTGRESQL,
    ),
    Scenario(name="both, the database killed", faults=BEFORE + AFTER, database_dies=True, only=POSTGRESQL),
)

MUTANTS = (
    Scenario(name="mutant: sent again without looking", faults=AFTER, mutant="blind_retry"),
    Scenario(name="mutant: settle time too short", faults=("late_commit",), mutant="short_settle"),
    Scenario(name="mutant: absence believed unproven", faults=AFTER, reads="reads_blind", mutant="no_canary"),
)
