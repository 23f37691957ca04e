"""Opens listening sockets of this machine, before the server starts that will use them."""

from __future__ import annotations

import socket

from ....core.errors import ConfigError

#: Connections that may wait for the server to accept them, for instance while it starts.
BACKLOG = 2048
MAX_PORT = 65535


def listen(hostname: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigError: the port or address does not exist here, or is in use.
    """
    key = "mephisto.architect.port"
    if not 0 <= port <= MAX_PORT:
        raise ConfigError(
            f"{key} is {port}", key=key, hint=f"A port is a number up to {MAX_PORT}; 0 takes any free one"
        )
    try:
        addresses = socket.getaddrinfo(hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        key = "mephisto.architect.hostname"
        raise ConfigError(f"{key}: {hostname!r} is not a name or address of this machine", key=key) from error
    # IPv4 first: a browser that is sent to localhost tries both.
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
    """Return a host's name or address as it is written in a URL."""
    return f"[{hostname}]" if ":" in hostname else hostname
