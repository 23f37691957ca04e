"""A network between processes of this machine that can be cut, and a load balancer."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import trio

PIECE_BYTES = 2**16


class Forwarder:
    """Forwards connections to the first of some ports that accepts them, in a random order."""

    def __init__(self, targets: Sequence[int], chance: Random) -> None:
        self._targets = list(targets)
        self._chance = chance
        self._is_cut = False
        self._open: set[trio.CancelScope] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Forward until cancelled."""
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listener.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self._forward, [listener])
            task_status.started()

    def cut(self) -> None:
        """Break all connections, and let none through until `restore`."""
        self._is_cut = True
        for scope in self._open:
            scope.cancel()

    def restore(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    async def _forward(self, client: trio.SocketStream) -> None:
        scope = trio.CancelScope()
        async with client:
            server = None if self._is_cut else await self._connect()
            if server is None:
                return
            self._open.add(scope)
            try:
                async with server:
                    with scope:
                        async with trio.open_nursery() as nursery:
                            nursery.start_soon(self._pump, client, server, nursery.cancel_scope)
                            nursery.start_soon(self._pump, server, client, nursery.cancel_scope)
            finally:
                self._open.discard(scope)

    async def _connect(self) -> trio.SocketStream | None:
        for port in self._chance.sample(self._targets, len(self._targets)):
            try:
                return await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                continue
        return None

    @staticmethod
    async def _pump(source: trio.SocketStream, target: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            while piece := await source.receive_some(PIECE_BYTES):
                await target.send_all(piece)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()
