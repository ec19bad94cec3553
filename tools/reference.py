"""Writes docs/reference.md from the code: settings, the forms file's keys, commands, metrics."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from app.cli.commands import app
from app.forms.shape import FileShape
from app.settings import NAMES, Settings
from app.store.standing import Standing
from app.web.exposition import Snapshot

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference.md"

_HEAD = """# Reference

Made from the code by `make reference`; a test holds it to that. What the keys of a form are for is told line by line in
[forms.example.toml](../forms.example.toml).
"""


_TYPES = {
    "str | dict[": "a text, or a table by language",
    "list": "several",
    "tuple": "several, separated by commas",
    "timedelta": "a duration: `30s`, `15m`, `8h`, `30d`",
    "dict": "a table",
    "bool": "`true`, `false`",
    "int": "a number",
    "float": "a number",
    "Path": "a path",
}


def write_reference() -> str:
    parts = [_HEAD, *_write_settings(), *_write_forms(), *_write_commands(), *_write_metrics()]
    return "\n".join(parts) + "\n"


def _write_settings() -> Iterator[str]:
    yield "## Settings\n"
    yield "From the environment or `.env`; each also as `NAME_FILE`, a file that holds the value.\n"
    yield "| name | default | meaning | may be |\n| --- | --- | --- | --- |"
    rows = _read_rows((ROOT / "README.md").read_text(encoding="utf-8"))
    for name, setting in NAMES.items():
        default, meaning = rows[name]
        yield f"| `{name}` | {default} | {meaning} | {_describe_field(Settings.model_fields[setting])} |"
    yield ""


def _read_rows(readme: str) -> dict[str, tuple[str, str]]:
    """What people are told of each setting; README's own test holds the defaults to the code."""
    found = re.findall(r"^\| `(LEADGATE_\w+)` \| (.+?) \| (.+) \|$", readme, re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in found}


def _write_forms() -> Iterator[str]:
    yield "## The forms file\n"
    yield "Unknown keys are mistakes. Every key of a form may stand in `[defaults]` as well.\n"
    for place, shape in _list_shapes("", FileShape):
        if place:
            yield f"### `{place}`\n"
            yield "| key | default | may be |\n| --- | --- | --- |"
            for key, field in shape.model_fields.items():
                if not _find_shape(field.annotation):
                    yield f"| `{key}` | {_describe_default(field)} | {_describe_field(field)} |"
            yield ""


def _list_shapes(place: str, shape: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """Each table of the file by its name, `NAME` standing for what the operator chooses."""
    yield place, shape
    for key, field in shape.model_fields.items():
        inner = _find_shape(field.annotation)
        if inner is None or key == "defaults":
            continue
        outer = place.strip("[]")
        name = f"{outer}.{key}" if outer else key
        text = str(field.annotation)
        if text.startswith("dict"):
            name = f"{name}.NAME"
        bracketed = f"[[{name}]]" if text.startswith("list") else name
        yield from _list_shapes(bracketed, inner)


def _find_shape(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, (_find_shape(one) for one in get_args(annotation))), None)


def _describe_default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ([], {}):
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _describe_field(field: FieldInfo) -> str:
    limits = [*_list_choices(field.annotation), *_list_limits(field.metadata)]
    return ", ".join(limits) or _name_type(field.annotation)


def _list_choices(annotation: Any) -> list[str]:
    values = [one for part in (annotation, *get_args(annotation)) for one in get_args(part)]
    return [f"`{one}`" for one in values if isinstance(one, str)]


def _list_limits(metadata: list[Any]) -> Iterator[str]:
    signs = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    for one in metadata:
        for sign, words in signs.items():
            if (bound := getattr(one, sign, None)) is not None:
                yield f"{words} {bound}"


def _name_type(annotation: Any) -> str:
    text = str(annotation)
    return next((told for word, told in _TYPES.items() if word in text), "text")


def _write_commands() -> Iterator[str]:
    yield "## Commands\n"
    yield "Exit codes: 0 ok, 1 refused or failed with a sentence on standard error, 2 usage.\n"
    root: Any = typer.main.get_command(app)
    yield "| command | does |\n| --- | --- |"
    for name, command in _list_commands("leadgate", root):
        words = " ".join([name, *(_write_parameter(one) for one in command.params if one.name != "help")])
        yield f"| `{words}` | {(command.help or '').splitlines()[0]} |"
    yield ""


def _list_commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None or getattr(command, "invoke_without_command", False):
        yield name, command
    for word, one in (inner or {}).items():
        yield from _list_commands(f"{name} {word}", one)


def _write_parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    option = parameter.opts[0]
    return f"[{option}]" if parameter.is_flag else f"[{option} {parameter.metavar or parameter.name.upper()}]"


def _write_metrics() -> Iterator[str]:
    standing = Standing(leads={}, oldest={}, unresolved=0, gates=[], circuits=[])
    snapshot = Snapshot(
        standing=standing, forms=(), database="sqlite", free_bytes=0, now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    yield "## Metrics\n"
    yield "| name | type | tells |\n| --- | --- | --- |"
    for family in snapshot.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield f"| `{name}` | {family.type} | {family.documentation} |"


if __name__ == "__main__":
    PAGE.write_text(write_reference(), encoding="utf-8")
