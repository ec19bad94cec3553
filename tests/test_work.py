"""What a lead costs, counted and not timed: a slow step that creeps in is noticed on any machine.

Counted are the calls that the interpreter makes on the event loop's thread and on the store's for each lead: the
same on a busy machine as on a quiet one, to within what a batch more or less costs.
"""

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from app.identity import IdentitySource
from app.store.acceptance import accept_all
from app.store.migrate import upgrade
from app.store.sqlite import open_writer
from tests.gateways import LEADS, build
from tests.stores import must_claim, new_lead

NUMBER = 200
AT_ONCE = 40

MOST_FOR_ACCEPTING = 580
"""Calls on the loop's thread: read, checked, attributed, scored, answered. 504 when it was last looked at."""
MOST_FOR_KEEPING = 104
"""Calls for each of forty that are kept together. 90."""
MOST_FROM_A_PAGE = 677
"""The same lead where it brings an Idempotency-Key and a page's origin. 589."""

MOST_FOR_A_FORM = 208
"""Calls for a form's page. 181."""
MOST_FOR_A_CLAIM = 2400
"""Calls for one lead's claim. 2081."""


@contextmanager
def counting() -> Iterator[Callable[[], int]]:
    """Calls on this thread, of Python's functions and of C's. Whoever else watches this thread goes on after it."""
    calls = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        if event in {"call", "c_call"}:
            calls += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield lambda: calls
    finally:
        sys.setprofile(before)


def write_lead(number: int) -> bytes:
    body = {
        "firstName": "Anna",
        "lastName": "Bergström",
        "email": f"anna.{number}@example.com",
        "phone": f"070-{number:07}",
        "message": "Hej! Vi funderar på att sälja vår lägenhet på Storgatan 12 och undrar när ni kan komma förbi.",
        "pageUrl": "https://www.byran.se/salja?utm_source=google&utm_medium=cpc",
        "language": "sv",
        "marketing": {
            "referrer": "https://www.byran.se/salja",
            "utmTags": [{"name": "utm_campaign", "value": "host"}],
        },
    }
    return json.dumps(body).encode()


async def post(app: ASGIApp, number: int, headers: list[tuple[bytes, bytes]]) -> int:
    """The status of the answer."""
    body, statuses = write_lead(number), list[int]()
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "https",
        "path": LEADS,
        "query_string": b"",
        "headers": [(b"host", b"forms.example.se"), (b"content-type", b"application/json"), *headers],
        "client": (f"10.0.{number // 250}.{number % 250}", 1234),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


async def post_all(app: ASGIApp, first: int, headers: list[tuple[bytes, bytes]]) -> None:
    numbers = iter(range(first, first + NUMBER))

    async def send_some() -> None:
        for number in numbers:
            own = [(name, value.replace(b"N", b"%d" % number)) for name, value in headers]
            assert await post(app, number, own) == 202

    await asyncio.gather(*(send_some() for _ in range(AT_ONCE)))


def count_accepting(folder: Path, headers: list[tuple[bytes, bytes]]) -> float:
    app, store, _ = build(folder)
    store.open()

    async def run() -> int:
        await post_all(app, 0, headers)  # what is read once is read now
        with counting() as counted:
            await post_all(app, NUMBER, headers)
        return counted()

    try:
        return asyncio.run(run()) / NUMBER
    finally:
        store.close()


PLAIN: list[tuple[bytes, bytes]] = []
FROM_A_PAGE = [
    (b"idempotency-key", b"key-N"),
    (b"origin", b"https://www.byran.se"),
    (b"accept-language", b"sv"),
]


@pytest.mark.parametrize(
    ("headers", "most"),
    [(PLAIN, MOST_FOR_ACCEPTING), (FROM_A_PAGE, MOST_FROM_A_PAGE)],
    ids=["plain", "page"],
)
def test_accepting_takes_no_more_work_than_it_did(
    tmp_path: Path, headers: list[tuple[bytes, bytes]], most: int
) -> None:
    assert threading.current_thread() is threading.main_thread()
    taken = count_accepting(tmp_path, headers)
    assert most * 0.7 < taken < most, (
        f"{taken:.0f} calls for a lead: look what was added, or set the new bound"
    )


def test_keeping_takes_no_more_work_than_it_did(tmp_path: Path) -> None:
    engine, identities = open_writer(tmp_path / "leads.db"), IdentitySource()
    with engine.connect() as connection:
        upgrade(connection)
    batches = [[new_lead(phone_key=f"p{n}{m}") for m in range(AT_ONCE)] for n in range(6)]
    for batch in batches[:2]:
        with engine.begin() as connection:
            accept_all(connection, batch, identities)
    with counting() as counted:
        for batch in batches[2:]:
            with engine.begin() as connection:
                accept_all(connection, batch, identities)
    engine.dispose()
    taken = counted() / (4 * AT_ONCE)
    assert MOST_FOR_KEEPING * 0.7 < taken < MOST_FOR_KEEPING, f"{taken:.0f} calls for a lead"


def test_a_form_takes_no_more_work_than_it_did(tmp_path: Path) -> None:
    app, store, _ = build(tmp_path)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/f/kontakt",
        "query_string": b"",
        "headers": [(b"host", b"forms.example.se"), (b"accept-language", b"sv")],
        "client": ("10.0.0.1", 1234),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200

    async def run() -> int:
        await app(dict(scope), receive, send)  # rendered once
        with counting() as counted:
            for _ in range(NUMBER):
                await app(dict(scope), receive, send)
        return counted()

    store.open()
    try:
        taken = asyncio.run(run()) / NUMBER
    finally:
        store.close()
    assert MOST_FOR_A_FORM * 0.7 < taken < MOST_FOR_A_FORM, f"{taken:.0f} calls for a page"


def test_a_claim_takes_no_more_work_than_it_did(tmp_path: Path) -> None:
    engine = open_writer(tmp_path / "leads.db")
    with engine.connect() as connection:
        upgrade(connection)
    with engine.begin() as connection:
        accept_all(connection, [new_lead() for _ in range(AT_ONCE)], IdentitySource())
    with engine.connect() as connection:
        for _ in range(10):
            must_claim(connection)
        with counting() as counted:
            for _ in range(20):
                must_claim(connection)
        connection.rollback()
    engine.dispose()
    taken = counted() / 20
    assert MOST_FOR_A_CLAIM * 0.7 < taken < MOST_FOR_A_CLAIM, f"{taken:.0f} calls for a claim"
