"""Runs the router as a process: ``python -m mephisto_es.adapters.architects.router.python``.

Exit status: 0 after SIGTERM or SIGINT, or when there was no operator for too long; 2 if it could not start.
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

from .errors import StartError
from .http.bodies import BodyLimits, BodyReader
from .http.body_pool import BodyPool, pool_limits
from .http.client_address import KnownAddresses
from .http.protocols import HttpProtocol, socket_protocol
from .http.routes import Routes
from .http.run_page import RunPage
from .http.run_routes import RunRoutes
from .http.uploads import Uploads
from .journal.journal import Journal
from .journal.journal_file import lock_data_directory
from .log import log, log_to_stderr
from .router import Router
from .settings import RouterSettings, Secret, read_secret, read_settings

#: How long requests that are being answered may still take once the router stops.
SHUTDOWN_SECONDS = 3

#: Time after which a thread that checks megabytes lets the event loop run. With Python's 5 ms, a request that needs
#: several turns of the loop notices such a check.
SWITCH_SECONDS = 0.001

#: Size of a frame from the operator.
OPERATOR_FRAME_BYTES = 16 * 2**20

#: Connections that the kernel holds until they are accepted.
BACKLOG = 2048

#: The kernel's probes, where it has them: they notice after two minutes that the other end has vanished.
PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 120_000}


class RouterServer(uvicorn.Server):
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
        router, routes = _build(settings, secret)
        listener = _listen(settings)
    except StartError as error:
        log("cannot_start", error=str(error))
        return 2
    _raise_file_limit()
    anyio.run(serve, settings, router, routes, listener, backend_options={"use_uvloop": True})
    return 0


async def serve(settings: RouterSettings, router: Router, routes: Routes, listener: socket.socket) -> None:
    """Serve on `listener` until told to stop, then write what still waits to the journal."""
    server = RouterServer(_server_config(settings, routes))

    def stop(reason: str) -> None:
        log("stopping", reason=reason)
        router.close()
        server.should_exit = True

    async def stop_on_signal() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                stop(number.name)

    async def stop_when_abandoned() -> None:
        await router.wait_abandoned(settings.orphan_seconds)
        stop("no operator")

    sys.setswitchinterval(SWITCH_SECONDS)
    # The garbage collector need not look again and again at what lives as long as the process.
    gc.freeze()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(router.run)
        tasks.start_soon(stop_on_signal)
        tasks.start_soon(stop_when_abandoned)
        sys.stdout.write(msgspec.json.encode({"listening": _url(listener)}).decode() + "\n")
        sys.stdout.flush()
        await server.serve(sockets=[listener])
        tasks.cancel_scope.cancel()
    await router.close_journal()


def _server_config(settings: RouterSettings, routes: Routes) -> uvicorn.Config:
    return uvicorn.Config(
        routes.app(),
        http=HttpProtocol,
        timeout_keep_alive=math.ceil(settings.idle_seconds),
        ws=socket_protocol(settings.max_packet_bytes),
        # For the operator, whose frames are batches.
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


def _build(settings: RouterSettings, secret: Secret) -> tuple[Router, Routes]:
    directory = Path(settings.data)
    try:
        lock_data_directory(directory)
    except OSError as error:
        raise StartError(f"The data directory {directory} cannot be used: {error.strerror}.") from error
    journal = Journal.open(
        directory, max_outbox_bytes=settings.max_outbox_bytes, new_incarnation=lambda: uuid.uuid4().hex
    )
    page = RunPage(None if settings.static else directory / "page")
    settings = msgspec.structs.replace(settings, static=settings.static or page.directory)
    router = Router(
        settings, secret, page, journal, clock=time.time, monotonic=time.monotonic, new_id=lambda: str(uuid.uuid4())
    )
    known = KnownAddresses(settings.trusted_proxies)
    pool = BodyPool(pool_limits(settings), known, lambda resource: router.counters.drop(resource.value), time.monotonic)
    json_limits = BodyLimits(settings.max_body_bytes, settings.idle_seconds, settings.trusted_proxies)
    files = BodyReader(json_limits._replace(max_bytes=settings.max_upload_bytes), pool)
    try:
        uploads = Uploads(
            directory / "uploads",
            bodies=files,
            max_field_bytes=settings.max_body_bytes,
            new_name=lambda: secrets.token_hex(16),
        )
    except OSError as error:
        raise StartError(f"The data directory {directory} cannot be used: {error.strerror}.") from error
    bodies = BodyReader(json_limits, pool)
    run_routes = RunRoutes(secret, router, page, known, bodies, files)
    routes = Routes(
        settings, secret, router, known, bodies, uploads, run_routes, clock=time.time, monotonic=time.monotonic
    )
    return router, routes


def _listen(settings: RouterSettings) -> socket.socket:
    try:
        if settings.fd is not None:
            listener = socket.socket(fileno=settings.fd)
        else:
            listener = socket.create_server((settings.host, settings.port), backlog=BACKLOG)
    except OSError as error:
        where = f"descriptor {settings.fd}" if settings.fd is not None else f"{settings.host}:{settings.port}"
        raise StartError(f"The router cannot listen on {where}: {error.strerror}.") from error
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
    """Allow as many sockets as the system permits."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


if __name__ == "__main__":
    sys.exit(main())
