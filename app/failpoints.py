"""Places where a proof may end or stop the process. Without LEADGATE_FAILPOINTS they are nothing at all.

`LEADGATE_FAILPOINTS=after_intent:kill:0.05,after_answer:stop:0.02` kills at five in a hundred passings of the
one, and stops (until somebody continues it) at two in a hundred of the other. `LEADGATE_FAILPOINTS_SEED` makes
the dice repeatable.
"""

import os
import signal
from random import Random

_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def _read(text: str) -> dict[str, list[tuple[signal.Signals, float]]]:
    armed: dict[str, list[tuple[signal.Signals, float]]] = {}
    for one in filter(None, text.split(",")):
        name, action, odds = one.split(":")
        armed.setdefault(name, []).append((_SIGNALS[action], float(odds)))
    return armed


_ARMED = _read(os.environ.get("LEADGATE_FAILPOINTS", ""))
_dice = Random(os.environ.get("LEADGATE_FAILPOINTS_SEED"))  # noqa: S311 - dice


def reach(name: str) -> None:
    """A place is reached; nearly always nothing happens."""
    for action, odds in _ARMED.get(name, ()):
        if _dice.random() < odds:
            os.kill(os.getpid(), action)
