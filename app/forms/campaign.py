"""Campaign parameters: by which names it is captured where a visitor came from."""

from collections.abc import Iterable

UTM_PARAMETERS = (
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "utm_id",
    "utm_source_platform",
    "utm_creative_format",
    "utm_marketing_tactic",
)
CLICK_IDS = ("gclid", "gbraid", "wbraid", "dclid", "msclkid", "fbclid", "ttclid", "li_fat_id", "twclid")
LANDING_REFERRER = "landing_referrer"
"""The external page that sent the visitor."""


def last_touch_parameters(extra: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of what brought the visitor this time; a form may add its own."""
    return tuple(dict.fromkeys((*UTM_PARAMETERS, *CLICK_IDS, *extra, LANDING_REFERRER)))


def allowed_parameters(extra: Iterable[str] = ()) -> tuple[str, ...]:
    """The names that are captured, in the order in which they are sent."""
    last_touch = last_touch_parameters(extra)
    return (*last_touch, *(f"first_{name}" for name in last_touch))
