"""Reading the data of a run, whatever kind of iterable a launch script has given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from contextlib import aclosing, nullcontext
from typing import TypeGuard, cast

import msgspec
import trio

from ...abstractions.blueprint import AssignmentData
from ...abstractions.initialization_data import InitializationData, Update
from ...errors import ConfigError
from ..task_code.calls import call

_data = msgspec.json.Decoder(InitializationData)


def encoded(data: object) -> bytes:
    """The data of an assignment as it is kept, and can be read again.

    Raises:
        ConfigError: it is something else, or JSON has no word for what is in it.
    """
    if not isinstance(data, InitializationData):
        raise ConfigError(f"is of the type {type(data).__name__} instead of InitializationData")
    try:
        body = msgspec.json.encode(data)
        _data.decode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(f"cannot be kept as JSON: {error}") from error
    return body


def is_usable(data: object) -> TypeGuard[Update]:
    """Whether what a launch script gives for one worker can be the data of an assignment."""
    try:
        encoded(InitializationData(shared=cast("Update", data)))
    except ConfigError:
        return False
    return True


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
