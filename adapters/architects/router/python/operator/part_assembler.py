"""Puts the parts of the operator's large packets together.

What a page gets when it is loaded again can be larger than any frame. So the operator sends such a packet in parts that
follow each other, up to a size that both sides know.
"""

from ..errors import MalformedJsonError
from ..packets import PacketPart

#: Characters of the largest packet that is accepted in parts.
MAX_PACKET_LENGTH = 32 * 2**20


class PartAssembler:
    """The parts of one packet that have arrived."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._length = 0

    def add(self, part: PacketPart) -> str | None:
        """Add the next part; return the whole text if it was the last one.

        Raises:
            MalformedJsonError: it does not follow the one before, or the packet is too large. What there was of the
                packet is discarded.
        """
        if part.index == 0:
            self.clear()
        follows = part.index == len(self._texts) < part.count
        self._texts.append(part.text)
        self._length += len(part.text)
        if not follows or self._length > MAX_PACKET_LENGTH:
            self.clear()
            raise MalformedJsonError("a part is missing" if not follows else "the packet is too large")
        if len(self._texts) < part.count:
            return None
        whole = "".join(self._texts)
        self.clear()
        return whole

    def clear(self) -> None:
        """Discard the parts: those that are missing will not come any more."""
        self._texts.clear()
        self._length = 0
