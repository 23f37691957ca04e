"""Request bodies under a limit, and how a request is refused."""

import math
from collections.abc import Awaitable, Callable

import anyio
from starlette.requests import ClientDisconnect, Request

#: How long a client may pause in the middle of a body.
BODY_PATIENCE_SECONDS = 30


class Refusal(Exception):
    """The request is answered with a status that is not 200 and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


async def pour_body(request: Request, limit: int, take: Callable[[bytes], Awaitable[None]]) -> None:
    """Give a request's body to `take`, piece by piece as it arrives.

    Raises:
        Refusal: it is larger than `limit` bytes, or the client stopped sending it.
    """
    announced = request.headers.get("content-length", "")
    too_large = Refusal(413, f"The body may have {limit} bytes at most.")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    size = 0
    try:
        with anyio.fail_after(BODY_PATIENCE_SECONDS) as patience:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise too_large
                # It is the client who is short of time, not the taker.
                patience.deadline = math.inf
                await take(chunk)
                patience.deadline = anyio.current_time() + BODY_PATIENCE_SECONDS
    except TimeoutError:
        raise Refusal(408, "The body did not arrive.") from None
    except ClientDisconnect:
        raise Refusal(400, "The body ended too early.") from None


async def read_body(request: Request, limit: int) -> bytes:
    """Read a request's whole body.

    Raises:
        Refusal: as `pour_body`.
    """
    chunks: list[bytes] = []

    async def keep(chunk: bytes) -> None:
        chunks.append(chunk)

    await pour_body(request, limit, keep)
    return b"".join(chunks)
