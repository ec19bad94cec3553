"""The commands: `leadgate …`. The only place where web, delivery and vitec are put together."""

import gc
import sys

# Imports make a million objects that stay, and requests hardly a cycle: to look for one after every few hundred
# objects costs a tenth of every start, and makes some visitors wait.
gc.set_threshold(20_000, 20, 20)

# typer brings rich along, and structlog and httpx load it where they find it: for tracebacks in colour, which show what
# is in every variable, a visitor's name too, and a twelfth of every start.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]

from app.cli.commands import app  # noqa: E402
from app.errors import LeadgateError  # noqa: E402


def main() -> None:
    """Exit codes: 0 ok, 1 refused or failed with a sentence on stderr, 2 usage."""
    try:
        app()
    except LeadgateError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
