"""What is logged: one line an event, and never what a visitor typed or what opens Vitec."""

import asyncio
import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from app.log import configure_logging, get_logger, report_loop_error
from tests.processes import LEADS, Service, start, start_gateway

SECRET = "Sentinelsson"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes, until the test is over."""
    root, ours = logging.getLogger(), logging.getLogger("leadgate")
    before = root.handlers[:], root.level, ours.level
    stream = io.StringIO()
    yield stream
    root.handlers[:], root.level, ours.level = before
    structlog.reset_defaults()


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line(stream: io.StringIO) -> None:
    configure_logging(None, stream=stream)
    get_logger("room").info("lead_delivered", lead="1", text="å\nä")
    [line] = read(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "lead_delivered",
        "level": "info",
        "logger": "leadgate.room",
        "lead": "1",
        "text": "å\nä",
    }


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_written_for_people(stream: io.StringIO) -> None:
    terminal = Terminal()
    configure_logging(None, stream=terminal)
    get_logger("people").warning("lease_lost", lead="1")
    assert "lease_lost" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


@pytest.mark.parametrize(("style", "first"), [("json", "{"), ("console", "2")])
def test_the_operator_may_choose(stream: io.StringIO, style: Any, first: str) -> None:
    configure_logging(style, stream=stream)
    get_logger(style).error("lead_held")
    assert stream.getvalue().startswith(first)


def fail() -> None:
    raise ValueError(SECRET)


def test_an_exception_is_told_without_what_it_says(stream: io.StringIO) -> None:
    configure_logging("json", stream=stream)
    try:
        fail()
    except ValueError:
        get_logger("exceptions").exception("turn_failed")
    get_logger("exceptions").error("turn_failed", exc_info=KeyError(SECRET))
    first, second = read(stream)
    assert first["exception"] == "ValueError"
    assert first["trace"][-1].startswith("test_log.py:")
    assert first["trace"][-1].endswith(" fail")
    assert (second["exception"], second["trace"]) == ("KeyError", [])
    assert SECRET not in stream.getvalue()


def test_a_library_is_heard_without_its_values(stream: io.StringIO) -> None:
    configure_logging("json", stream=stream)
    library = logging.getLogger("library")
    library.info("not heard")
    library.warning("%s came", SECRET)
    library.warning(ValueError(SECRET))
    try:
        fail()
    except ValueError:
        library.exception("Exception in %s", SECRET)
    assert [line["event"] for line in read(stream)] == ["%s came", "ValueError", "Exception in %s"]
    assert SECRET not in stream.getvalue()


def test_what_an_event_loop_complains_of_is_told_without_values(stream: io.StringIO) -> None:
    configure_logging("json", stream=stream)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(report_loop_error)

    loop.call_soon(fail)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_exception_handler({"message": "Something else"})
    loop.close()
    first, second = read(stream)
    assert (first["event"], first["exception"]) == ("loop_error", "ValueError")
    assert second["cause"] == "Something else"
    assert SECRET not in stream.getvalue()


WORDS = {
    "firstName": "Astridsentinel",
    "lastName": "Sjögrensentinel",
    "email": "astrid.sentinel@example.com",
    "phone": "070-174 06 05",
    "message": "En hemlighetsentinel i ett meddelande",
    "pageUrl": "https://agency.example/sida-sentinel?utm_source=sentinel",
}
TYPED = ("sentinel", "701740605", "70-174", "gurksallad")


def send(gateway: Service, *, wait: int | None = None, **changes: str) -> httpx.Response:
    changed: dict[str, Any] = WORDS | changes
    return gateway.post(wait=wait, **changed)


def look_for_words(service: Service) -> list[str]:
    told = "".join([service.said, *service.log])
    return [word for word in TYPED if word in told]


def test_a_wrong_password_is_not_logged(tmp_path: Path) -> None:
    names = {"LEADGATE_VITEC_PASSWORD": "gurksallad"}
    with start(tmp_path, "sandbox", "--port", "0") as vitec:
        with start_gateway(tmp_path, vitec.url, **names) as gateway:
            send(gateway)
            assert gateway.await_log("gate_closed")["status"] == 401
            assert gateway.end()[0] == 0
            assert look_for_words(gateway) == []
        assert vitec.end()[0] == 0
        assert look_for_words(vitec) == []


def test_a_journey_leaves_no_word_of_the_visitors_in_the_log(tmp_path: Path) -> None:
    names = {"LEADGATE_RETRY_SCHEDULE": "10ms"}
    with (
        start(tmp_path, "sandbox", "--port", "0") as vitec,
        start_gateway(tmp_path, vitec.url, **names) as gateway,
    ):
        gateway.await_status(send(gateway).json()["id"], "delivered")
        refuse_in_every_way(gateway)
        # Vitec's own words about a refused lead repeat what it holds.
        for fault in ("400", "500_before", "drop_before"):
            httpx.post(vitec.url + "/sandbox/faults", json={"name": fault, "times": 1})
            send(gateway, message=f"sentinel {fault}")
        gateway.await_log("lead_held")
        with closing(sqlite3.connect(tmp_path / "data" / "leadgate.db")) as other:
            other.execute("ALTER TABLE leads RENAME TO elsewhere")
            assert send(gateway, message="sentinel, för sent").status_code == 503
            other.execute("ALTER TABLE elsewhere RENAME TO leads")
        gateway.await_log("commit_failed")
        for service in (gateway, vitec):
            assert service.end()[0] == 0
            assert look_for_words(service) == []
        assert len(vitec.log) == 0


def refuse_in_every_way(gateway: Service) -> None:
    """What is no lead, each with words of a visitor's."""
    assert send(gateway, email="sentinel", phone="sentinel").status_code == 422
    with httpx.Client(base_url=gateway.url) as client:
        assert client.post(LEADS, content=b'{"firstName": "sentinel').status_code in {400, 415}
        assert client.post("/f/kontakt", data=WORDS | {"email": "sentinel"}).status_code == 422
        assert client.post("/f/kontakt", data=WORDS).status_code == 303
        assert client.get("/sentinel?q=sentinel").status_code == 404
        assert client.get("/f/kontakt?email=astrid.sentinel@example.com").status_code == 200
