"""Answering Prometheus: one page over HTTP, from a task of the operator's own loop.

prometheus-client brings a server that is a thread; here h11 speaks HTTP and trio does the rest.
"""

from __future__ import annotations

import h11
import trio
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from ...core.errors import ConfigError

PATH = b"/metrics"
#: Connections that are answered at a time.
MOST_CONNECTIONS = 16
#: A request must have come and be answered in so many seconds.
REQUEST_SECONDS = 10.0
RECEIVE_BYTES = 4096


async def serve_figures(
    registry: CollectorRegistry,
    host: str,
    port: int,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled; the port is what the task has started with.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise ConfigError(
            f"figures cannot be shown on port {port} of {host}: {why}",
            key="mephisto.metrics.port",
            hint="Set mephisto.metrics.port to another port",
        ) from error
    limiter = trio.CapacityLimiter(MOST_CONNECTIONS)

    async def answer(stream: trio.SocketStream) -> None:
        async with limiter:
            with trio.move_on_after(REQUEST_SECONDS):
                await _answer(stream, registry)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, answer, listeners)
        task_status.started(_port_of(listeners[0].socket))


async def _answer(stream: trio.SocketStream, registry: CollectorRegistry) -> None:
    """Take one request, answer it, and close."""
    connection = h11.Connection(h11.SERVER)
    try:
        request = await _request(stream, connection)
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
        # Not HTTP, or gone: there is nobody to answer.
        return


async def _request(stream: trio.SocketStream, connection: h11.Connection) -> h11.Request:
    """The head of the request.

    Raises:
        h11.RemoteProtocolError: it is no request, or the other side has gone.
    """
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(RECEIVE_BYTES))
        elif isinstance(event, h11.Request):
            return event
        else:
            raise h11.RemoteProtocolError("the other side closed before it asked")


def _page(request: h11.Request, registry: CollectorRegistry) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    if request.target.partition(b"?")[0] != PATH:
        return 404, "text/plain", b"The figures are at /metrics.\n"
    if request.method not in (b"GET", b"HEAD"):
        return 405, "text/plain", b"The figures can only be read.\n"
    accept = next((value.decode("latin-1") for name, value in request.headers if name == b"accept"), "")
    encode, content_type = choose_encoder(accept)
    return 200, content_type, encode(registry)


def _port_of(listening: trio.socket.SocketType) -> int:
    address: tuple[str, int] = listening.getsockname()[:2]
    return address[1]
