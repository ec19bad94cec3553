"""The forms ready to use: in both languages throughout, short, and true."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.forms import presets
from app.forms.model import BUILT_IN_FIELDS, FieldType, Form, Login, Mode, Password
from app.forms.reader import read_forms

KEYS = 'customer_id = "M1"\nassigned_to_id = "HAN1"\nlead_source_id = "LKA1"\n'
LOGIN = Login(name="default", username="u", password=Password(value="p"), base_url="https://vitec.example")
LANGUAGES = {"sv", "en"}


def read_preset(folder: Path, name: str) -> Form:
    path = folder / "forms.toml"
    path.write_text(f'[forms.x]\npreset = "{name}"\n{KEYS}', encoding="utf-8")
    return read_forms(path, default_login=LOGIN, environ={}).forms["x"]


def texts_of(node: Any) -> Iterator[dict[str, str]]:
    """Every table by language within a preset."""
    if isinstance(node, dict) and LANGUAGES & set(node):
        yield node
    elif isinstance(node, dict):
        for child in node.values():
            yield from texts_of(child)
    elif isinstance(node, list):
        for child in node:
            yield from texts_of(child)


@pytest.mark.parametrize("name", [*presets.PRESETS, "builtin", "privacy"])
def test_every_text_is_there_in_both_languages(name: str) -> None:
    texts = list(texts_of(presets.load(name)))
    assert len(texts) >= 4
    for text in texts:
        assert set(text) == LANGUAGES
        assert all(text.values())


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_asks_for_at_most_seven_things(tmp_path: Path, name: str) -> None:
    form = read_preset(tmp_path, name)
    one_of_two = 1
    assert sum(field.required for field in form.fields) + one_of_two <= 7
    assert {"firstName", "lastName", "email", "phone", "message"} <= {field.name for field in form.fields}
    assert form.mode is Mode.LIVE


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_text_alone_is_no_label(name: str) -> None:
    for field in presets.load(name)["fields"]:
        assert not isinstance(field.get("label"), str)
        assert "label" in field or field["name"] in BUILT_IN_FIELDS


def test_every_built_in_field_has_its_defaults() -> None:
    assert set(presets.load("builtin")) == set(BUILT_IN_FIELDS)


def test_a_valuation_is_about_a_home(tmp_path: Path) -> None:
    form = read_preset(tmp_path, "vardering")
    assert form.home_fields == ("streetAddress", "zipCode", "city")
    assert [field.name for field in form.fields if field.required] == [
        "streetAddress",
        "zipCode",
        "propertyType",
        "firstName",
        "lastName",
    ]
    kind = form.field("propertyType")
    assert kind is not None
    assert kind.type is FieldType.SELECT
    assert len(kind.options) == 7


def test_a_listing_is_named_by_the_page(tmp_path: Path) -> None:
    form = read_preset(tmp_path, "objekt")
    assert form.home_fields == ("objectAddress", "objectReference")
    hidden = [field.name for field in form.fields if field.type is FieldType.HIDDEN]
    assert hidden == ["objectReference", "objectAddress"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "sv",
            [
                "Personuppgiftsansvarig är den mäklare som driver den här sidan",
                "svara på din förfrågan",
                "berättigade intresse",
                "Vitec",
                "kampanjtaggar",
                "adressen till sidan",
                "invända",
                "rättade",
                "(IMY)",
            ],
        ),
        (
            "en",
            [
                "the estate agent behind this page",
                "answer your enquiry",
                "legitimate interest",
                "Vitec",
                "campaign tags",
                "address of the page",
                "object",
                "corrected",
                "(IMY)",
            ],
        ),
    ],
)
def test_the_notice_is_whole(tmp_path: Path, language: str, words: list[str]) -> None:
    notice = read_preset(tmp_path, "kontakt").privacy.notice[language]
    assert [word for word in words if word not in notice] == []
    assert "{" not in notice
    assert "  " not in notice
    assert 3 <= notice.count(". ") + 1 <= 6
