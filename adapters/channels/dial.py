"""Opening a WebSocket so that, however it ends, its TCP connection is closed and soon.

The library's own way leaves that to the other side when the other side was the first to close.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio
from trio_websocket import HandshakeError, WebSocketConnection, wrap_client_stream

CONNECT_SECONDS = 20.0
DISCONNECT_SECONDS = 3.0
#: Above what a router puts into one frame: a submission of the largest size that it can be told to take, written out
#: anew (a number can become four times as long), and a batch of others.
MAX_FRAME_BYTES = 256 * 2**20
#: Frames that are read ahead.
READ_AHEAD = 16
RECEIVE_BUFFER_BYTES = 2**16


_Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class ConnectionFailedError(Exception):
    """There is no WebSocket at the address, or not now; the sentence says why."""


@asynccontextmanager
async def dial(url: str, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[WebSocketConnection]:
    """A WebSocket to an address, closed on leaving.

    Args:
        url: beginning with `ws://` or `wss://`.
        ssl_context: whom to trust with `wss://`; the system's authorities if not given.

    Raises:
        ConnectionFailedError: it could not be opened in time.
    """
    stream = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                with trio.fail_after(CONNECT_SECONDS):
                    stream = await _open_stream(url, ssl_context)
                    socket = await _open_websocket(nursery, stream, url)
            except trio.TooSlowError as error:
                raise ConnectionFailedError(f"no answer within {CONNECT_SECONDS:g} seconds") from error
            except (OSError, trio.BrokenResourceError) as error:
                raise ConnectionFailedError(str(error.__cause__ or error)) from error
            except HandshakeError as error:
                raise ConnectionFailedError(f"the server takes no WebSocket ({type(error).__name__})") from error
            try:
                yield socket
            finally:
                with trio.move_on_after(DISCONNECT_SECONDS):
                    await socket.aclose()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        # The nursery is the library's need: what comes from inside goes on as it was.
        raise group.exceptions[0] from group.exceptions[0].__cause__
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)


async def _open_stream(url: str, ssl_context: ssl.SSLContext | None) -> _Stream:
    address = urlsplit(url)
    host = address.hostname or ""
    if address.scheme != "wss":
        return await trio.open_tcp_stream(host, address.port or 80)
    stream = await trio.open_ssl_over_tcp_stream(
        host, address.port or 443, ssl_context=ssl_context, https_compatible=True
    )
    try:
        await stream.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return stream


async def _open_websocket(nursery: trio.Nursery, stream: _Stream, url: str) -> WebSocketConnection:
    address = urlsplit(url)
    return await wrap_client_stream(
        nursery,
        stream,
        address.netloc,
        address.path or "/",
        message_queue_size=READ_AHEAD,
        max_message_size=MAX_FRAME_BYTES,
        receive_buffer_size=RECEIVE_BUFFER_BYTES,
    )
