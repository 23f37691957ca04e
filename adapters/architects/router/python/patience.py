"""HTTP connections on which no request comes in time are closed."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: How long a client may take for a request's first line and headers.
HEAD_SECONDS = 20


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a deadline for the head of each request.

    Bodies have a deadline where they are read, and uvicorn itself closes connections that are idle
    between two requests.
    """

    def connection_made(self, transport: object) -> None:
        """A client connected."""
        super().connection_made(transport)  # type: ignore[arg-type]  # the loop's own transport, as it comes
        self._head_deadline = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def on_message_begin(self) -> None:
        """The first byte of a request is there."""
        super().on_message_begin()
        self._head_deadline.cancel()
        self._head_deadline = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def on_headers_complete(self) -> None:
        """A request's head is there."""
        self._head_deadline.cancel()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._head_deadline.cancel()
        super().connection_lost(exc)
