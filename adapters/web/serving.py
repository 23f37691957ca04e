"""Runs the web server until it is told to stop."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import NamedTuple

import anyio
import uvicorn
from anyio import to_thread

from ...core.errors import ConfigError
from ...core.ports import WallClock
from ..log.sqlite.reader import LogReader
from .access import KEY_BYTES, Access, Sessions, WebReviewer, read_access, read_reviewers
from .app import make_app
from .changes import Changes
from .log_access import LogAccess

#: Time for requests in progress to finish after the server was told to stop.
SHUTDOWN_SECONDS = 3
BACKLOG = 128


#: Called with the URL of the server, and with the named reviewers by their tokens.
OnOpen = Callable[[str, Mapping[str, WebReviewer]], None]


class ServerOptions(NamedTuple):
    """The log to serve, and the address to serve it at."""

    database: Path
    host: str
    port: int
    #: The file with the token that visitors must enter; None if they need none.
    token_file: Path | None
    #: Author of the decisions that visitors make, as the log records it.
    author: str
    #: False to show workers only by their ids.
    shows_names: bool = True
    #: Named reviewers, `NAME` or `NAME:ROLE`.
    reviewers: tuple[str, ...] = ()


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers; ours close the live pages as well."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signal handlers alone."""
        yield


def serve(options: ServerOptions, clock: WallClock, on_open: OnOpen) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        options: the log and the address.
        clock: the wall clock.
        on_open: called once the server accepts connections.

    Raises:
        ConfigError: the server cannot listen on the address, or must not do so without a token.
        UnusableLogError: the file is not a log that this version can open.
    """
    with LogReader(options.database) as log:
        reviewers = read_reviewers(options.reviewers, log.pseudonym_key)
    access = read_access(options.host, options.token_file, reviewers)
    with _listen(options.host, options.port) as listener:
        anyio.run(_serve, options, access, listener, clock, on_open)


async def _serve(
    options: ServerOptions, access: Access, listener: socket.socket, clock: WallClock, on_open: OnOpen
) -> None:
    changes, log = Changes(options.database), LogAccess(options.database, options.author)
    port = listener.getsockname()[1]
    sessions = Sessions(secrets.token_bytes(KEY_BYTES), time.time)
    server = _Server(
        uvicorn.Config(
            make_app(log, access, sessions, changes, clock, port, shows_names=options.shows_names),
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # A proxy on this machine reports whether its visitors use TLS.
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
        on_open(_url(options.host, port), access.reviewers)
        await server.serve(sockets=[listener])
        await to_thread.run_sync(log.close)
        tasks.cancel_scope.cancel()


def _listen(host: str, port: int) -> socket.socket:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # IPv4 first: a browser that opens localhost tries both.
        family, _, _, _, address = min(addresses, key=lambda found: found[0] != socket.AF_INET)
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise ConfigError(
            f"cannot listen on port {port} of {host}: {reason}",
            key="--port",
            hint="Choose another with --port, or 0 for any free one",
        ) from error


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
