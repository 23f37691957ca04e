"""``python -m mephisto_es.adapters.architects.router.python``: the router as a process.

Exit status: 0 after SIGTERM, SIGINT, or when no operator came for too long; 2 when it could not start.
"""

import contextlib
import gc
import math
import os
import resource
import secrets
import signal
import socket
import sys
import time
import uuid
from collections.abc import Generator
from pathlib import Path

import anyio
import msgspec
import uvicorn

from .bodies import BodyLimits
from .journal import Journal, JournalError, open_journal
from .log_lines import log_to_stderr
from .request_timeout import PatientProtocol
from .routes import Routes
from .settings import Secret, Settings, SettingsError, read_secret, read_settings
from .switchboard import Switchboard
from .uploads import Uploads

#: How long requests that are being answered may take after the router was told to stop.
SHUTDOWN_SECONDS = 3

#: The largest frame that the operator may send.
OPERATOR_FRAME_BYTES = 16 * 2**20

#: Connections that the kernel keeps for us until they are accepted.
BACKLOG = 2048

#: A peer that vanished without a word is noticed after two minutes, by the kernel (where it can be told so).
PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 120_000}


class Server(uvicorn.Server):
    """uvicorn's server, with signals left to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signal handlers as they are."""
        yield


def main() -> int:
    """Run the router; return the exit status."""
    log_to_stderr()
    try:
        settings, secret = read_settings(os.environ), read_secret(os.environ)
        if not os.path.isdir(settings.static):
            raise SettingsError(f"The page's directory {settings.static} does not exist.")
        journal = open_journal(Path(settings.data), settings.max_outbox_bytes, lambda: uuid.uuid4().hex)
        uploads = Uploads(
            Path(settings.data) / "uploads",
            limits=BodyLimits(settings.max_upload_bytes, settings.idle_seconds),
            max_field_bytes=settings.max_body_bytes,
            new_name=lambda: secrets.token_hex(16),
        )
        listener = _listen(settings)
    except (SettingsError, JournalError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"The router cannot start: {error}.\n")
        return 2
    _raise_file_limit()
    anyio.run(serve, settings, secret, journal, uploads, listener, backend_options={"use_uvloop": True})
    return 0


async def serve(
    settings: Settings, secret: Secret, journal: Journal, uploads: Uploads, listener: socket.socket
) -> None:
    """Serve on `listener` until told to stop, then bring the journal to the disk."""
    board = Switchboard(
        settings, secret, journal, clock=time.time, monotonic=time.monotonic, new_id=lambda: str(uuid.uuid4())
    )
    server = Server(
        uvicorn.Config(
            Routes(settings, secret, board, uploads, time.time).app(),
            http=PatientProtocol,
            timeout_keep_alive=math.ceil(settings.idle_seconds),
            ws="websockets-sansio",
            # For the operator, whose frames are batches; pages have a limit of their own.
            ws_max_size=max(OPERATOR_FRAME_BYTES, settings.max_packet_bytes),
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # A file that is no script is never taken for one.
            headers=[("x-content-type-options", "nosniff")],
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )

    def stop() -> None:
        board.operator.give_up()
        server.should_exit = True

    async def stop_on_signal() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                stop()

    async def stop_when_abandoned() -> None:
        await board.operator.wait_abandoned(settings.orphan_seconds)
        stop()

    # What lives as long as the process need not be looked at by the collector again and again.
    gc.freeze()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.write_batches, board.hand_on, board.journal_failed)
        tasks.start_soon(board.pages.watch_silence)
        tasks.start_soon(stop_on_signal)
        tasks.start_soon(stop_when_abandoned)
        sys.stdout.write(msgspec.json.encode({"listening": _url(listener)}).decode() + "\n")
        sys.stdout.flush()
        await server.serve(sockets=[listener])
        tasks.cancel_scope.cancel()
    await journal.close(board.hand_on, board.journal_failed)


def _listen(settings: Settings) -> socket.socket:
    try:
        if settings.fd is not None:
            listener = socket.socket(fileno=settings.fd)
        else:
            listener = socket.create_server((settings.host, settings.port), backlog=BACKLOG)
    except OSError as error:
        where = f"descriptor {settings.fd}" if settings.fd is not None else f"{settings.host}:{settings.port}"
        raise SettingsError(f"The router cannot listen on {where}: {error.strerror}.") from error
    # Accepted sockets inherit this.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in PROBES.items():
        if hasattr(socket, option):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_file_limit() -> None:
    """Allow as many sockets as the system lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
