"""The operator's side of the switchboard: its link, and the pages that wait for its answer."""

from collections.abc import Callable

import anyio

from .connection import SERVICE_RESTART, Connection
from .wire import BUSY, MEPHISTO, Packet, encode, raw

#: Reports that may wait for the operator's socket; more are dropped.
MAX_WAITING_REPORTS = 1000


class _Question:
    """An HTTP request that waits for `agent_details`."""

    __slots__ = ("answer", "answered", "packet")

    def __init__(self, packet: bytes | None) -> None:
        #: What a new operator has to be asked again; None: the outbox does that.
        self.packet = packet
        self.answered = anyio.Event()
        self.answer: Packet | None = None


class OperatorLink:
    """Knows whether an operator is attached, and puts questions to it."""

    def __init__(self, max_waiting: int, deadline_seconds: float, monotonic: Callable[[], float]) -> None:
        self.link: Connection | None = None
        self._monotonic = monotonic
        self._lost_at = monotonic()
        self._changed = anyio.Event()
        self._questions: dict[str, _Question] = {}
        self._max_waiting = max_waiting
        self._deadline_seconds = deadline_seconds
        self._gave_up = False

    @property
    def absence_seconds(self) -> float:
        """For how long no operator has been attached; 0 while there is one."""
        return 0.0 if self.link is not None else self._monotonic() - self._lost_at

    def attach(self, link: Connection) -> None:
        """Make `link` the operator's socket in place of the one before it."""
        if self.link is not None:
            self.link.close(SERVICE_RESTART)
        link.is_operator = True
        self.link = link
        self._changed.set()
        self._changed = anyio.Event()

    def detach(self, link: Connection) -> None:
        """Note that a socket that was the operator's is closed."""
        if self.link is link:
            self.link = None
            self._lost_at = self._monotonic()
            self._changed.set()
            self._changed = anyio.Event()

    async def wait_abandoned(self, seconds: float) -> None:
        """Return once no operator has been attached for `seconds`."""
        while (rest := seconds - self.absence_seconds) > 0:
            with anyio.move_on_after(rest if self.link is None else None):
                await self._changed.wait()

    def tell(self, packet: bytes) -> None:
        """Send the operator a packet, if one is attached."""
        if self.link is not None:
            self.link.post(packet)

    def report(self, packet: bytes) -> bool:
        """Tell the operator something that need not last; return whether it could be told."""
        if self.link is None or self.link.waiting >= MAX_WAITING_REPORTS:
            return False
        self.link.post(packet)
        return True

    def ask_again(self) -> None:
        """Put the questions that are open to the operator that has just been attached."""
        for question in self._questions.values():
            if question.packet is not None:
                self.tell(question.packet)

    async def ask(self, request_id: str, packet: bytes | None) -> bytes:
        """Wait for the operator's `agent_details` to a question, up to the deadline.

        Args:
            request_id: What the answer names.
            packet: What is put to the operator, now and whenever another one is attached; None when
                the question goes through the outbox.

        Returns:
            The packet that is the answer to the page. After the deadline, and when too many wait
            already, it asks to try again.
        """
        if self._gave_up or len(self._questions) >= self._max_waiting:
            return encode(_busy(request_id))
        question = self._questions[request_id] = _Question(packet)
        try:
            if packet is not None:
                self.tell(packet)
            with anyio.move_on_after(self._deadline_seconds):
                await question.answered.wait()
        finally:
            del self._questions[request_id]
        return encode(question.answer or _busy(request_id))

    def answer(self, request_id: str, packet: Packet) -> bool:
        """Give a page the answer it waits for; return whether one waited."""
        question = self._questions.get(request_id)
        if question is None or question.answer is not None:
            return False
        question.answer = packet
        question.answered.set()
        return True

    def give_up(self) -> None:
        """Answer all who wait, and all who come from now on, that they should try again."""
        self._gave_up = True
        for request_id in list(self._questions):
            self.answer(request_id, _busy(request_id))


def _busy(request_id: str) -> Packet:
    refusal = {
        "request_id": request_id,
        "worker_id": None,
        "agent_id": None,
        "init_task_data": None,
        "failure_reason": BUSY,
    }
    return Packet(packet_type="agent_details", subject_id=MEPHISTO, data=raw(refusal))
