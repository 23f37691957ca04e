"""Commands on their way to the log: each with an outcome that can be waited for, and those of one commit together."""

from __future__ import annotations

from collections.abc import Callable

from ...events.envelope import RecordedEvent
from ..errors import MephistoError
from ..ports import AppendRequest, AppendResult
from ..signal import Pending, Signal
from .base import Command, CommandRequest

#: Maximum number of requests in one commit.
BATCH_LIMIT = 512

AnyRequest = CommandRequest[Command]
#: An append, or the outcome if there is nothing to append.
Decision = AppendRequest | AppendResult | MephistoError


class PendingCommand(Pending[AppendResult]):
    """A submitted command whose outcome can be waited for.

    It raises what the decision refused it with, OutcomeUnknownError if COMMIT failed or the writer stopped before it
    (submit again with the same id), or another LogError if nothing was written.
    """

    __slots__ = ("is_decided", "known", "request")

    def __init__(self, request: AnyRequest, known: tuple[RecordedEvent, ...] | None) -> None:
        super().__init__()
        self.request = request
        #: Events of its first execution, if there was one. None: it cannot be decided yet, the log has to be asked.
        self.known = known
        #: True once the command was decided, or the writer stopped.
        self.is_decided = False


class CommandBatch:
    """The commands and events of one commit."""

    def __init__(self) -> None:
        self.decided: list[tuple[PendingCommand, Decision]] = []
        self.appends: list[AppendRequest] = []
        #: The streams that they write to.
        self.streams: set[str] = set()
        #: Called once it is durable.
        self.followers: list[Callable[[], None]] = []
        #: True once it takes no more: it is full, or being committed.
        self.is_closed = False
        #: Notified once it is durable, or has failed.
        self.settled = Signal()

    def add(self, pending: PendingCommand, decision: Decision) -> None:
        """Add a command that was decided."""
        self.decided.append((pending, decision))
        if isinstance(decision, AppendRequest):
            self.appends.append(decision)
            # Every stream that a request writes to is in its `expected`.
            self.streams.update(decision.expected)
            self.is_closed = len(self.appends) >= BATCH_LIMIT
