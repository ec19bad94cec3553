"""How much in how long, as operators write it: `120/minute, 1000/hour`."""

import re

OFF = "off"

_ONE = r"[1-9][0-9]{0,8}/(?:second|minute|hour|day)"
_RATE = re.compile(rf"{OFF}|{_ONE}(?: *, *{_ONE})*")


def check_rate(value: str) -> str:
    """Raises ValueError."""
    if not _RATE.fullmatch(value):
        raise ValueError('is no rate; write one such as "120/minute, 1000/hour", or "off"')
    return value
