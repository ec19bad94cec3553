"""Agencies' web sites on loopback: pages of another origin than the gateway's, with the forms embedded in them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(slots=True)
class Host:
    """A site. Its pages are by path, and may be changed at any time."""

    origin: str
    """By the name localhost: for a browser that is another site than 127.0.0.1, where the gateway is."""
    pages: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def show(self, body: str, path: str = "/") -> str:
        """The address of a page with that body."""
        self.pages[path] = f'<!doctype html><html lang="sv"><meta charset="utf-8"><title>Byrån</title>{body}'
        return self.origin + path


@contextmanager
def serve_host() -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.asked.append(self.path)
            page = host.pages.get(urlsplit(self.path).path)
            content = (page or "").encode()
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            for name, value in host.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is theirs
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host = Host(f"http://localhost:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
