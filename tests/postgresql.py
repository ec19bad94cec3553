"""The real server that tests of PostgreSQL run over."""

from proof.postgresql import Server, run_server

__all__ = ["Server", "run_server"]
