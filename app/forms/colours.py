"""A theme's colours: what they stand on, and how well the one can be read on the other."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.forms.model import Theme

READABLE = 4.5
"""The least contrast of text to its ground: WCAG 2.2, 1.4.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    ground: str
    text: str


# As in static/leadgate.css and static/leadgate-dark.css.
LIGHT = Palette(ground="#ffffff", text="#1e2422")
DARK = Palette(ground="#1b1f1e", text="#eef1ef")


def choose_palettes(theme: Theme) -> dict[str, Palette]:
    """By scheme, what a page shows. Where the visitor's system decides, the file's colours are the light page's."""
    if theme.mode == "auto":
        return {"light": _lay_over(LIGHT, theme), "dark": DARK}
    return {theme.mode: _lay_over(DARK if theme.mode == "dark" else LIGHT, theme)}


def _lay_over(palette: Palette, theme: Theme) -> Palette:
    return Palette(ground=theme.background or palette.ground, text=theme.text or palette.text)


def find_faint(theme: Theme) -> Iterator[tuple[str, str]]:
    """The theme's keys whose colour is hard to read, each with what follows from it."""
    for scheme, palette in choose_palettes(theme).items():
        ground = palette.ground
        if contrast(palette.text, ground) < READABLE:
            told = _describe(palette.text, ground, scheme)
            yield "text" if theme.text else "background", f"{told}; choose colours further apart"
        if theme.accent and contrast(theme.accent, ground) < READABLE:
            told = _describe(theme.accent, ground, scheme)
            yield "accent", f"{told}; buttons keep it, links are shown in the text's colour"


def _describe(colour: str, ground: str, scheme: str) -> str:
    ratio = int(contrast(colour, ground) * 10) / 10  # rounded down: 4.49 is not yet enough
    return (
        f"{colour} on {ground}, the {scheme} background, has a contrast of {ratio}:1,"
        f" and text needs {READABLE}:1 (WCAG 2.2 AA)"
    )


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours written #rgb or #rrggbb, from 1 to 21. WCAG 2.2's definition."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [value / 255 for value in _channels(colour)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(colour: str) -> list[int]:
    digits = colour[1:]
    pairs = [digit * 2 for digit in digits] if len(digits) == 3 else re.findall("..", digits)
    return [int(pair, 16) for pair in pairs]


def mix(one: str, other: str, *, share: float) -> str:
    """A colour between two, `share` of it the first."""
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)
