"""Errors of the router, by who must act.

StartError: the person who starts the process; a setting, the data directory or the address is wrong.
DamagedJournalError: the same person; becomes a `StartError` once the file is named.
RefusalError: the sender of a request; its sentence is safe to show to a worker.
MalformedJsonError: the sender of a body or a packet.
UnknownAgentError: the sender, who names an agent that does not exist here.
OutboxFullError: the person who runs the operator, which has been away for too long.
JournalUnwritableError: the person who looks after the disk.

Only the HTTP side knows which status goes with which error (`http/refusals.py`).
"""


class StartError(Exception):
    """The process cannot start as asked; the message is one sentence that says what to change."""


class DamagedJournalError(Exception):
    """The journal holds something that a crash does not leave behind; the message names the line."""


class RefusalError(Exception):
    """A request that is answered with an error status.

    Args:
        status: the HTTP status.
        sentence: what was wrong and what to do about it; nothing internal.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class MalformedJsonError(Exception):
    """The text is not JSON, or not JSON of the expected shape; the message says where."""


class UnknownAgentError(Exception):
    """No agent has this token."""


class OutboxFullError(Exception):
    """The packet was not accepted: too many already wait for the operator."""


class JournalUnwritableError(Exception):
    """The packet was not accepted: the journal could not be written."""
