"""Keeps the HTTP requests that wait for the operator's `agent_details`.

Each is answered once, by the deadline at the latest.
"""

from collections.abc import Callable

import anyio

from ..packets import BUSY, PacketFactory

#: Size of all packets that wait for an answer.
MAX_WAITING_BYTES = 32 * 2**20


class _WaitingRequest:
    __slots__ = ("answer", "answered", "packet")

    def __init__(self, packet: bytes | None) -> None:
        self.packet = packet
        self.answered = anyio.Event()
        self.answer = b""


class WaitingRequests:
    """Requests by their id.

    Args:
        packets: makes the answer of a request that nobody else answered.
        deadline_seconds: how long a request waits.
        max_waiting: how many may wait at once; further ones are asked at once to try again.
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(
        self, packets: PacketFactory, deadline_seconds: float, max_waiting: int, monotonic: Callable[[], float]
    ) -> None:
        self._packets = packets
        self._deadline_seconds = deadline_seconds
        self._max_waiting = max_waiting
        self._monotonic = monotonic
        self._paused_at: float | None = None
        # What a page reads that nobody answers.
        self._reason = BUSY
        self._waiting: dict[str, _WaitingRequest] = {}
        self._size_bytes = 0
        self._is_closed = False

    @property
    def unanswered(self) -> list[bytes]:
        """Packets that a new operator has to be sent again, oldest first."""
        return [request.packet for request in self._waiting.values() if request.packet is not None]

    async def wait(self, request_id: str, packet: bytes | None) -> bytes:
        """Wait for the answer to a request.

        Cancelling gives the request up.

        Args:
            request_id: its id, which the answer names.
            packet: what to send again while there is no answer; None if the outbox takes care of that.

        Returns:
            The packet that answers the page. After the deadline, or if too many wait, it asks to try again.
        """
        size = len(packet or b"")
        is_full = len(self._waiting) >= self._max_waiting or self._size_bytes + size > MAX_WAITING_BYTES
        if self._is_closed or is_full or self._is_paused_for_long:
            return self._busy(request_id)
        self._size_bytes += size
        request = self._waiting[request_id] = _WaitingRequest(packet)
        try:
            with anyio.move_on_after(self._deadline_seconds):
                await request.answered.wait()
        finally:
            self._size_bytes -= size
            self._waiting.pop(request_id, None)
        return request.answer or self._busy(request_id)

    def settle(self, request_id: str, answer: bytes) -> bool:
        """Answer a request; return whether it still waited."""
        request = self._waiting.pop(request_id, None)
        if request is None:
            return False
        request.answer = answer
        request.answered.set()
        return True

    def give_up_all(self) -> None:
        """Ask everyone who waits, or comes later, to try again: the process ends."""
        self._is_closed = True
        for request_id in list(self._waiting):
            self.settle(request_id, self._busy(request_id))

    def pause(self, reason: str) -> None:
        """Note that the operator leaves in order. It may be back soon: only those who come much later do not wait.

        Args:
            reason: what pages read that get no answer.
        """
        self._paused_at = self._monotonic()
        self._reason = reason

    def resume(self) -> None:
        """Note that there is an operator."""
        self._paused_at = None
        self._reason = BUSY

    @property
    def _is_paused_for_long(self) -> bool:
        return self._paused_at is not None and self._monotonic() - self._paused_at > self._deadline_seconds

    def _busy(self, request_id: str) -> bytes:
        return self._packets.busy(request_id, self._reason)
