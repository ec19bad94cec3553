"""The product's own command, in a hurry, with one mechanism taken away or the clock jumping where that is asked for."""

import os
import time
from datetime import UTC, datetime, timedelta
from random import Random

_LIFE = int(os.environ.get("LEADGATE_PROOF_LIFE", "0"))
_WHO = ".".join(
    os.environ.get(name, "0")
    for name in ("LEADGATE_FAILPOINTS_SEED", "LEADGATE_PROOF_MEMBER", "LEADGATE_PROOF_LIFE")
)
# Read when the failpoints are imported: each process, and each of its lives, has dice of its own.
os.environ["LEADGATE_FAILPOINTS_SEED"] = _WHO

from app import failpoints  # noqa: E402
from app.cli import main  # noqa: E402
from app.delivery import breaker, proving, reconcile  # noqa: E402
from app.store.settling import NotCreated  # noqa: E402
from app.store.sqlite import SqliteDatabase  # noqa: E402
from app.vitec.guard import SendGuard, read_boot_clock  # noqa: E402
from proof.fleet import RESPITE_EVERY  # noqa: E402


def _plant(mutant: str) -> None:
    """Each is a bug somebody could write; the proof must see it."""
    if mutant == "blind_retry":
        reconcile.Reconciler.settle_unknown = _send_again  # type: ignore[method-assign]
    elif mutant == "short_settle":
        reconcile.Reconciler._measure_rest = _wait_for_nothing  # type: ignore[method-assign]  # noqa: SLF001
        reconcile.Reconciler._weigh_absence = _send_again  # type: ignore[method-assign]  # noqa: SLF001
    elif mutant == "no_canary":
        proving.Prover.prove = _believe  # type: ignore[method-assign]


async def _send_again(self, parcel, create) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    await self._settle(parcel, NotCreated(attempt_id=create.attempt_id, why="mutant"))


def _wait_for_nothing(self, create) -> timedelta:  # type: ignore[no-untyped-def]  # noqa: ANN001, ARG001
    return timedelta()


async def _believe(self, parcel) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001, ARG001
    return True


class _LateDice(Random):
    """Lets the first leads through, whatever the odds."""

    throws = 100

    def random(self) -> float:
        self.throws -= 1
        return 1.0 if self.throws > 0 else super().random()


def _give_respite() -> None:
    """To every third life: a lead that ends the process three times alone is held, and that is not what is asked."""
    if _LIFE % RESPITE_EVERY == RESPITE_EVERY - 1:
        failpoints._dice = _LateDice(_WHO)  # noqa: SLF001


def _hurry() -> None:
    """A destination is tried again after moments instead of minutes: a run must come to rest."""
    breaker.FIRST_PAUSE = timedelta(milliseconds=300)
    breaker.LONGEST_PAUSE = timedelta(seconds=2)


_JUMPS = (-86_400.0, -3600.0, -37.0, 0.0, 37.0, 3600.0, 86_400.0)
_JUMPS_AFTER = (2.0, 5.0)


class _JumpingClock:
    """Seconds since 1970 as a machine tells them whose clock somebody keeps setting."""

    def __init__(self, seed: str) -> None:
        self._dice = Random(seed)
        self._error = self._dice.choice(_JUMPS)
        self._next = read_boot_clock() + self._dice.uniform(*_JUMPS_AFTER)

    def read(self) -> float:
        if read_boot_clock() > self._next:
            self._error = self._dice.choice(_JUMPS)
            self._next = read_boot_clock() + self._dice.uniform(*_JUMPS_AFTER)
        return time.time() + self._error


def _jump(seed: str) -> None:
    clock = _JumpingClock(seed)
    SqliteDatabase.now = lambda self: datetime.fromtimestamp(clock.read(), UTC)  # type: ignore[method-assign]  # noqa: ARG005
    assert SendGuard.__init__.__kwdefaults__ is not None
    SendGuard.__init__.__kwdefaults__["wall"] = clock.read


if __name__ == "__main__":
    _hurry()
    _give_respite()
    if mutant := os.environ.get("LEADGATE_PROOF_MUTANT"):
        _plant(mutant)
    if os.environ.get("LEADGATE_PROOF_CLOCK"):
        _jump(_WHO)
    main()
