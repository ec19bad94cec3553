"""What systemd hands to a service, and wants to hear from it: its socket, and that it is ready.

sd_listen_fds(3) and sd_notify(3). A socket that systemd holds outlives a restart: who connects meanwhile waits
in its queue, and no visitor is refused.
"""

import os
import socket
from collections.abc import MutableMapping

from app.log import get_logger

_log = get_logger("process")

_FIRST = 3
"""The first descriptor that is handed over."""


def take_socket(environ: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """The socket that systemd listens on for this process; None when it does not. Asked once: it is ours then."""
    meant_for_us = environ.pop("LISTEN_PID", "") == str(os.getpid())
    count = environ.pop("LISTEN_FDS", "0")
    environ.pop("LISTEN_FDNAMES", None)
    if not meant_for_us or not count.isdecimal() or int(count) == 0:
        return None
    listener = socket.socket(fileno=_FIRST)
    listener.set_inheritable(False)
    return listener


def notify(state: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Tells whoever supervises this process, if anybody does: `READY=1`, `STOPPING=1`."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect("\0" + address[1:] if address.startswith("@") else address)
            channel.sendall(state.encode())
    except OSError as error:
        _log.warning("supervisor_not_told", state=state, cause=error.strerror)
