"""Reads request bodies under limits of size and time."""

import math
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import anyio
from starlette.requests import ClientDisconnect, Request

from ..errors import RefusalError


class BodyLimits(NamedTuple):
    """Limits of one request's body."""

    max_bytes: int
    #: How long the client may pause.
    idle_seconds: float


async def read_pieces(request: Request, limits: BodyLimits, take: Callable[[bytes], Awaitable[None]]) -> None:
    """Give a request's body to `take`, piece by piece as it arrives.

    Raises:
        RefusalError: it is too large, or the client stopped sending it.
    """
    max_bytes, idle_seconds = limits
    too_large = RefusalError(413, f"The body is too large: it may have {max_bytes} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise too_large
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusalError(415, "The body is compressed, which is not supported.")
    size = 0
    try:
        with anyio.fail_after(idle_seconds) as pause:
            async for piece in request.stream():
                size += len(piece)
                if size > max_bytes:
                    raise too_large
                # Only the client's time counts, not that of the taker.
                pause.deadline = math.inf
                await take(piece)
                pause.deadline = anyio.current_time() + idle_seconds
    except TimeoutError:
        raise RefusalError(408, "The body did not arrive in time.") from None
    except ClientDisconnect:
        raise RefusalError(400, "The body ended too early.") from None


async def read_body(request: Request, limits: BodyLimits) -> bytes:
    """Read a request's whole body.

    Raises:
        RefusalError: it is too large, or the client stopped sending it.
    """
    pieces: list[bytes] = []

    async def keep(piece: bytes) -> None:
        pieces.append(piece)

    await read_pieces(request, limits, keep)
    return b"".join(pieces)


def is_form(request: Request) -> bool:
    """Return whether a request's body is a form."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")
