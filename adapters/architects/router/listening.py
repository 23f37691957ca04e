"""Listening sockets of this machine, opened before the server that is to use them."""

from __future__ import annotations

import socket

from ....core.errors import ConfigError

#: Connections that wait for the server to accept them, for instance while it starts.
BACKLOG = 2048
HIGHEST_PORT = 65535


def listen(hostname: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigError: there is no such port or address here, or something else listens there.
    """
    key = "mephisto.architect.port"
    if not 0 <= port <= HIGHEST_PORT:
        raise ConfigError(f"{key} is {port}", key=key, hint=f"A port is a number up to {HIGHEST_PORT}; 0: any free one")
    try:
        addresses = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        key = "mephisto.architect.hostname"
        raise ConfigError(f"{key}: {hostname!r} is no name or address of this machine", key=key) from error
    # The older kind of address first: a browser that is sent to localhost tries both.
    family, _, _, _, address = min(addresses, key=lambda found: found[0] != socket.AF_INET)
    try:
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"the server cannot listen on port {port} of {hostname}: {error.strerror}",
            key=key,
            hint=f"Set {key} to another port, or to 0 for any free one",
        ) from error


def in_url(hostname: str) -> str:
    """A host's name or address as a URL has it."""
    return f"[{hostname}]" if ":" in hostname else hostname
