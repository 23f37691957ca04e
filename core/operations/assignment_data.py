"""Reading the data of a run, whatever kind of iterable a launch script has given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from contextlib import aclosing, nullcontext

import trio

from ..abstractions.blueprint import AssignmentData
from ..abstractions.initialization_data import InitializationData
from .callbacks import call


def received_already(
    receiver: trio.MemoryReceiveChannel[InitializationData], limit: int
) -> Iterator[InitializationData]:
    """What can be received without waiting."""
    for _ in range(limit):
        try:
            yield receiver.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return


async def send_all(data: AssignmentData, sender: trio.MemorySendChannel[InitializationData]) -> None:
    """Send the items of any kind of data; a plain generator's code runs in worker threads, as it may take its time."""
    if isinstance(data, AsyncIterable):
        items = aiter(data)
        closing = aclosing(items) if isinstance(items, AsyncGenerator) else nullcontext()
        async with closing:
            async for item in items:
                await sender.send(item)
    elif isinstance(data, Sequence):
        for item in data:
            await sender.send(item)
    else:
        iterator = iter(data)
        while (taken := await call(_next, iterator)) is not None:
            await sender.send(taken)


def _next(iterator: Iterator[InitializationData]) -> InitializationData | None:
    return next(iterator, None)
