"""Request bodies under a limit, and how a request is refused."""

import math
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import anyio
from starlette.requests import ClientDisconnect, Request


class BodyLimits(NamedTuple):
    """What a request's body may be."""

    max_bytes: int
    #: How long the client may pause in the middle of it.
    patience_seconds: float


class RefusalError(Exception):
    """The request is answered with a status that is not 200 and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


async def pour_body(request: Request, limits: BodyLimits, take: Callable[[bytes], Awaitable[None]]) -> None:
    """Give a request's body to `take`, piece by piece as it arrives.

    Raises:
        RefusalError: it is too large, or the client stopped sending it.
    """
    announced = request.headers.get("content-length", "")
    max_bytes, patience_seconds = limits
    too_large = RefusalError(413, f"The body may have {max_bytes} bytes at most.")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise too_large
    size = 0
    try:
        with anyio.fail_after(patience_seconds) as patience:
            async for chunk in request.stream():
                size += len(chunk)
                if size > max_bytes:
                    raise too_large
                # It is the client who is short of time, not the taker.
                patience.deadline = math.inf
                await take(chunk)
                patience.deadline = anyio.current_time() + patience_seconds
    except TimeoutError:
        raise RefusalError(408, "The body did not arrive.") from None
    except ClientDisconnect:
        raise RefusalError(400, "The body ended too early.") from None


async def read_body(request: Request, limits: BodyLimits) -> bytes:
    """Read a request's whole body.

    Raises:
        RefusalError: as `pour_body`.
    """
    chunks: list[bytes] = []

    async def keep(chunk: bytes) -> None:
        chunks.append(chunk)

    await pour_body(request, limits, keep)
    return b"".join(chunks)
