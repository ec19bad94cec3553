"""One call on its way through the stand-in: who asks, and for what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.sandbox.auth import Caller
from app.sandbox.config import SandboxConfig
from app.sandbox.replies import refuse_content, refuse_media_type
from app.sandbox.shapes import Shape, read_json, read_model
from app.sandbox.world import World

STOCKHOLM = ZoneInfo("Europe/Stockholm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    world: World
    config: SandboxConfig
    caller: Caller
    content: bytes = field(repr=False)
    content_type: str
    """Lower case, without parameters."""
    parameters: Mapping[str, str]
    """Of the path."""
    query: Mapping[str, str]
    """Names in lower case: ASP.NET does not mind."""
    alterations: frozenset[str] = frozenset()
    """Faults that change what is kept or told, by name."""
    delay: timedelta = timedelta()
    """How long a new lead takes to be there."""

    def require_query(self, name: str) -> str:
        """Raises Refusal, 400, where it is missing or blank."""
        value = self.query.get(name.lower(), "")
        if not value.strip():
            raise refuse_content({name: ["Måste anges."]})
        return value

    def read_json_model(self, shape: Shape, *, model: str) -> dict[str, Any]:
        """Raises Refusal: 415 for anything but JSON, 400 for what does not fit."""
        if self.content_type not in {"application/json", "text/json"}:
            raise refuse_media_type()
        return read_model(shape, read_json(self.content, model=model), model=model)


def tell_time(moment: datetime) -> str:
    """As Vitec tells it: Swedish wall-clock time without an offset, such as 2026-08-31T11:46:09.65."""
    local = moment.astimezone(STOCKHOLM).replace(tzinfo=None)
    text = local.isoformat(timespec="milliseconds")
    return text.rstrip("0").rstrip(".")


def hear_time(text: str) -> datetime:
    """A time that was sent: with an offset as it says, without one in Swedish time."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=STOCKHOLM)
