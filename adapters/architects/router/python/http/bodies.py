"""Reads request bodies under limits of size, time and speed, and JSON in them without holding up other requests."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple, TypeVar

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request

from ......core.opaque_json import LARGE_BODY_BYTES
from ..errors import RefusalError
from ..json_text import strict_json
from .body_pool import BodyPool, PooledBody, Resource, busy
from .client_address import client_address

#: A body may be slower than this only as long as a client may pause.
MIN_BYTES_PER_SECOND = 1024

T = TypeVar("T")


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
        # One thread, because the journal needs the others.
        self._checking = anyio.CapacityLimiter(1)

    async def read_pieces(
        self,
        request: Request,
        take: Callable[[bytes, PooledBody], Awaitable[None]],
        end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Give a request's body to `take`, piece by piece as it arrives.

        Args:
            request: the request.
            take: called with each piece.
            end: called when all have been taken, while their room still counts as used.

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
                scope.deadline = float("inf")
                if end is not None:
                    await end()
            except ClientDisconnect:
                raise RefusalError(400, "The body ended too early.") from None
        if body.is_evicted:
            raise busy()
        if scope.cancelled_caught:
            raise RefusalError(408, "The body did not arrive in time.")

    async def read_body(self, request: Request, read: Callable[[bytes], T]) -> T:
        """Read a request's whole body as strict JSON of one shape.

        Args:
            request: the request.
            read: takes the strict JSON and raises `MalformedJsonError`, like `json_text.reader`.

        Raises:
            RefusalError: it is too large, the client stopped sending it or is too slow, or there is no room for it.
            MalformedJsonError: it is not JSON that every reader can read, or has another shape.
        """
        pieces: list[bytes] = []
        size = 0
        bodies: list[T] = []

        async def keep(piece: bytes, body: PooledBody) -> None:
            nonlocal size
            size += len(piece)
            await body.throttle(len(piece))
            body.hold(Resource.MEMORY, size)
            pieces.append(piece)

        async def check() -> None:
            bodies.append(await self._check(size, lambda: read(strict_json(b"".join(pieces)))))

        await self.read_pieces(request, keep, check)
        return bodies[0]

    async def strict_json(self, text: bytes) -> bytes:
        """Return `json_text.strict_json` of a text from a page; a large one is checked beside the event loop.

        Raises:
            MalformedJsonError: it is not JSON that every reader can read.
        """
        return await self._check(len(text), partial(strict_json, text))

    async def _check(self, size_bytes: int, check: Callable[[], T]) -> T:
        """Check a text of some size, beside the event loop if it is large."""
        if size_bytes <= LARGE_BODY_BYTES:
            return check()
        return await anyio.to_thread.run_sync(check, limiter=self._checking)


def is_form(request: Request) -> bool:
    """Return whether a request's body is a form."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")
