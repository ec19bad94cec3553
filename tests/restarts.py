"""Visitors who send a lead each, one after the other, whatever happens to the server meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from time import monotonic

import httpx

from tests.processes import LEADS

PATIENCE = 60.0


@dataclass(slots=True)
class Crowd:
    """What became of each lead that was sent."""

    kept: dict[str, str] = field(default_factory=dict)
    """The ids by what was sent."""
    failures: list[str] = field(default_factory=list)

    def await_kept(self, more: int) -> None:
        """Until so many more were kept."""
        wanted, end = len(self.kept) + more, monotonic() + PATIENCE
        while len(self.kept) < wanted and not self.failures:
            assert monotonic() < end, "visitors were kept waiting"
            threading.Event().wait(0.01)


@contextmanager
def visiting(url: str, *, visitors: int = 4, retries: int = 0) -> Iterator[Crowd]:
    """Each lead over a connection of its own, as browsers send theirs; sent again only as often as `retries` says."""
    crowd, stop, numbers = Crowd(), threading.Event(), count()

    def visit() -> None:
        while not stop.is_set():
            number = f"visitor {next(numbers)}"
            try:
                answer = _send(url, number, retries)
            except httpx.HTTPError as error:
                crowd.failures.append(type(error).__name__)
                continue
            if answer.status_code == 202:
                crowd.kept[number] = answer.json()["id"]
            else:
                crowd.failures.append(f"{answer.status_code} {answer.text}")

    threads = [threading.Thread(target=visit) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    try:
        yield crowd
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _send(url: str, number: str, retries: int) -> httpx.Response:
    body = {"firstName": "Anna", "lastName": "Berg", "email": "anna@example.com", "message": number}
    headers = {"Idempotency-Key": number}
    for _ in range(retries):
        try:
            return httpx.post(url + LEADS, json=body, headers=headers, timeout=PATIENCE)
        except httpx.TransportError:
            threading.Event().wait(0.05)
    return httpx.post(url + LEADS, json=body, headers=headers, timeout=PATIENCE)
