"""Sends requests to whoever has a log open for writing: a running operator, or this process for a moment.

Callers do not know which of the two it is. A connection that is lost is made again, and what was not answered is sent
again with its key, so that it is executed once.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import trio

from ...core.errors import LogError, MephistoError, OutcomeUnknownError, UnusableLogError
from ...core.operations.control.executor import RequestExecutor
from ...core.operations.control.requests import AnyRequest, Reply
from ..composition.ledger import check_exists, open_within_gate
from ..composition.requests import executor_without_operator
from ..log.opening import WAIT_SECONDS, OpeningGate, pass_gate, wait_for_writer
from ..log.sqlite.writer_lock import writer_of
from .protocol import ControlAnswer, ControlMessage, YieldRequest, error_of_answer, socket_path

#: Seconds in which a process that merely keeps the log open must close it.
YIELD_SECONDS = 10.0
#: Connections in a row that may be lost before a request is answered.
MAX_LOST_CONNECTIONS = 5
#: Times that an operator asks others to close the log before it gives up.
MAX_YIELDS = 5
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
async def open_control(database: Path, author: str, limit_seconds: float = WAIT_SECONDS) -> AsyncIterator[Control]:
    """Open a way to the writer of a log: its operator, or the log itself if there is none.

    A process that has the log open for a moment, or is about to listen, is waited for.

    Args:
        database: the log.
        author: who makes the requests; see `author_of`.
        limit_seconds: how long to wait for another process.

    Raises:
        UnusableLogError: there is no such log, or another process keeps it open and does not listen.
        DamagedLogError: the log was changed from outside.
    """
    await check_exists(database)
    if await is_reachable(database):
        yield _RemoteControl(database, author)
        return
    gate = await pass_gate(database, limit_seconds)
    try:
        # Whoever opened the log meanwhile listens by now.
        if await is_reachable(database):
            gate.release()
            yield _RemoteControl(database, author)
            return
        await wait_for_writer(database, limit_seconds)
        async with (
            open_within_gate(database) as (ledger, ids, ownership),
            executor_without_operator(database, ledger, ids, ownership) as executor,
        ):
            yield _LocalControl(executor, author)
    finally:
        gate.release()


def new_key() -> str:
    """Return an idempotency key that no other request has."""
    return f"request/{os.urandom(16).hex()}"


async def open_gate_for_operator(database: Path) -> OpeningGate:
    """Return the gate of a log that nobody has open; a process that merely keeps it open is asked to close it.

    Raises:
        UnusableLogError: an operator has it open, or another process does not close it.
    """
    for _ in range(MAX_YIELDS):
        if not await ask_to_yield(database):
            break
        gate = await pass_gate(database)
        try:
            if not await is_reachable(database):
                return gate
        except BaseException:
            gate.release()
            raise
        gate.release()
    raise UnusableLogError(
        f"{database} is being written by process {writer_of(database)}: `mephisto-es status` shows its runs, "
        "`mephisto-es pause` pauses one. To launch another task beside them, launch both from one script, "
        "or choose another data folder"
    )


async def ask_to_yield(database: Path, limit_seconds: float = YIELD_SECONDS) -> bool:
    """Ask a process that merely keeps the log open to close it, and return once it has, or if there is none.

    Args:
        database: the log.
        limit_seconds: how long to wait for it.

    Returns:
        False if it keeps the log: it is an operator, is busy, or does not answer.
    """
    stream = await _connect(database)
    if stream is None:
        return True
    message = ControlMessage(id=0, author="operator", key="", request=YieldRequest())
    try:
        async with stream:
            await stream.send_all(_encoder.encode(message) + b"\n")
            with trio.move_on_after(limit_seconds):
                async with aclosing(_answers(stream)) as answers:
                    async for answer in answers:
                        if answer.error is not None:
                            return False
                return True
            return False
    except trio.BrokenResourceError:
        return True


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
            lost = 0
            while len(outcomes) < len(window):
                before = len(outcomes)
                missing = [place for place in range(len(window)) if place not in outcomes]
                await self._exchange(window, missing, outcomes)
                lost = 0 if len(outcomes) > before else lost + 1
                if lost > MAX_LOST_CONNECTIONS:
                    raise OutcomeUnknownError("the operator was lost; repeat the command, nothing happens twice")
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
