"""Opens a WebSocket whose TCP connection is closed promptly, however the WebSocket ends.

The library leaves the TCP connection to the other side if the other side was the first to close.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio
from trio_websocket import HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

CONNECT_SECONDS = 20.0
DISCONNECT_SECONDS = 3.0
#: Larger than any frame of a router: the largest submission that can be configured, re-encoded (a number can become
#: four times as long), and a batch of others.
MAX_FRAME_BYTES = 256 * 2**20
#: The number of frames that are read ahead.
READ_AHEAD = 16
RECEIVE_BUFFER_BYTES = 2**16


_Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class ConnectionFailedError(Exception):
    """No WebSocket could be opened; the message says why."""


@asynccontextmanager
async def dial(url: str, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[WebSocketConnection]:
    """Open a WebSocket; close it when the block ends.

    Args:
        url: the address, starting with `ws://` or `wss://`.
        ssl_context: the trusted authorities for `wss://`; by default the system's.

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
                raise ConnectionFailedError(f"the server accepts no WebSocket ({type(error).__name__})") from error
            try:
                yield socket
            finally:
                with trio.move_on_after(DISCONNECT_SECONDS):
                    await socket.aclose()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # The library answers a ping even while it is closing, which is an error of its own.
        _, others = group.split(LocalProtocolError)
        if others is None:
            return
        if len(others.exceptions) > 1:
            raise others from None
        # The library needs the nursery; the caller should not notice it.
        raise others.exceptions[0] from others.exceptions[0].__cause__
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
