"""What the stand-in's faults are on a real connection, byte for byte, under each of uvicorn's machines."""

import base64
import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.sandboxes import CUSTOMER, LOGIN, Running, add_contact, make_lead, run_sandbox, set_fault


@pytest.fixture(
    scope="module", params=[("httptools", "uvloop"), ("h11", "asyncio")], ids=lambda pair: pair[0]
)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    http, loop = request.param
    with run_sandbox(http=http, loop=loop) as started:
        yield started


@pytest.fixture
def vitec(running: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, auth=LOGIN, trust_env=False, timeout=10) as client:
        client.post("/sandbox/reset")
        yield client


def write_create(contact: str) -> bytes:
    content = json.dumps(make_lead(contact)).encode()
    credentials = base64.b64encode(":".join(LOGIN).encode())
    return b"\r\n".join(
        [
            f"POST /CRM/Lead/{CUSTOMER} HTTP/1.1".encode(),
            b"Host: sandbox",
            b"Authorization: Basic " + credentials,
            b"Content-Type: application/json",
            b"Content-Length: %d" % len(content),
            b"",
            content,
        ]
    )


def ask(running: Running, contact: str) -> bytes:
    """All that comes back until the connection ends."""
    with socket.create_connection(running.address, timeout=10) as connection:
        connection.sendall(write_create(contact))
        received = b""
        while chunk := connection.recv(4096):
            received += chunk
        return received


def count_leads(running: Running) -> int:
    return len(running.app.state.world.leads)


@pytest.mark.parametrize(
    ("name", "kept"),
    [("drop_before", 0), ("drop_after", 1), ("hang_before", 0), ("hang_after", 1), ("late_commit", 1)],
)
def test_the_connection_ends_without_a_byte(
    running: Running, vitec: httpx.Client, name: str, kept: int
) -> None:
    contact = add_contact(vitec)
    set_fault(vitec, name, seconds=0.01 if name != "late_commit" else 0)
    assert ask(running, contact) == b""
    assert count_leads(running) == kept


def test_an_http_client_sees_a_broken_connection(vitec: httpx.Client) -> None:
    contact = add_contact(vitec)
    set_fault(vitec, "drop_after", times=1)
    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        vitec.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact))
    calls = vitec.get("/sandbox/state").json()["calls"]
    assert (calls[-1]["status"], calls[-1]["faults"]) == (None, ["drop_after"])


def test_a_truncated_answer_is_shorter_than_it_says(running: Running, vitec: httpx.Client) -> None:
    contact = add_contact(vitec)
    set_fault(vitec, "truncated_after")
    head, _, body = ask(running, contact).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: 37" in head
    assert len(body) == 18
    assert count_leads(running) == 1


def test_a_truncated_answer_is_an_error_to_an_http_client(vitec: httpx.Client) -> None:
    contact = add_contact(vitec)
    set_fault(vitec, "truncated_after")
    with pytest.raises(httpx.RemoteProtocolError):
        vitec.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact))


def test_a_dripping_answer_comes_byte_by_byte(running: Running, vitec: httpx.Client) -> None:
    contact = add_contact(vitec)
    set_fault(vitec, "drip", seconds=0.005)
    began = time.monotonic()
    with vitec.stream("POST", f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact)) as answer:
        lead = json.loads(answer.read())
    assert time.monotonic() - began > 37 * 0.005
    assert lead == running.app.state.world.leads[0].id


def test_a_client_that_gives_up_finds_the_lead_kept_or_not(running: Running, vitec: httpx.Client) -> None:
    contact = add_contact(vitec)
    for name, kept in (("hang_before", 0), ("hang_after", 1), ("drip", 2)):
        set_fault(vitec, name, times=1)
        with pytest.raises(httpx.ReadTimeout):
            vitec.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact), timeout=0.1)
        assert count_leads(running) == kept


def test_the_next_call_is_answered_as_ever(running: Running, vitec: httpx.Client) -> None:
    contact = add_contact(vitec)
    set_fault(vitec, "drop_before", times=1)
    assert ask(running, contact) == b""
    assert vitec.post(f"/CRM/Lead/{CUSTOMER}", json=make_lead(contact)).status_code == 200


def test_half_a_request_leaves_nothing(running: Running, vitec: httpx.Client) -> None:
    contact = add_contact(vitec)
    with socket.create_connection(running.address, timeout=10) as connection:
        connection.sendall(write_create(contact)[:-10])
    assert vitec.get("/sandbox/state").json()["leads"] == []
