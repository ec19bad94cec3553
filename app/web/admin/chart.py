"""Fourteen days as bars: what came in, and how much of it Vitec has. Drawn without a script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.lead import LeadState
from app.web.admin.moments import ZONE

DAYS = 14
HEIGHT = 80
_WIDTH, _GAP = 20, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    day: datetime
    accepted: int
    delivered: int
    x: int
    height: float
    """In units of the drawing, of all that was accepted; the delivered part of it stands at the bottom."""
    delivered_height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    bars: tuple[Bar, ...]
    width: int = DAYS * (_WIDTH + _GAP) - _GAP
    height: int = HEIGHT
    bar_width: int = _WIDTH

    @property
    def accepted(self) -> int:
        return sum(bar.accepted for bar in self.bars)

    @property
    def delivered(self) -> int:
        return sum(bar.delivered for bar in self.bars)


def list_days(now: datetime) -> list[datetime]:
    """The midnights between which the days lie, today's end included. A day is Sweden's, summer time or not."""
    today = now.astimezone(ZONE).date()
    dates = [today + timedelta(days=1 - back) for back in range(DAYS, -1, -1)]
    return [datetime(date.year, date.month, date.day, tzinfo=ZONE) for date in dates]


def draw(days: Sequence[datetime], counts: Sequence[Mapping[LeadState, int]]) -> Chart:
    totals = [sum(count.values()) for count in counts]
    scale = HEIGHT / max([*totals, 1])
    return Chart(
        bars=tuple(
            Bar(
                day=day,
                accepted=total,
                delivered=count.get(LeadState.DELIVERED, 0),
                x=number * (_WIDTH + _GAP),
                height=round(total * scale, 1),
                delivered_height=round(count.get(LeadState.DELIVERED, 0) * scale, 1),
            )
            for number, (day, total, count) in enumerate(zip(days, totals, counts, strict=False))
        )
    )
