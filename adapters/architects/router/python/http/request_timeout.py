"""Closes HTTP connections on which no request arrives in time."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class TimeoutProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a deadline for the head of each request.

    It is as long as uvicorn's own limit for connections that are idle between two requests. Bodies have a limit where
    they are read.
    """

    def connection_made(self, transport: object) -> None:
        """Start the deadline of the first request."""
        super().connection_made(transport)  # type: ignore[arg-type]  # the loop's own transport, as it comes
        self._head_deadline = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        """Start the deadline again: the first byte of a request is there."""
        super().on_message_begin()
        self._head_deadline.cancel()
        self._head_deadline = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_headers_complete(self) -> None:
        """Stop the deadline: the head is complete."""
        self._head_deadline.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline: the connection is closed."""
        self._head_deadline.cancel()
        super().connection_lost(exc)
