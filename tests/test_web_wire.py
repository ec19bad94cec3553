"""The gateway on a real connection, byte by byte."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateways import ANNA, HOST, LEADS, serve_gateway

Address = tuple[str, int]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    with serve_gateway(tmp_path_factory.mktemp("wire")) as found:
        yield found


def talk(address: Address, *parts: bytes) -> tuple[int, str, bytes]:
    """Status, headers and body of what comes back until the connection ends."""
    with socket.create_connection(address, timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode().lower(), body


def write_head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", f"Host: {HOST}", "Connection: close", *lines, "", ""]
    ).encode()


def write_chunks(content: bytes, size: int) -> bytes:
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"


def test_a_chunked_body_needs_no_length(address: Address) -> None:
    content = json.dumps(ANNA).encode()
    status, _, body = talk(address, write_head("POST", LEADS, JSON, CHUNKED), write_chunks(content, 7))
    assert status == 202
    assert json.loads(body)["status"] == "accepted"


def test_a_chunked_body_has_the_same_limit(address: Address) -> None:
    content = json.dumps(ANNA).encode()
    whole = content + b" " * (65_536 - len(content))
    head = write_head("POST", LEADS, JSON, CHUNKED)
    assert talk(address, head, write_chunks(whole, 8192))[0] == 202
    status, headers, _ = talk(address, head, write_chunks(whole + b" ", 8192))
    assert status == 413
    assert "application/problem+json" in headers


def test_a_body_that_says_it_is_too_large_need_not_be_sent(address: Address) -> None:
    for path, kind in ((LEADS, JSON), ("/f/kontakt", "Content-Type: multipart/form-data; boundary=x")):
        status, headers, _ = talk(address, write_head("POST", path, kind, "Content-Length: 65537"))
        assert status == 413
        assert "x-content-type-options: nosniff" in headers


def test_who_hangs_up_half_way_leaves_nothing_and_nobody_waiting(address: Address) -> None:
    content = json.dumps(ANNA | {"message": "Halva"}).encode()
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(write_head("POST", LEADS, JSON, f"Content-Length: {len(content)}") + content[:-1])
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(write_head("POST", LEADS, JSON, CHUNKED) + write_chunks(content, 20)[:40])
    whole = write_head("POST", LEADS, JSON, f"Content-Length: {len(content)}")
    status, headers, _ = talk(address, whole, content)
    assert status == 202
    assert "idempotent-replayed" not in headers


def test_head_has_no_body(address: Address) -> None:
    for path in ("/f/kontakt", "/api/v1/forms/kontakt", "/okand"):
        _, headers, body = talk(address, write_head("HEAD", path))
        assert body == b""
        assert "content-length: 0" not in headers


def test_a_prefix_of_slashes_is_no_other_host(address: Address) -> None:
    for path in ("//f/kontakt", "///evil.example/%2e%2e", "/f//kontakt", "/static//etc"):
        status, headers, _ = talk(address, write_head("GET", path))
        assert status == 404
        assert "\r\nlocation:" not in headers


def test_nothing_tells_what_serves_it(address: Address, tmp_path: Path) -> None:
    _, headers, _ = talk(address, write_head("GET", "/healthz"))
    assert "server:" not in headers
    assert "x-powered-by" not in headers
