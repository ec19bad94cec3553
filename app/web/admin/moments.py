"""Times as an operator reads them: Swedish local time, and how long ago."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta

ZONE = ZoneInfo("Europe/Stockholm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    language: str
    now: datetime

    def at(self, moment: datetime) -> str:
        return format_datetime(moment, "d MMM y HH:mm:ss", tzinfo=ZONE, locale=self.language)

    def ago(self, moment: datetime) -> str:
        return format_timedelta(moment - self.now, add_direction=True, locale=self.language)

    def day(self, moment: datetime) -> str:
        return format_date(moment.astimezone(ZONE).date(), "d MMM", locale=self.language)

    def after(self, gap: timedelta) -> str:
        """A span between two steps, short: `340 ms`, `12 s`, `3 min`."""
        seconds = gap.total_seconds()
        if seconds < 1:
            return f"{seconds * 1000:.0f} ms"
        if seconds < 120:
            return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
        return format_timedelta(gap, format="narrow", locale=self.language)
