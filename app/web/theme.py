"""A form's theme as a small stylesheet: its colours, and those that follow from them by contrast."""

import re
from dataclasses import dataclass, replace

from app.forms.model import Form, Theme

READABLE = 4.5
"""The least contrast of text to its ground: WCAG 2.2, 1.4.3."""

_PLAIN = re.compile(r"[\w.,'\" -]{1,200}")  # font names and lengths; nothing that could end a declaration
_HEX = re.compile(r"#(?:[0-9a-f]{3}){1,2}", re.IGNORECASE)
_WHITE, _BLACK = "#ffffff", "#000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Palette:
    ground: str
    text: str


# As in static/leadgate.css and static/leadgate-dark.css.
_LIGHT = _Palette(ground="#ffffff", text="#1e2422")
_DARK = _Palette(ground="#1b1f1e", text="#eef1ef")


def has_theme(theme: Theme) -> bool:
    """Whether the theme says anything that goes into its stylesheet; mode, logo and stylesheet do not."""
    return any(
        (theme.accent, theme.background, theme.text, theme.radius, theme.font, theme.spacing),
    )


def render_theme(form: Form) -> bytes:
    """The CSS of `/f/{form}/theme.css`. A value that could mean more than itself is left out."""
    theme = _keep_plain(form.theme)
    blocks = [_block({**_measures(theme), **_accents(theme)})]
    if theme.mode == "auto":
        # The background and text of the file are the light page's; a dark one keeps its own.
        blocks.append(_in_scheme("light", _block(_grounds(theme, over=_LIGHT))))
        blocks.append(_in_scheme("dark", _block(_grounds(Theme(accent=theme.accent), over=_DARK))))
    else:
        blocks.append(_block(_grounds(theme, over=_DARK if theme.mode == "dark" else _LIGHT)))
    return "".join(blocks).encode()


def _block(declarations: dict[str, str]) -> str:
    body = "".join(f"--lg-{name}:{value};" for name, value in declarations.items())
    return f":root{{{body}}}\n" if body else ""


def _in_scheme(scheme: str, block: str) -> str:
    return f"@media (prefers-color-scheme:{scheme}){{{block.strip()}}}\n" if block else ""


def _keep_plain(theme: Theme) -> Theme:
    """The theme without what could mean more than itself. The reader has looked already; a page trusts nobody."""
    return replace(
        theme,
        accent=_keep_colour(theme.accent),
        background=_keep_colour(theme.background),
        text=_keep_colour(theme.text),
        radius=_keep_measure(theme.radius),
        font=_keep_measure(theme.font),
        spacing=_keep_measure(theme.spacing),
    )


def _keep_colour(value: str | None) -> str | None:
    return value if value and _HEX.fullmatch(value) else None


def _keep_measure(value: str | None) -> str | None:
    """An odd quotation mark would take the declarations after it along."""
    plain = value and _PLAIN.fullmatch(value) and not (value.count('"') % 2 or value.count("'") % 2)
    return value if plain else None


def _measures(theme: Theme) -> dict[str, str]:
    named = {"radius": theme.radius, "font": theme.font, "space": theme.spacing}
    return {name: value for name, value in named.items() if value}


def _accents(theme: Theme) -> dict[str, str]:
    if not theme.accent:
        return {}
    return {"accent": theme.accent, "on-accent": _readable(theme.accent, candidates=(_WHITE, _BLACK))}


def _grounds(theme: Theme, *, over: _Palette) -> dict[str, str]:
    ground, text = theme.background or over.ground, theme.text or over.text
    declarations = {}
    if theme.accent:
        declarations["link"] = _readable(ground, candidates=(theme.accent, text))
    if theme.background:
        declarations |= {"behind": ground, "inset": "1.5rem"}
    if theme.background or theme.text:
        declarations |= {"ground": ground, "text": text, "field": ground}
        declarations["muted"] = _readable(ground, candidates=(_mix(text, ground, share=0.7), text))
        declarations["line"] = _mix(text, ground, share=0.5)
        declarations["error"] = _readable(ground, candidates=("#a5351c", "#ffb4a1", text))
        declarations["around"] = declarations["tint"] = _mix(text, ground, share=0.06)
    return declarations


def _readable(ground: str, *, candidates: tuple[str, ...]) -> str:
    """The first that can be read on the ground; else the one that is read best."""
    enough = (colour for colour in candidates if contrast(colour, ground) >= READABLE)
    return next(enough, None) or max(candidates, key=lambda colour: contrast(colour, ground))


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


def _mix(one: str, other: str, *, share: float) -> str:
    """A colour between two, `share` of it the first."""
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)
