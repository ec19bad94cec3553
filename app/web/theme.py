"""A form's theme as a small stylesheet: its colours, and those that follow from them by contrast."""

import re
from dataclasses import replace

from app.forms.colours import READABLE, Palette, choose_palettes, contrast, mix
from app.forms.model import Form, Theme

_DISCERNIBLE = 3
"""The least contrast of a field's edge: WCAG 2.2, 1.4.11."""

_PLAIN = re.compile(r"[\w.,'\" -]{1,200}")  # font names and lengths; nothing that could end a declaration
_HEX = re.compile(r"#(?:[0-9a-f]{3}){1,2}", re.IGNORECASE)
_WHITE, _BLACK = "#ffffff", "#000000"


def has_theme(theme: Theme) -> bool:
    """Whether the theme says anything that goes into its stylesheet; mode, logo and stylesheet do not."""
    return any(
        (theme.accent, theme.background, theme.text, theme.radius, theme.font, theme.spacing),
    )


def render_theme(form: Form) -> bytes:
    """The CSS of `/f/{form}/theme.css`. A value that could mean more than itself is left out."""
    theme = _keep_plain(form.theme)
    blocks = [_block({**_measures(theme), **_accents(theme)})]
    palettes = choose_palettes(theme)
    for scheme, palette in palettes.items():
        # The background and text of the file are the light page's; a dark one that nobody chose keeps its own.
        own = theme if scheme in {theme.mode, "light"} else Theme(accent=theme.accent)
        block = _block(_grounds(own, palette))
        blocks.append(_in_scheme(scheme, block) if len(palettes) > 1 else block)
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


def _grounds(theme: Theme, palette: Palette) -> dict[str, str]:
    ground, text = palette.ground, palette.text
    declarations = {}
    if theme.accent:
        declarations["link"] = _readable(ground, candidates=(theme.accent, text))
    if theme.background:
        declarations |= {"behind": ground, "inset": "1.5rem"}
    if theme.background or theme.text:
        declarations |= {"ground": ground, "text": text, "field": ground}
        declarations["muted"] = _readable(ground, candidates=(mix(text, ground, share=0.7), text))
        edges = (mix(text, ground, share=0.5), mix(text, ground, share=0.7), text)
        declarations["line"] = _readable(ground, candidates=edges, least=_DISCERNIBLE)
        declarations["error"] = _readable(ground, candidates=("#a5351c", "#ffb4a1", text))
        declarations["around"] = declarations["tint"] = mix(text, ground, share=0.06)
    return declarations


def _readable(ground: str, *, candidates: tuple[str, ...], least: float = READABLE) -> str:
    """The first that can be read on the ground; else the one that is read best."""
    enough = (colour for colour in candidates if contrast(colour, ground) >= least)
    return next(enough, None) or max(candidates, key=lambda colour: contrast(colour, ground))
