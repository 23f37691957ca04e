"""Ports for programs that are told theirs before they listen at it."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from random import SystemRandom

#: The range from which the system gives ports to those who ask for any: to other tests, at any moment.
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST_PORT, _LAST_PORT = 10_000, 32_767


def free_port() -> int:
    """Return a port of this machine at which nobody listens, and which the system gives to nobody meanwhile."""
    last = min(_LAST_PORT, int(_RANGE.read_text().split()[0]) - 1) if _RANGE.exists() else _LAST_PORT
    while True:
        port = SystemRandom().randint(_FIRST_PORT, last)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
