"""Serving the web view until it is told to stop."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import anyio
import uvicorn

from ...core.errors import ConfigError
from ...core.ports import WallClock
from ..log.sqlite.reader import LogReader
from .access import KEY_BYTES, Access, Sessions, read_access
from .app import make_app
from .changes import Changes

#: How long requests that are being answered may take after the server was told to stop.
SHUTDOWN_SECONDS = 3
BACKLOG = 128


class Settings(NamedTuple):
    """What is served, and where."""

    database: Path
    host: str
    port: int
    #: Holds the token that visitors are asked for; None: none is.
    token_file: Path | None


class _Server(uvicorn.Server):
    """uvicorn's server, with signals left to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signal handlers as they are."""
        yield


def serve(settings: Settings, clock: WallClock, on_open: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: what and where.
        clock: the wall clock.
        on_open: called with the address once visitors can come.

    Raises:
        ConfigError: the address cannot be listened on, or must not be without a token.
        UnusableLogError: it is not a log that this version can open.
    """
    access = read_access(settings.host, settings.token_file)
    LogReader(settings.database).close()
    with _listen(settings.host, settings.port) as listener:
        anyio.run(_serve, settings, access, listener, clock, on_open)


async def _serve(
    settings: Settings, access: Access, listener: socket.socket, clock: WallClock, on_open: Callable[[str], None]
) -> None:
    changes = Changes(settings.database)
    port = listener.getsockname()[1]
    sessions = Sessions(secrets.token_bytes(KEY_BYTES), time.time)
    server = _Server(
        uvicorn.Config(
            make_app(settings.database, access, sessions, changes, clock, port),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # A proxy on this machine says whether visitors speak TLS to it.
            proxy_headers=True,
            forwarded_allow_ips="127.0.0.1",
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )

    async def stop_on_signal() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                changes.close()
                server.should_exit = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(changes.watch)
        tasks.start_soon(stop_on_signal)
        on_open(_url(settings.host, port))
        await server.serve(sockets=[listener])
        tasks.cancel_scope.cancel()


def _listen(host: str, port: int) -> socket.socket:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # The older kind of address first: a browser that is sent to localhost tries both.
        family, _, _, _, address = min(addresses, key=lambda found: found[0] != socket.AF_INET)
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise ConfigError(
            f"nothing can listen on port {port} of {host}: {why}",
            key="--port",
            hint="Choose another with --port, or 0 for any free one",
        ) from error


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
