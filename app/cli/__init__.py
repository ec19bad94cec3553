"""The commands: `leadgate …`. The only place where web, delivery and vitec are put together."""

import sys

from app.cli.commands import app
from app.errors import LeadgateError


def main() -> None:
    """Exit codes: 0 ok, 1 refused or failed with a sentence on stderr, 2 usage."""
    try:
        app()
    except LeadgateError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
