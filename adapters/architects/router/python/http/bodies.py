"""Reads request bodies under limits of size, time and speed."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import anyio
from starlette.requests import ClientDisconnect, Request

from ..errors import RefusalError
from .body_pool import BodyPool, PooledBody, Resource, busy
from .client_address import client_address

#: A body may be slower than this only as long as a client may pause.
MIN_BYTES_PER_SECOND = 1024


class BodyLimits(NamedTuple):
    """Limits of one request's body."""

    max_bytes: int
    #: How long the client may pause.
    idle_seconds: float
    #: Web servers of ours in front.
    trusted_proxies: int


class BodyReader:
    """Reads the bodies of requests.

    Args:
        limits: of each body.
        pool: what they share.
    """

    def __init__(self, limits: BodyLimits, pool: BodyPool) -> None:
        self._limits = limits
        self._pool = pool

    async def read_pieces(self, request: Request, take: Callable[[bytes, PooledBody], Awaitable[None]]) -> None:
        """Give a request's body to `take`, piece by piece as it arrives.

        Raises:
            RefusalError: it is too large, the client stopped sending it or is too slow, or there is no room for it.
        """
        max_bytes, idle_seconds, trusted_proxies = self._limits
        too_large = RefusalError(413, f"The body is too large: it may have {max_bytes} bytes.")
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > max_bytes:
            raise too_large
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise RefusalError(415, "The body is compressed, which is not supported.")
        size = 0
        scope = anyio.CancelScope()
        with self._pool.open(client_address(request, trusted_proxies), scope.cancel) as body, scope:
            # The time that the taker needs is not the client's.
            slow_at = anyio.current_time() + idle_seconds
            scope.deadline = slow_at
            try:
                async for piece in request.stream():
                    arrived_at = anyio.current_time()
                    scope.deadline = float("inf")
                    size += len(piece)
                    if size > max_bytes:
                        raise too_large
                    body.receive(len(piece))
                    await take(piece, body)
                    slow_at += anyio.current_time() - arrived_at + len(piece) / MIN_BYTES_PER_SECOND
                    scope.deadline = min(slow_at, anyio.current_time() + idle_seconds)
            except ClientDisconnect:
                raise RefusalError(400, "The body ended too early.") from None
        if body.is_evicted:
            raise busy()
        if scope.cancelled_caught:
            raise RefusalError(408, "The body did not arrive in time.")

    async def read_body(self, request: Request) -> bytes:
        """Read a request's whole body.

        Raises:
            RefusalError: it is too large, the client stopped sending it or is too slow, or there is no room for it.
        """
        pieces: list[bytes] = []
        size = 0

        async def keep(piece: bytes, body: PooledBody) -> None:
            nonlocal size
            size += len(piece)
            body.hold(Resource.MEMORY, size)
            pieces.append(piece)

        await self.read_pieces(request, keep)
        return b"".join(pieces)


def is_form(request: Request) -> bool:
    """Return whether a request's body is a form."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")
