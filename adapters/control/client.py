"""Sends requests to whoever has a log open for writing: a running operator, or this process for a moment.

Callers do not know which of the two it is. A connection that is lost is made again, and what was not answered is sent
again with its key, so that it is executed once.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import trio

from ...core.errors import LogError, MephistoError, OutcomeUnknownError, UnusableLogError
from ...core.operations.control.executor import NoRuns, RequestExecutor
from ...core.operations.control.requests import AnyRequest, Reply
from ..composition.ledger import open_ledger
from ..composition.provider import provider_opener
from .protocol import ControlAnswer, ControlMessage, YieldRequest, error_of_answer, socket_path

#: Seconds between two attempts to reach the writer of a log, at first and at most.
RETRY_SECONDS = 0.02
MAX_RETRY_SECONDS = 0.5
#: Seconds in which a process that has the log open must listen, or close it.
REACH_SECONDS = 10.0
#: Requests that are under way at a time, so that they share commits.
WINDOW = 256

_decoder = msgspec.json.Decoder(ControlAnswer)
_encoder = msgspec.json.Encoder()

#: A request with its idempotency key.
KeyedRequest = tuple[AnyRequest, str]
#: What a request came to.
RequestOutcome = Reply | MephistoError


class Control(Protocol):
    """Executes requests of one author."""

    async def execute(self, request: AnyRequest, key: str | None = None) -> Reply:
        """Execute a request, and return when it is durable.

        Args:
            request: the request.
            key: idempotency key; a new one, unless given.

        Raises:
            CommandRefusedError: it is not legal now; the message says why.
            ConfigError: a plugin that it needs is missing.
            LogError: nothing was written, or it is not known whether it was.
        """

    def execute_all(self, requests: Sequence[KeyedRequest]) -> AsyncGenerator[tuple[AnyRequest, RequestOutcome]]:
        """Execute many requests, several at a time; yield what each came to, in order."""


@asynccontextmanager
async def open_control(database: Path, author: str) -> AsyncIterator[Control]:
    """Open a way to the writer of a log: its operator, or the log itself if there is none.

    Args:
        database: the log.
        author: who makes the requests; see `author_of`.

    Raises:
        UnusableLogError: there is no such log, or another process writes it and does not listen.
        DamagedLogError: the log was changed from outside.
    """
    async with AsyncExitStack() as stack:
        wait, deadline = RETRY_SECONDS, trio.current_time() + REACH_SECONDS
        while True:
            if await is_reachable(database):
                yield _RemoteControl(database, author)
                return
            try:
                ledger, ids = await stack.enter_async_context(open_ledger(database))
                break
            except UnusableLogError:
                # Another command may have the log open for a moment, or an operator has not begun to listen yet.
                if not await trio.Path(database).is_file() or trio.current_time() >= deadline:
                    raise
            await trio.sleep(wait)
            wait = min(2 * wait, MAX_RETRY_SECONDS)
        executor = RequestExecutor(ledger, ids, provider_opener(database, ledger, ids), NoRuns())
        yield _LocalControl(executor, author)


def new_key() -> str:
    """Return an idempotency key that no other request has."""
    return f"request/{os.urandom(16).hex()}"


async def ask_to_yield(database: Path, limit_seconds: float = REACH_SECONDS) -> None:
    """Ask a process that merely keeps the log open to close it, and return once it has; do nothing if there is none.

    Args:
        database: the log.
        limit_seconds: how long to wait for it; an operator keeps its log.
    """
    stream = await _connect(database)
    if stream is None:
        return
    message = ControlMessage(id=0, author="operator", key="", request=YieldRequest())
    try:
        async with stream:
            await stream.send_all(_encoder.encode(message) + b"\n")
            with trio.move_on_after(limit_seconds):
                async with aclosing(_answers(stream)) as answers:
                    async for answer in answers:
                        if answer.error is not None:
                            return  # it keeps the log; whoever opens it learns who that is
    except trio.BrokenResourceError:
        return


class _LocalControl:
    """Executes requests in this process."""

    def __init__(self, executor: RequestExecutor, author: str) -> None:
        self._executor = executor
        self._author = author

    async def execute(self, request: AnyRequest, key: str | None = None) -> Reply:
        """See `Control.execute`."""
        return await self._executor.execute(request, self._author, key or new_key())

    async def execute_all(self, requests: Sequence[KeyedRequest]) -> AsyncGenerator[tuple[AnyRequest, RequestOutcome]]:
        """See `Control.execute_all`."""
        for start in range(0, len(requests), WINDOW):
            window = requests[start : start + WINDOW]
            outcomes: list[RequestOutcome | None] = [None] * len(window)

            async def run(place: int, request: AnyRequest, key: str, outcomes: list[RequestOutcome | None]) -> None:
                try:
                    outcomes[place] = await self._executor.execute(request, self._author, key)
                except MephistoError as error:
                    outcomes[place] = error

            async with trio.open_nursery() as nursery:
                for place, (request, key) in enumerate(window):
                    nursery.start_soon(run, place, request, key, outcomes)
                    await trio.lowlevel.checkpoint()
            for (request, _), outcome in zip(window, outcomes, strict=True):
                yield request, outcome or OutcomeUnknownError("the request was not executed")


class _RemoteControl:
    """Sends requests to the process that has the log open."""

    def __init__(self, database: Path, author: str) -> None:
        self._database = database
        self._author = author

    async def execute(self, request: AnyRequest, key: str | None = None) -> Reply:
        """See `Control.execute`."""
        async with aclosing(self.execute_all([(request, key or new_key())])) as outcomes:
            _, outcome = await anext(outcomes)
        if isinstance(outcome, Reply):
            return outcome
        raise outcome

    async def execute_all(self, requests: Sequence[KeyedRequest]) -> AsyncGenerator[tuple[AnyRequest, RequestOutcome]]:
        """See `Control.execute_all`."""
        for start in range(0, len(requests), WINDOW):
            window = requests[start : start + WINDOW]
            outcomes: dict[int, RequestOutcome] = {}
            deadline = trio.current_time() + REACH_SECONDS
            while len(outcomes) < len(window):
                before = len(outcomes)
                missing = [place for place in range(len(window)) if place not in outcomes]
                await self._exchange(window, missing, outcomes)
                if len(outcomes) > before:
                    deadline = trio.current_time() + REACH_SECONDS
                elif trio.current_time() >= deadline:
                    raise OutcomeUnknownError("the operator was lost; repeat the command, nothing happens twice")
                else:
                    await trio.sleep(RETRY_SECONDS)
            for place, (request, _) in enumerate(window):
                yield request, outcomes[place]

    async def _exchange(
        self, window: Sequence[KeyedRequest], missing: Sequence[int], outcomes: dict[int, RequestOutcome]
    ) -> None:
        """Send requests over one connection and collect their outcomes, until it is lost or all are there.

        If the operator has gone, this process opens the log itself.
        """
        stream = await _connect(self._database)
        if stream is None:
            async with open_control(self._database, self._author) as control:
                if not isinstance(control, _RemoteControl):
                    places = iter(missing)
                    async with aclosing(control.execute_all([window[place] for place in missing])) as executed:
                        async for _, outcome in executed:
                            outcomes[next(places)] = outcome
            return
        wanted = set(missing)
        messages = [
            ControlMessage(id=place, author=self._author, key=window[place][1], request=window[place][0])
            for place in sorted(wanted)
        ]
        async with stream, aclosing(_answers(stream)) as answers, trio.open_nursery() as nursery:
            nursery.start_soon(_send, stream, messages)
            async for answer in answers:
                wanted.discard(answer.id)
                outcomes[answer.id] = answer.reply if answer.reply is not None else error_of_answer(answer)
                if not wanted:
                    break
            nursery.cancel_scope.cancel()


async def _send(stream: trio.SocketStream, messages: Sequence[ControlMessage]) -> None:
    try:
        for message in messages:
            await stream.send_all(_encoder.encode(message) + b"\n")
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # whoever reads the answers notices too


async def _answers(stream: trio.SocketStream) -> AsyncGenerator[ControlAnswer]:
    buffer = b""
    try:
        while chunk := await stream.receive_some(65536):
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                yield _decoder.decode(line)
    except trio.BrokenResourceError:
        return
    except msgspec.DecodeError as error:
        raise LogError(f"the control socket answered what this version cannot read: {error}") from error


async def _connect(database: Path) -> trio.SocketStream | None:
    """Connect to the control socket of a log; None if nobody listens."""
    try:
        return await trio.open_unix_socket(os.fspath(socket_path(database)))
    except OSError:
        return None


async def is_reachable(database: Path) -> bool:
    """Return whether somebody listens on the control socket of a log."""
    stream = await _connect(database)
    if stream is None:
        return False
    await stream.aclose()
    return True
