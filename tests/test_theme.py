"""A theme's stylesheet: readable whatever the colours, and harmless whatever the values."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.forms.colours import READABLE, contrast
from app.forms.model import Form, Privacy, Theme
from app.lead import Destination
from app.resources import STATIC
from app.web.theme import has_theme, render_theme

TEXT = {"sv": "x"}
COLOURS = st.from_regex(r"#(?:[0-9a-f]{3}|[0-9a-fA-F]{6})", fullmatch=True)


def make_form(theme: Theme) -> Form:
    return Form(
        name="kontakt",
        source="forms.toml",
        title=TEXT,
        intro=TEXT,
        submit_label=TEXT,
        thanks=TEXT,
        subject=TEXT,
        fields=(),
        destination=Destination(customer_id="M1", assigned_to_id="H1", lead_source_id="L1"),
        privacy=Privacy(notice=TEXT, version="1"),
        theme=theme,
    )


def read_properties(css: str) -> dict[str, str]:
    return dict(re.findall(r"--lg-([a-z-]+):\s*([^;]+);", css))


def render(theme: Theme) -> str:
    return render_theme(make_form(theme)).decode()


def test_black_on_white_is_all_the_contrast_there_is() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#fff") == pytest.approx(4.54, abs=0.01)


def test_nothing_said_is_no_stylesheet() -> None:
    for mode in ("light", "dark", "auto"):
        theme = Theme(mode=mode, logo="/static/logo.svg", stylesheet="/static/own.css")
        assert not has_theme(theme)
        assert render(theme) == ""


def test_measures_are_passed_on() -> None:
    theme = Theme(radius="8px", spacing="1.25rem", font="Georgia, 'Times New Roman', serif")
    assert has_theme(theme)
    assert read_properties(render(theme)) == {
        "radius": "8px",
        "space": "1.25rem",
        "font": "Georgia, 'Times New Roman', serif",
    }


def test_a_light_accent_gets_dark_words_and_is_no_colour_for_links() -> None:
    found = read_properties(render(Theme(accent="#ffd400")))
    assert found == {"accent": "#ffd400", "on-accent": "#000000", "link": "#1e2422"}


def test_a_dark_accent_gets_white_words_and_colours_links() -> None:
    found = read_properties(render(Theme(accent="#0a5c36")))
    assert found == {"accent": "#0a5c36", "on-accent": "#ffffff", "link": "#0a5c36"}


def test_a_background_is_painted_inside_a_frame_too() -> None:
    found = read_properties(render(Theme(background="#202020", text="#fff")))
    assert found["behind"] == found["ground"] == "#202020"
    assert "behind" not in read_properties(render(Theme(text="#333")))


def test_the_background_of_an_automatic_theme_is_the_light_one_only() -> None:
    css = render(Theme(mode="auto", accent="#0a5c36", background="#fff8e7"))
    light, dark = re.findall(r"@media \(prefers-color-scheme:(?:light|dark)\)\{:root\{.*\}\}", css)
    assert read_properties(light)["ground"] == "#fff8e7"
    assert set(read_properties(dark)) == {"link"}


def test_the_edge_of_a_field_is_seen_where_words_are_barely_read() -> None:
    found = read_properties(render(Theme(background="#777777", text="#ffffff")))
    assert contrast(found["line"], "#777777") >= 3


@given(accent=COLOURS, background=COLOURS, mode=st.sampled_from(["light", "dark"]))
def test_words_can_be_read_on_any_accent_and_background(accent: str, background: str, mode: str) -> None:
    text = max(("#111111", "#eeeeee"), key=lambda colour: contrast(colour, background))
    found = read_properties(render(Theme(accent=accent, background=background, text=text, mode=mode)))
    least = min(READABLE, contrast(text, background))
    assert contrast(found["on-accent"], found["accent"]) >= READABLE
    for name in ("link", "muted", "error"):
        assert contrast(found[name], found["ground"]) >= least, name
    assert contrast(found["line"], found["ground"]) >= min(3, least)


@pytest.mark.parametrize(
    "value",
    [
        "red;}body{display:none",
        "url(https://evil.example/x)",
        "#fff/*",
        "</style>",
        'Georgia"',
        "it's",
        "\\3b",
        "1px\n2px",
        "@import 'x'",
        "x" * 300,
    ],
)
def test_a_value_that_means_more_than_itself_is_left_out(value: str) -> None:
    hostile = Theme(accent=value, background=value, text=value, radius=value, font=value, spacing=value)
    assert render(hostile) == ""


def test_the_palettes_of_the_stylesheets_can_be_read() -> None:
    light = read_properties((STATIC / "leadgate.css").read_text(encoding="utf-8"))
    dark = light | read_properties((STATIC / "leadgate-dark.css").read_text(encoding="utf-8"))
    for palette in (light, dark):
        words = ("text", "muted", "link", "error")
        for word, ground in product(words, ("ground", "field", "around", "tint")):
            assert contrast(palette[word], palette[ground]) >= READABLE, (word, ground)
        assert contrast(palette["on-accent"], palette["accent"]) >= READABLE
        assert contrast(palette["line"], palette["ground"]) >= 3  # WCAG 2.2, 1.4.11: the edge of a field


def test_the_theme_starts_from_the_stylesheets_palettes() -> None:
    for mode, file in (("light", "leadgate.css"), ("dark", "leadgate-dark.css")):
        palette = read_properties((STATIC / file).read_text(encoding="utf-8"))
        assert read_properties(render(Theme(text="#777777", mode=mode)))["ground"] == palette["ground"]
        assert read_properties(render(Theme(background="#777777", mode=mode)))["text"] == palette["text"]
