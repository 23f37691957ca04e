"""Lets answers to workers wait until the operator has committed what they handed in.

What is waited for is in the journal already: if the operator is slow, or away, the answer relies on that.
"""

import anyio


class CommitWaits:
    """Answers that wait, by the number of their packet.

    Args:
        seconds: how long an answer waits at most; 0 not at all.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[int, anyio.Event] = {}

    async def wait(self, seq: int, least_seconds: float) -> None:
        """Return once the operator has acknowledged a packet, or has gone, or time is up.

        Args:
            seq: the packet's number.
            least_seconds: how long this answer waits at most, if that is longer than for others.
        """
        seconds = max(self._seconds, least_seconds)
        if not seconds:
            return
        settled = self._waiting[seq] = anyio.Event()
        try:
            with anyio.move_on_after(seconds):
                await settled.wait()
        finally:
            self._waiting.pop(seq, None)

    def settle(self, acknowledged: int) -> None:
        """Let those continue whose packets have a number up to `acknowledged`."""
        for seq, settled in self._waiting.items():
            if seq <= acknowledged:
                settled.set()

    def give_up_all(self) -> None:
        """Let everybody continue: there is no operator."""
        for settled in self._waiting.values():
            settled.set()
