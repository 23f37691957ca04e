"""One agent as the router sees it: its status, the socket of its page, and the live updates that wait for it."""

from collections import deque
from collections.abc import Iterable

from ..sockets.connection import Connection

#: Reported for an agent whose page is gone.
DISCONNECT = "disconnect"

#: Statuses in which it matters that the page is there; the others are final, or not the page's to change.
AT_WORK = frozenset({"none", "accepted", "onboarding", "waiting", "in task"})


class UpdateBuffer:
    """Live updates, oldest first; when there are too many the oldest are discarded.

    Args:
        max_count: how many it holds.
        max_bytes: how large they may be together; the newest is held whatever its size.
    """

    __slots__ = ("_max_bytes", "_max_count", "_size_bytes", "_updates")

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._updates: deque[bytes] = deque()
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._updates)

    def add(self, updates: Iterable[bytes]) -> int:
        """Add updates behind the others; return how many were discarded for them."""
        discarded = 0
        for update in updates:
            self._updates.append(update)
            self._size_bytes += len(update)
            while len(self) > self._max_count or (len(self) > 1 and self._size_bytes > self._max_bytes):
                self._size_bytes -= len(self._updates.popleft())
                discarded += 1
        return discarded

    def take_all(self) -> list[bytes]:
        """Return all updates and hold none of them any more."""
        updates = list(self._updates)
        self._updates.clear()
        self._size_bytes = 0
        return updates


class AgentSession:
    """One agent, known by its token.

    Args:
        token: its id on the wire.
        status: the status that the operator gave last.
        is_claimed: a page knows of it, as far as can be told.
        kept: holds the live updates that wait for a socket.
        unheard: holds the live updates sent since the page was last heard; they are lost if it is never heard again.
    """

    __slots__ = (
        "connection",
        "connections",
        "is_asked",
        "is_claimed",
        "is_gone",
        "kept",
        "status",
        "token",
        "unheard",
    )

    def __init__(self, token: str, status: str, *, is_claimed: bool, kept: UpdateBuffer, unheard: UpdateBuffer) -> None:
        self.token = token
        self.status = status
        #: The socket that last spoke for this agent, while it is open.
        self.connection: Connection | None = None
        #: All open sockets that have spoken for it, for instance of several tabs; the oldest is first.
        self.connections: list[Connection] = []
        #: True if its page was there once, and has been away or silent for too long.
        self.is_gone = False
        self.is_claimed = is_claimed
        #: True if the operator wants to know when the page shows that it is open.
        self.is_asked = False
        self.kept = kept
        self.unheard = unheard

    @property
    def reported_status(self) -> str:
        """The status that the operator sees."""
        return DISCONNECT if self.is_gone and self.status in AT_WORK else self.status

    def keep_unheard(self) -> int:
        """Keep what was sent since the page was last heard, before the rest; return how many were discarded."""
        return self.kept.add(self.unheard.take_all() + self.kept.take_all())
