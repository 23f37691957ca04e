"""Request bodies under a limit, and how a request is refused."""

from collections.abc import AsyncIterator

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


async def body_chunks(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Give a request's body piece by piece.

    Raises:
        Refusal: it is larger than `limit` bytes, or the client stopped sending it.
    """
    announced = request.headers.get("content-length", "")
    size = 0
    if announced.isdecimal() and int(announced) > limit:
        raise Refusal(413, f"The body may have {limit} bytes at most.")
    stream = request.stream()
    while True:
        try:
            with anyio.fail_after(BODY_PATIENCE_SECONDS):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise Refusal(408, "The body did not arrive.") from None
        except ClientDisconnect:
            raise Refusal(400, "The body ended too early.") from None
        if chunk is None:
            return
        size += len(chunk)
        if size > limit:
            raise Refusal(413, f"The body may have {limit} bytes at most.")
        yield chunk


async def read_body(request: Request, limit: int) -> bytes:
    """Read a request's whole body.

    Raises:
        Refusal: as `body_chunks`.
    """
    return b"".join([chunk async for chunk in body_chunks(request, limit)])
