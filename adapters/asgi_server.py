"""Serves a small ASGI application over HTTP from a task of trio, and can break a connection in the middle of an answer.

uvicorn runs on asyncio and always answers something; a fake crowd site has to run beside an operator in one loop and
has to be able to say nothing. h11 speaks HTTP, trio does the rest.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

import h11
import trio
from starlette.types import ASGIApp, Message, Scope

from ..core.errors import ConfigError
from .architects.router.listening import in_url

#: Largest body of a request, unless the server is told another limit.
MAX_BODY_BYTES = 8 * 1024 * 1024
#: A connection is closed if a head, or a body, is not complete after this.
IDLE_SECONDS = 60.0
MAX_CONNECTIONS = 200
RECEIVE_BYTES = 64 * 1024


class ConnectionDroppedError(Exception):
    """The connection is to be closed without a further byte."""


async def serve_asgi(
    app: ASGIApp,
    host: str,
    port: int,
    max_body_bytes: int = MAX_BODY_BYTES,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer until cancelled; the port is what the task has started with.

    Args:
        app: the application.
        host: the address to listen on.
        port: the port; 0: any free one.
        max_body_bytes: a connection with a larger body is closed.
        task_status: receives the port.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise ConfigError(
            f"nothing can listen on port {port} of {host}: {why}",
            key="--port",
            hint="Choose another with --port, or 0 for any free one",
        ) from error
    limiter = trio.CapacityLimiter(MAX_CONNECTIONS)

    async def answer(stream: trio.SocketStream) -> None:
        async with limiter:
            await _Conversation(stream, app, max_body_bytes).run()

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, answer, listeners)
        bound: int = listeners[0].socket.getsockname()[1]
        task_status.started(bound)


async def run_asgi(
    app: ASGIApp,
    host: str,
    port: int,
    on_open: Callable[[str], None],
    *,
    max_body_bytes: int = MAX_BODY_BYTES,
    beside: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve an application until SIGINT or SIGTERM.

    Args:
        app: the application.
        host: the address to listen on.
        port: the port; 0: any free one.
        on_open: called with the address once it can be used; a signal ends it from then on.
        max_body_bytes: the largest body of a request.
        beside: runs meanwhile, and is cancelled with it.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    async with trio.open_nursery() as nursery:
        bound = await nursery.start(serve_asgi, app, host, port, max_body_bytes)
        if beside is not None:
            nursery.start_soon(beside)
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            on_open(f"http://{in_url(host)}:{bound}")
            async for _ in signals:
                nursery.cancel_scope.cancel()
                return


class _Conversation:
    """One connection: requests and answers in turn."""

    def __init__(self, stream: trio.SocketStream, app: ASGIApp, max_body_bytes: int) -> None:
        self._stream = stream
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Answer requests until one side closes; the caller closes the stream."""
        try:
            while await self._answer_one():
                self._http.start_next_cycle()
        except (h11.ProtocolError, trio.BrokenResourceError, trio.ClosedResourceError, ConnectionDroppedError):
            # Not HTTP, gone, or to be broken: closing the stream is all that is left to do.
            return

    async def _answer_one(self) -> bool:
        """Answer one request; False: the connection is over."""
        request = body = None
        with trio.move_on_after(IDLE_SECONDS):
            request = await self._next_event()
        if not isinstance(request, h11.Request):
            return False
        with trio.move_on_after(IDLE_SECONDS):
            body = await self._body()
        if body is None:
            return False
        status, headers, content = await _ask(self._app, _scope(request), body)
        names = {name for name, _ in headers}
        if b"content-length" not in names:
            headers = [*headers, (b"content-length", str(len(content)).encode())]
        answer = self._http.send(h11.Response(status_code=status, headers=headers)) or b""
        if request.method != b"HEAD":
            answer += self._http.send(h11.Data(data=content)) or b""
        answer += self._http.send(h11.EndOfMessage()) or b""
        await self._stream.send_all(answer)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _body(self) -> bytes | None:
        """Return the body of the request; None: it is too large or the other side has gone."""
        body = bytearray()
        while True:
            event = await self._next_event()
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._max_body_bytes:
                    return None
            elif isinstance(event, h11.EndOfMessage):
                return bytes(body)
            else:
                return None

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        """Return what the other side sends next."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._stream.receive_some(RECEIVE_BYTES))
        return event  # type: ignore[return-value]  # h11's sentinels are classes


async def _ask(app: ASGIApp, scope: Scope, body: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Have the application answer one request."""
    status = 500
    headers: list[tuple[bytes, bytes]] = []
    content = bytearray()
    is_read = False

    async def receive() -> Message:
        nonlocal is_read
        await trio.lowlevel.checkpoint()
        if is_read:
            return {"type": "http.disconnect"}
        is_read = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            content.extend(message.get("body", b""))

    await app(scope, receive, send)
    return status, headers, bytes(content)


def _scope(request: h11.Request) -> Scope:
    path, _, query = request.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": request.http_version.decode("ascii"),
        "method": request.method.decode("ascii"),
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers],
        "client": None,
        "server": None,
    }
