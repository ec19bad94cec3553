"""forms.example.toml works as it is, works with everything in it taken on, and shows every key."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from app.forms import shape
from app.forms.model import CallGroup, Forms, Login, Password
from app.forms.reader import read_forms
from app.forms.warnings import find_warnings

EXAMPLE = Path(__file__).parent.parent / "forms.example.toml"
LOGIN = Login(name="default", username="u", password=Password(value="p"), base_url="https://vitec.example")
ENVIRON = {f"VITEC_PARTNER_{group.name}": "p" for group in CallGroup}


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """The example with its keys taken on: prose has a blank after its #, a key has none."""
    path = tmp_path / "forms.toml"
    path.write_text(re.sub(r"(?m)^#(?=\S)", "", EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "vitec-partner"
    secret.touch(mode=0o600)
    secret.write_text("p")
    return path


def read_everything(path: Path) -> Forms:
    return read_forms(path, default_login=LOGIN, environ=ENVIRON)


def test_the_example_works_as_it_is() -> None:
    assert list(read_forms(EXAMPLE, default_login=LOGIN, environ={}).forms) == ["kontakt"]


def test_the_example_works_with_every_key_in_it(everything: Path) -> None:
    forms = read_everything(everything)
    form = forms.forms["kontakt"]
    assert form.routes[0].zip == ((16900, 17199), (17267, 17267))
    assert set(forms.logins) == {"default", "partner"}
    assert set(forms.logins["partner"].group_passwords) == set(CallGroup)
    assert forms.api_keys["portal"].forms == ("kontakt",)
    assert {warning.key for warning in find_warnings(forms)} == {
        "forms.kontakt.routes",
    }


def test_the_example_shows_every_key(everything: Path) -> None:
    content = tomllib.loads(everything.read_text(encoding="utf-8"))
    form = content["forms"]["kontakt"]
    shown: list[tuple[type[BaseModel], set[str]]] = [
        (shape.FileShape, set(content)),
        (shape.FormShape, set(form)),
        (shape.FieldShape, {key for field in form["fields"] for key in field}),
        (shape.RouteShape, {key for route in form["routes"] for key in route}),
        (shape.ThemeShape, set(form["theme"])),
        (shape.PrivacyShape, set(form["privacy"])),
        (shape.RetentionShape, set(form["privacy"]["retention"])),
        (shape.ConsentShape, {*form["consents"]["newsletter"], "required"}),
        (shape.SpamShape, set(form["spam"])),
        (shape.ReceiverShape, set(content["receivers"]["solna"])),
        (shape.LoginShape, {*content["vitec"]["partner"], "password_env"}),
        (shape.PasswordShape, {"password_file", *content["vitec"]["partner"]["read"]}),
        (shape.ApiKeyShape, set(content["api_keys"]["portal"])),
    ]
    assert dict(shown) == {model: set(model.model_fields) for model, _ in shown}
