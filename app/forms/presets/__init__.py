"""Forms ready to use, the built-in fields and the privacy notice, as TOML inside the package."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

PRESETS = ("kontakt", "vardering", "objekt")


@cache
def load(name: str) -> dict[str, Any]:
    """A file of this package, by its name without `.toml`. Shared: not to be written to."""
    return tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
