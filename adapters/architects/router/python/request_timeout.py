"""HTTP connections on which no request comes in time are closed."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a deadline for the head of each request.

    It is as long as that which uvicorn itself has for connections that are idle between two requests. Bodies have a
    deadline where they are read.
    """

    def connection_made(self, transport: object) -> None:
        """A client connected."""
        super().connection_made(transport)  # type: ignore[arg-type]  # the loop's own transport, as it comes
        self._head_deadline = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        """The first byte of a request is there."""
        super().on_message_begin()
        self._head_deadline.cancel()
        self._head_deadline = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_headers_complete(self) -> None:
        """A request's head is there."""
        self._head_deadline.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._head_deadline.cancel()
        super().connection_lost(exc)
