"""What the whole suite says nowhere: the people and the passwords that its tests are about."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app.log import configure_logging

PERSONAL = (
    "anna@example.com",
    "anna@example.se",
    "anna.sentinel",
    "Bergström",
    "701740605",
    "070-174 06 05",
    "Vi vill sälja",
)
"""Of the visitors whom most tests send; a new test does well to send one of these."""

SECRETS = ("hemligt-lösenord", "gurksallad")


def find_told(text: str) -> list[str]:
    """What of it stands in a text, as it is or as JSON writes it."""
    return [word for word in (*PERSONAL, *SECRETS) if word in text or json.dumps(word)[1:-1] in text]


def _make_handler() -> "logging.StreamHandler[io.StringIO]":
    """As the program's own, and put nowhere yet."""
    root = logging.getLogger()
    before = root.handlers[:]
    configure_logging("json", stream=io.StringIO())
    [handler] = root.handlers
    root.handlers[:] = before
    assert isinstance(handler, logging.StreamHandler)
    return handler


_handler = _make_handler()


@contextmanager
def overhearing() -> Iterator[io.StringIO]:
    """Everything that is logged within the block, rendered as in production."""
    if not structlog.is_configured():
        _make_handler()
    root, heard = logging.getLogger(), io.StringIO()
    before = _handler.setStream(heard)
    root.addHandler(_handler)
    try:
        yield heard
    finally:
        root.removeHandler(_handler)
        _handler.setStream(before or io.StringIO())
