"""The privacy notice that was shown: by our own page, or as a caller says."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from app.forms.model import Form
from app.lead import Note, Notice

# A caller's clock may run ahead a little; nobody was shown a notice tomorrow.
_CLOCK_TOLERANCE = timedelta(minutes=5)
_OLDEST = timedelta(days=400)


def read_moment(text: str) -> datetime | None:
    """A time with its offset (RFC 3339), in UTC; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def read_notice(
    given: Mapping[str, str], form: Form, *, language: str, page_shown_at: datetime | None, now: datetime
) -> tuple[Notice | None, tuple[Note, ...]]:
    """None when nobody says that one was shown. A time that cannot be is dropped: a clock was wrong."""
    if not given and page_shown_at is None:
        return None, ()
    # Our own page shows the notice as it is; what a caller showed without saying which is not known.
    version = given.get("version") or (form.privacy.version if page_shown_at else "")
    told = read_moment(given.get("shownAt", ""))
    shown_at = page_shown_at or (told if told and now - _OLDEST < told < now + _CLOCK_TOLERANCE else None)
    notice = Notice(
        version=version,
        # A caller that names another version showed another text, which we do not have.
        text=form.privacy.notice[language] if version == form.privacy.version else "",
        language=language,
        shown_at=min(shown_at, now) if shown_at else None,
    )
    dropped = told is not None and shown_at is None
    return notice, (Note(code="notice_time_dropped", detail="not a time it could be"),) if dropped else ()
