"""The privacy notice next to a form: filled in, and given a version."""

import hashlib
from collections.abc import Mapping
from datetime import timedelta

from app.forms import presets
from app.forms.layers import Layers
from app.forms.model import Privacy, Retention, Text
from app.forms.shape import PrivacyShape
from app.forms.texts import resolve_text


def build_privacy(layers: Layers, languages: tuple[str, ...]) -> Privacy:
    shape = layers.shape.privacy
    chosen = shape.retention.model_dump(exclude_none=True)
    retention = Retention(**chosen)
    ready = presets.load("privacy")
    template = resolve_text(
        ready["notice"] if shape.notice is None else shape.notice,
        languages,
        add=lambda message: layers.add(message, "privacy", "notice"),
    )
    notice = {
        language: _fill(text, language, shape=shape, delivered=retention.delivered)
        for language, text in template.items()
    }
    return Privacy(
        notice=notice,
        version=shape.version or digest_notice(notice),
        controller=shape.controller,
        policy_url=shape.policy_url,
        retention=retention,
    )


def digest_notice(notice: Text) -> str:
    """Twelve hexadecimal digits that change with any of the texts."""
    joined = "\0".join(f"{language}\0{notice[language]}" for language in sorted(notice))
    return hashlib.sha256(joined.encode()).hexdigest()[:12]


def _fill(text: str, language: str, *, shape: PrivacyShape, delivered: timedelta) -> str:
    ready = presets.load("privacy")
    # A language that the package does not speak comes with a notice of its own; its blanks are filled in English.
    spoken = language[:2] if language[:2] in ready["controller"] else "en"
    if shape.notice is None and shape.policy_url:
        text = f"{text} {ready['more'][spoken]}"
    blanks = {
        "controller": shape.controller or ready["controller"][spoken],
        "policy_url": shape.policy_url or "",
        "retention": _say(delivered, ready["units"][spoken]),
    }
    for name, value in blanks.items():
        text = text.replace(f"{{{name}}}", value)
    return text.strip()


def _say(duration: timedelta, units: Mapping[str, list[str]]) -> str:
    seconds = int(duration.total_seconds())
    sizes = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
    unit = next(unit for unit, size in sizes.items() if seconds % size == 0)
    count = seconds // sizes[unit]
    one, many = units[unit]
    return f"{count} {one if count == 1 else many}"
