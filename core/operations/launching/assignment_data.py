"""Reads the data of a run from any kind of iterable that a launch script gives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from contextlib import aclosing, nullcontext
from typing import TypeGuard, cast

import msgspec
import trio

from ...abstractions.blueprint import AssignmentData
from ...abstractions.work_data import InitializationData, Update, to_plain
from ...errors import ConfigError, LaunchError, UserCodeError
from ..task_code.calls import call

#: The launch step that errors of the data are reported at.
DATA_STEP = "assignment data"

_data = msgspec.json.Decoder(InitializationData)


def encoded(data: object, max_item_bytes: int) -> bytes:
    """Return the data of an assignment in the form in which it is stored.

    Args:
        data: an `InitializationData`.
        max_item_bytes: maximum size, which must fit into a message to a page.

    Raises:
        ConfigError: the data is of another type or too large, or a value in it has no form in JSON.
    """
    if not isinstance(data, InitializationData):
        raise ConfigError(f"is of the type {type(data).__name__} instead of InitializationData")
    try:
        body = msgspec.json.encode(data, enc_hook=to_plain)
        _data.decode(body)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(f"cannot be stored as JSON: {error}") from error
    if len(body) > max_item_bytes:
        raise ConfigError(
            f"has {len(body):,} bytes as JSON, more than mephisto.task.max_item_bytes ({max_item_bytes:,})",
            key="mephisto.task.max_item_bytes",
            hint="Keep large content in separate files and put their URLs into the data, or raise the limit",
        )
    return body


def encoded_item(item: InitializationData, number: int, max_item_bytes: int) -> bytes:
    """Return an item of a run's data as it is stored; items are counted from 1.

    Raises:
        LaunchError: it cannot be stored.
    """
    try:
        return encoded(item, max_item_bytes)
    except ConfigError as error:
        raise LaunchError(DATA_STEP, f"item {number} {error}") from error


def data_error(error: BaseException, created: int) -> LaunchError:
    """Return the error for a run whose data could not be read to its end.

    Args:
        error: raised by the data's own code, or by ours if it gave something unusable.
        created: the number of items that were read before.
    """
    raised = error.__cause__ if isinstance(error, UserCodeError) else error
    reason = str(raised) if isinstance(raised, ConfigError) else f"the data's own code raised {type(raised).__name__}"
    return LaunchError(DATA_STEP, f"{reason} ({created} assignments were created)")


def is_usable(data: object, max_item_bytes: int) -> TypeGuard[Update]:
    """Return whether a launch script's value can be the data of an assignment."""
    try:
        encoded(InitializationData(shared=cast("Update", data)), max_item_bytes)
    except ConfigError:
        return False
    return True


def received_already(
    receiver: trio.MemoryReceiveChannel[InitializationData], limit: int
) -> Iterator[InitializationData]:
    """Receive items as long as there are any, without waiting."""
    for _ in range(limit):
        try:
            yield receiver.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return


async def send_all(data: AssignmentData, sender: trio.MemorySendChannel[InitializationData]) -> None:
    """Send the items of any kind of data. A plain generator runs in worker threads, because it may block."""
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
        while (following := await call(_next, iterator)) is not None:
            await sender.send(following)


def _next(iterator: Iterator[InitializationData]) -> InitializationData | None:
    return next(iterator, None)
