"""Serves metrics to Prometheus over HTTP, from a task in the operator's loop.

The server of prometheus-client is a thread; here h11 parses HTTP and trio does the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import h11
import trio
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from ...core.errors import ConfigError
from ...core.ledger import Ledger
from ..log.sqlite.log import SqliteLog
from .operator_metrics import OperatorMetrics

#: Brings metrics up to date that are not counted as they happen.
Refresh = Callable[[], Awaitable[None]]

PATH = b"/metrics"
#: Connections that are served at the same time.
MAX_CONNECTIONS = 16
#: The time limit for a request and its answer.
REQUEST_SECONDS = 10.0
RECEIVE_BYTES = 4096


async def serve_metrics(
    metrics: OperatorMetrics,
    ledger: Ledger,
    log: SqliteLog,
    host: str,
    port: int,
    refresh: Refresh | None = None,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Collect the metrics of an operator and serve them until cancelled.

    Args:
        metrics: the metrics, which have timed the ledger's commits from the start.
        ledger: the source of events; no command has been submitted yet.
        log: the log below it.
        host: the address to listen on.
        port: the port; 0 picks a free one, which is reported to `task_status`.
        refresh: called before the metrics are read.
        task_status: trio's.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    metrics.follow(ledger)
    metrics.watch_projections(partial(_lags, log))
    await serve_registry(metrics.registry, host, port, refresh, task_status=task_status)


def _lags(log: SqliteLog) -> dict[str, int]:
    # Positions first, so that a commit in between cannot put a projection ahead of the log.
    positions = log.projection_positions()
    head = log.head().seq
    return {name: head - seq for name, seq in positions.items()}


async def serve_registry(
    registry: CollectorRegistry,
    host: str,
    port: int,
    refresh: Refresh | None = None,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a registry until cancelled; report the port to `task_status`.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise ConfigError(
            f"metrics cannot be served on port {port} of {host}: {reason}",
            key="mephisto.metrics.port",
            hint="Set mephisto.metrics.port to another port",
        ) from error
    limiter = trio.CapacityLimiter(MAX_CONNECTIONS)

    async def answer(stream: trio.SocketStream) -> None:
        async with limiter:
            with trio.move_on_after(REQUEST_SECONDS):
                await _answer(stream, registry, refresh)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, answer, listeners)
        task_status.started(_port_of(listeners[0].socket))


async def _answer(stream: trio.SocketStream, registry: CollectorRegistry, refresh: Refresh | None) -> None:
    """Answer one request and close."""
    connection = h11.Connection(h11.SERVER)
    try:
        request = await _request(stream, connection)
        if refresh is not None:
            await refresh()
        status, content_type, body = _page(request, registry)
        headers = [
            ("content-type", content_type),
            ("content-length", str(len(body))),
            ("x-content-type-options", "nosniff"),
            ("connection", "close"),
        ]
        answer = connection.send(h11.Response(status_code=status, headers=headers)) or b""
        if request.method != b"HEAD":
            answer += connection.send(h11.Data(data=body)) or b""
        await stream.send_all(answer)
    except (h11.RemoteProtocolError, trio.BrokenResourceError):
        # Not HTTP, or the client is gone: there is nobody to answer.
        return


async def _request(stream: trio.SocketStream, connection: h11.Connection) -> h11.Request:
    """Return the head of the request.

    Raises:
        h11.RemoteProtocolError: it is not a request, or the client is gone.
    """
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(RECEIVE_BYTES))
        elif isinstance(event, h11.Request):
            return event
        else:
            raise h11.RemoteProtocolError("the client closed without a request")


def _page(request: h11.Request, registry: CollectorRegistry) -> tuple[int, str, bytes]:
    """Return status, content type and body."""
    if request.target.partition(b"?")[0] != PATH:
        return 404, "text/plain", b"The metrics are at /metrics.\n"
    if request.method not in (b"GET", b"HEAD"):
        return 405, "text/plain", b"The metrics can only be read.\n"
    accept = next((value.decode("latin-1") for name, value in request.headers if name == b"accept"), "")
    encode, content_type = choose_encoder(accept)
    return 200, content_type, encode(registry)


def _port_of(listening: trio.socket.SocketType) -> int:
    address: tuple[str, int] = listening.getsockname()[:2]
    return address[1]
