"""Releases what a run holds outside, in reverse order, however it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType

import trio

from ...errors import LogError, MephistoError
from ..logger_core import get_logger

#: Seconds that the release of one resource may take.
RELEASE_SECONDS = 30.0

logger = get_logger(__name__)


class Releases:
    """Functions that release what a run has acquired; as a context manager, the connections that they need."""

    def __init__(self) -> None:
        self._functions: list[Callable[[], Awaitable[None]]] = []
        self._connections = AsyncExitStack()

    async def __aenter__(self) -> None:
        """Open nothing yet."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def open(self, connection: AbstractAsyncContextManager[object]) -> None:
        """Open a connection, which stays open while functions can be called."""
        await self._connections.enter_async_context(connection)

    def add(self, release: Callable[[], Awaitable[None]]) -> None:
        """Call a function when the run ends, before those that were added earlier."""
        self._functions.append(release)

    async def run(self) -> None:
        """Call the functions, each once. What fails or hangs stays in the log as held, to be released later.

        Raises:
            LogError: the log accepts nothing more.
        """
        while self._functions:
            release = self._functions.pop()
            try:
                with trio.fail_after(RELEASE_SECONDS):
                    await release()
            except trio.TooSlowError:
                logger.error("an outside resource could not be released in time", limit_seconds=RELEASE_SECONDS)
            except LogError:
                raise
            except (MephistoError, OSError) as error:
                logger.error("an outside resource could not be released", reason=str(error))
