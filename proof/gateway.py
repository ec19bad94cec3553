"""The product's own command, with one mechanism taken away where a mutant is asked for."""

import os
from datetime import timedelta

from app.cli import main


def _plant(mutant: str) -> None:
    """Each is a bug somebody could write; the proof must see it."""
    from app.delivery import reconcile

    if mutant == "blind_retry":
        reconcile.Reconciler.settle_unknown = _send_again  # type: ignore[method-assign]
    elif mutant == "short_settle":
        reconcile.Reconciler._weigh_absence = _believe_at_once  # type: ignore[method-assign]  # noqa: SLF001
    elif mutant == "no_canary":
        reconcile.Reconciler.prove = _believe  # type: ignore[method-assign]


async def _send_again(self, parcel, create) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    from app.store.settling import NotCreated

    await self._settle(parcel, NotCreated(attempt_id=create.attempt_id, why="mutant"))


async def _believe_at_once(self, parcel, create, **_: object) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    await _send_again(self, parcel, create)


async def _believe(self, parcel) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001, ARG001
    return True


def _hurry() -> None:
    """A destination is tried again after moments instead of minutes: a run must come to rest."""
    from app.delivery import breaker

    breaker.FIRST_PAUSE = timedelta(milliseconds=300)
    breaker.LONGEST_PAUSE = timedelta(seconds=2)


if __name__ == "__main__":
    _hurry()
    if mutant := os.environ.get("LEADGATE_PROOF_MUTANT"):
        _plant(mutant)
    main()
