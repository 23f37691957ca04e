"""uvicorn's protocols, with limits for clients that send slowly, endlessly or nothing."""

from collections.abc import Callable
from typing import Protocol, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

#: Size of the head of a request, and of what comes between two pieces of a body.
MAX_HEAD_BYTES = 64 * 2**10
#: A client that is still sending a refused body has this long to read the answer.
LINGER_SECONDS = 2.0
#: So much of it is read and thrown away meanwhile: many clients read the answer only when they have sent everything.
LINGER_BYTES = 2 * 2**20
#: Name in a socket's scope of its `SocketControls`.
SOCKET_CONTROLS = "router.socket_controls"
#: A page's message may be this much larger here than where it is counted and refused.
MESSAGE_SLACK_BYTES = 64 * 2**10


class SocketControls(Protocol):
    """Controls of a socket besides sending and receiving."""

    def lift_limit(self) -> None:
        """Accept messages of the operator's size."""

    def ping(self) -> None:
        """Ask for a sign of life, unless the socket is being closed."""

    def on_pong(self, listener: Callable[[], None]) -> None:
        """Call a function with each sign of life."""


class _Timer(Protocol):
    def cancel(self) -> None:
        """Stop the timer."""


class HttpProtocol(HttpToolsProtocol):
    """HTTP with limits of time and size for the head of each request.

    The time is as long as uvicorn's own limit for connections that are idle between two requests. Bodies have limits
    where they are read.
    """

    def connection_made(self, transport: object) -> None:
        """Start the deadline of the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]  # the loop's own transport, as it comes
        self._is_in_body = False
        # Received since anything was made of it: parts of a head, or of what separates pieces of a body.
        self._pending_bytes = 0
        self._header_bytes = 0
        self._linger: _Timer | None = None
        self._refused_bytes = 0
        self._head_deadline = self._hang_up_later(self.timeout_keep_alive)

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse a head without an end."""
        self._pending_bytes += len(data)
        super().data_received(data)
        if self._pending_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """Start the deadline again: the first byte of a request is there."""
        super().on_message_begin()
        self._header_bytes = 0
        self._head_deadline.cancel()
        self._head_deadline = self._hang_up_later(self.timeout_keep_alive)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count headers, including those behind a body."""
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEAD_BYTES:
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Stop the deadline: the head is complete."""
        self._head_deadline.cancel()
        self._is_in_body = True
        self._pending_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that the body goes on; hang up if too much follows its refusal."""
        self._pending_bytes = 0
        if self._linger is not None:
            self._refused_bytes += len(body)
            if self._refused_bytes > LINGER_BYTES:
                self.transport.close()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._is_in_body = False
        self._pending_bytes = 0
        if self._linger is not None:
            self._linger.cancel()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Hang up soon if the client is still sending a body that was refused."""
        if self._is_in_body:
            self._linger = self._hang_up_later(LINGER_SECONDS)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline: the connection is closed."""
        self._head_deadline.cancel()
        super().connection_lost(exc)

    def _hang_up_later(self, seconds: float) -> _Timer:
        return self.loop.call_later(seconds, self.timeout_keep_alive_handler)


def socket_protocol(max_packet_bytes: int) -> type[WebSocketsSansIOProtocol]:
    """Return a WebSocket protocol that accepts only messages of a page's size until it is told otherwise.

    Only the operator's messages may be larger, and who it is shows in a message. Until then nobody's is held.
    """
    limit = max_packet_bytes + MESSAGE_SLACK_BYTES

    class PageSocketProtocol(WebSocketsSansIOProtocol):
        """uvicorn's protocol with the limit of a page, and with pings at the application's wish."""

        def handle_connect(self, event: object) -> None:
            """Put the controls where the application finds them."""
            self._maximum, self.conn.max_message_size = self.conn.max_message_size, limit
            self._pong_listener: Callable[[], None] | None = None
            super().handle_connect(event)  # type: ignore[arg-type]  # the library's own event, as it comes
            if hasattr(self, "scope"):
                cast(dict[str, object], self.scope)[SOCKET_CONTROLS] = self

        def handle_pong(self, event: object) -> None:
            """Report a sign of life."""
            super().handle_pong(event)  # type: ignore[arg-type]  # the library's own event, as it comes
            if self._pong_listener is not None:
                self._pong_listener()

        def lift_limit(self) -> None:
            """Accept messages of the operator's size."""
            self.conn.max_message_size = self._maximum

        def ping(self) -> None:
            """Ask for a sign of life, unless the socket is being closed."""
            if self.conn.state is State.OPEN and not self.transport.is_closing():
                self.conn.send_ping(b"")
                self.transport.write(b"".join(self.conn.data_to_send()))

        def on_pong(self, listener: Callable[[], None]) -> None:
            """Call a function with each sign of life."""
            self._pong_listener = listener

    return PageSocketProtocol
