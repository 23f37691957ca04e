"""Serves the control socket of a log: requests of the same user on this machine, executed by the log's writer."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path

import msgspec
import trio

from ...core.errors import CommandRefusedError, MephistoError, OutcomeUnknownError, UnusableLogError
from ...core.operations.control.executor import RequestExecutor
from ...core.operations.control.requests import Reply, Request
from ...core.operations.logger_core import get_logger
from .protocol import MAX_LINE_BYTES, ControlAnswer, ControlMessage, YieldRequest, answer_of_error, socket_path

#: Connections that may be open at a time, and requests of one connection that may be under way.
MAX_CONNECTIONS = 64
MAX_UNDER_WAY = 512

logger = get_logger(__name__)
_decoder = msgspec.json.Decoder(ControlMessage)
_encoder = msgspec.json.Encoder()


async def serve_control(
    database: Path,
    executor: RequestExecutor,
    on_yield: Callable[[], None] | None = None,
    on_requests: Callable[[int], None] = lambda _: None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the control socket of a log until this task is cancelled; started once the socket listens.

    Args:
        database: the log; this process has it open for writing.
        executor: executes the requests.
        on_yield: closes the log in favor of an operator; None: this process keeps it. It is not called while requests
            are under way.
        on_requests: called with the number of requests that are under way, whenever that changes.
        task_status: for `nursery.start`.

    Raises:
        UnusableLogError: the socket cannot be made.
    """
    path = socket_path(database)
    try:
        listener = _listen(path)
    except OSError as error:
        raise UnusableLogError(f"the control socket {path} cannot be made: {error.strerror}") from error
    connections = trio.CapacityLimiter(MAX_CONNECTIONS)
    requests = _RequestCount(on_requests)

    async def serve(stream: trio.SocketStream) -> None:
        async with connections, stream:
            if _is_same_user(stream.socket):
                await _Connection(stream, executor, on_yield, requests).run()

    try:
        task_status.started()
        await trio.serve_listeners(serve, [trio.SocketListener(listener)])
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


def _listen(path: Path) -> trio.socket.SocketType:
    """Bind the socket, with no access for others from its first moment on.

    Whoever has the log open owns its socket, so a file of a process that died is in nobody's use.
    """
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    finally:
        os.umask(mask)
    listener.listen(MAX_CONNECTIONS)
    listener.setblocking(False)
    return trio.socket.from_stdlib_socket(listener)


def _is_same_user(connection: trio.socket.SocketType) -> bool:
    """Return whether the other end runs as the same user; where the system cannot tell, the file's mode decides."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, user, _group = struct.unpack("3i", credentials)
    if user not in (os.getuid(), 0):
        logger.warning("the control socket refused another user", user=user)
        return False
    return True


class _RequestCount:
    """The number of requests that are under way on all connections."""

    def __init__(self, on_change: Callable[[int], None]) -> None:
        self.under_way = 0
        self._on_change = on_change

    @contextmanager
    def counted(self, request: Request) -> Iterator[None]:
        """Count a request while it is executed; one to close the log does not count."""
        if isinstance(request, YieldRequest):
            yield
            return
        self.under_way += 1
        self._on_change(self.under_way)
        try:
            yield
        finally:
            self.under_way -= 1
            self._on_change(self.under_way)


class _Connection:
    """One client. Its requests are executed in the order in which they arrive, and answered as they become durable."""

    def __init__(
        self,
        stream: trio.SocketStream,
        executor: RequestExecutor,
        on_yield: Callable[[], None] | None,
        requests: _RequestCount,
    ) -> None:
        self._stream = stream
        self._executor = executor
        self._on_yield = on_yield
        self._requests = requests
        self._sending = trio.Lock()
        self._under_way = trio.CapacityLimiter(MAX_UNDER_WAY)

    async def run(self) -> None:
        """Serve until the client leaves."""
        async with aclosing(self._lines()) as lines, trio.open_nursery() as nursery:
            async for line in lines:
                try:
                    message = _decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    logger.warning("the control socket got a request that it cannot read", reason=str(error))
                    return
                # A borrower of its own for each request: messages may be equal, and are not always hashable.
                borrower = object()
                await self._under_way.acquire_on_behalf_of(borrower)
                # Decided in the order of arrival: each task runs up to its commit before the next one starts.
                nursery.start_soon(self._execute, message, borrower)
                await trio.lowlevel.checkpoint()

    async def _lines(self) -> AsyncGenerator[bytes]:
        buffer = bytearray()
        while chunk := await self._receive():
            buffer += chunk
            if len(buffer) > MAX_LINE_BYTES:
                logger.warning("the control socket got a line that is too long", limit_bytes=MAX_LINE_BYTES)
                return
            if b"\n" not in chunk:
                continue  # a long line is searched once
            *lines, rest = buffer.split(b"\n")
            for line in lines:
                yield bytes(line)
            buffer = bytearray(rest)

    async def _receive(self) -> bytes | bytearray:
        """Return what the client sent next; nothing if it has left."""
        try:
            return await self._stream.receive_some(65536)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    async def _execute(self, message: ControlMessage, borrower: object) -> None:
        try:
            with self._requests.counted(message.request):
                answer = await self._answer(message)
        finally:
            self._under_way.release_on_behalf_of(borrower)
        # A client that has left asks again with the same key, if it wants to know.
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with self._sending:
                await self._stream.send_all(_encoder.encode(answer) + b"\n")

    async def _answer(self, message: ControlMessage) -> ControlAnswer:
        if isinstance(message.request, YieldRequest):
            if self._on_yield is None:
                return answer_of_error(message.id, CommandRefusedError("an operator keeps its log"))
            if self._requests.under_way:
                return answer_of_error(message.id, CommandRefusedError("requests are under way"))
            self._on_yield()
            return ControlAnswer(id=message.id, reply=Reply())
        try:
            with _own_failures(message.request):
                reply = await self._executor.execute(message.request, message.author, message.key)
        except MephistoError as error:
            return answer_of_error(message.id, error)
        return ControlAnswer(id=message.id, reply=reply)


@contextmanager
def _own_failures(request: Request) -> Iterator[None]:
    """Log an unexpected exception: it fails one request, and must not end the operator that executes it.

    Raises:
        OutcomeUnknownError: in place of an exception that is none of the package's own.
    """
    try:
        yield
    except MephistoError:
        raise
    except Exception as error:
        kind = type(request).__name__
        logger.exception("a request of the control socket failed unexpectedly", request=kind)
        raise OutcomeUnknownError(
            f"the process that has the log open failed on this request ({type(error).__name__}) and still runs; "
            "its log says more. `mephisto-es timeline ID` shows whether anything was recorded"
        ) from error
