"""Every error this package raises on purpose, by who must act.

    MephistoError
    ├── CommandRefusedError           the caller: the command is not legal now
    │   ├── IllegalStepError          the lifecycle has no such step from the present status
    │   ├── UnknownEntityError        there is no such unit, agent, worker ...
    │   ├── AmbiguousReferenceError   several entities may be meant
    │   ├── CommandIdReusedError      a command id was used again for something else
    │   ├── RunExistsError            another operator has launched a run of the task
    │   └── StaleCommandError         a stream has changed since the caller looked at it
    ├── ProtocolError                 the other side sent what the wire does not allow
    │   └── UploadGoneError           a server does not have the uploaded file
    ├── ConfigError                   the operator: a setting, file or plugin is wrong
    ├── LaunchError                   the operator: a launch step failed; names the step
    ├── LogError                      the log cannot be trusted or written
    │   ├── UnusableLogError          not a log of ours, unreadable, of a newer version, locked
    │   ├── DamagedLogError           a position whose content is not what was written
    │   ├── UnknownEventError         an event kind this version does not know
    │   ├── VersionConflictError      an expected version did not hold
    │   ├── WriterFencedError         another writer has taken over
    │   └── OutcomeUnknownError       COMMIT failed: written or not, nobody can say yet
    ├── ModelReplyError               task code: a language model gave no reply, or it was lost in a crash
    ├── UserCodeError                 code of a launch script or blueprint failed
    ├── TaskCodeDivergedError         task code took another path after a restart
    └── AgentLeftError                task code: the agent it waits for will not answer
        ├── AgentDisconnectedError
        ├── AgentReturnedError
        ├── AgentTimeoutError
        └── AgentShutdownError

Facts are attributes, the sentence is `str(error)`, the cause is kept by `raise ... from`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

AnyError = TypeVar("AnyError", bound=BaseException)

#: Words for categories of streams that people call otherwise.
_KIND_OF_STREAM = {"task_run": "run", "onboarding_agent": "onboarding"}
#: What the kinds of events begin with: the kind of entity.
_KIND_PREFIXES = ("task_run_", "unit_", "agent_", "onboarding_", "worker_", "payment_", "resource_")


class MephistoError(Exception):
    """Root of all errors of this package."""


class CommandRefusedError(MephistoError):
    """A command is not legal in the present state; nothing was changed."""


class IllegalStepError(CommandRefusedError):
    """The lifecycle's table has no such step from the present status.

    Attributes:
        entity: the stream, for instance `unit/1/12`.
        status: the present status.
        event_kind: kind of the event that the command would bring about.
    """

    def __init__(self, entity: str, status: str, event_kind: str) -> None:
        self.entity = entity
        self.status = status
        self.event_kind = event_kind
        super().__init__(f"{named(entity)} is {status!r}: it cannot be {_step_in_words(event_kind)!r} now")


class UnknownEntityError(CommandRefusedError):
    """There is no entity by that id.

    Attributes:
        entity: what was asked for.
        nearest: what there is instead, if anything.
    """

    def __init__(self, entity: str, nearest: str | None = None) -> None:
        self.entity = entity
        self.nearest = nearest
        super().__init__(f"there is no {named(entity)}" + (f"; the nearest is {nearest}" if nearest else ""))


class AmbiguousReferenceError(CommandRefusedError):
    """Several entities may be meant by what was written.

    Attributes:
        written: the text.
        entities: the ids of the entities.
        candidates: the entities, each with the way to write it unmistakably.
    """

    def __init__(self, written: str, candidates: Mapping[str, str]) -> None:
        self.written = written
        self.entities = tuple(candidates)
        self.candidates = tuple(candidates.values())
        super().__init__(f"{written!r} may be {', or '.join(self.candidates)}")


class CommandIdReusedError(CommandRefusedError):
    """A command id came again with other content."""

    def __init__(self, command: str) -> None:
        self.command = command
        super().__init__(f"command {command!r} was already used for something else; use a new id")


class RunExistsError(CommandRefusedError):
    """A launch was decided on without a run of the task that another operator has launched meanwhile.

    Attributes:
        task_name: the task.
    """

    def __init__(self, task_name: str) -> None:
        self.task_name = task_name
        super().__init__(f"another operator has launched a run of {task_name!r}; resume that one, or launch again")


class StaleCommandError(CommandRefusedError):
    """A command expected a version of a stream that it does not have any more.

    Attributes:
        stream: the stream.
        actual: the version it has.
    """

    def __init__(self, stream: str, actual: int) -> None:
        self.stream = stream
        self.actual = actual
        super().__init__(f"{named(stream)} has changed: it is at version {actual} now; look at it again, then decide")


def named(entity: str) -> str:
    """Return the name of a stream's entity as people write it: `unit-12` for `unit/1/12`; other text as it is."""
    category, *ids = entity.split("/")
    if not ids or not all(one.isdecimal() for one in ids):
        return entity
    if category == "engagement":
        return f"worker-{ids[-1]} in run-{ids[0]}"
    return f"{_KIND_OF_STREAM.get(category, category)}-{ids[-1]}"


def _step_in_words(event_kind: str) -> str:
    """Return what a kind of event does to its entity: `rejected` for `agent_rejected`."""
    for prefix in _KIND_PREFIXES:
        event_kind = event_kind.removeprefix(prefix)
    return event_kind.replace("_", " ")


class TooManyUpdatesError(CommandRefusedError):
    """A page has sent as many live updates, or as much in them, as it may."""

    def __init__(self) -> None:
        super().__init__("the limit of live updates is reached")


class ProtocolError(MephistoError):
    """The other side of a wire sent something that the wire does not allow."""


class UploadGoneError(ProtocolError):
    """A server does not have an uploaded file, and will not have it later."""


class ConfigError(MephistoError):
    """A setting, a file or a plugin is not usable.

    Attributes:
        key: the setting or path at fault, if one is.
        hint: what to do about it.
    """

    def __init__(self, message: str, *, key: str | None = None, hint: str | None = None) -> None:
        self.key = key
        self.hint = hint
        super().__init__(f"{message}. {hint}" if hint else message)


class LaunchError(MephistoError):
    """A run could not be launched; everything acquired so far was released.

    Attributes:
        step: the step that failed, for instance `deploy`.
    """

    def __init__(self, step: str, reason: str) -> None:
        self.step = step
        super().__init__(f"the launch failed at {step}: {reason}")


class LogError(MephistoError):
    """The log cannot be read, trusted or written."""


class UnusableLogError(LogError):
    """The file is not a log that this version can open."""


class DamagedLogError(LogError):
    """A position holds something else than was written there.

    Attributes:
        seq: the first position at fault.
        stream: its stream, where it could be read.
    """

    def __init__(self, seq: int, what: str, stream: str | None = None) -> None:
        self.seq = seq
        self.stream = stream
        super().__init__(f"seq {seq}{f' ({stream})' if stream else ''}: {what}")


class UnknownEventError(LogError):
    """An event's kind is not in the catalogue of this version; reading stops, nothing is skipped."""


class VersionConflictError(LogError):
    """A stream was not at the version that the request expected.

    Attributes:
        stream: the stream.
        expected: the version asked for.
        actual: the version it has.
    """

    def __init__(self, stream: str, expected: int | str, actual: int) -> None:
        self.stream = stream
        self.expected = expected
        self.actual = actual
        super().__init__(f"{stream} is at version {actual}, not {expected}")


class WriterFencedError(LogError):
    """Another writer has raised the epoch: this one may write no more."""


class OutcomeUnknownError(LogError):
    """COMMIT failed, so nobody can say whether the events are in the log.

    The writer has stopped. Open the log again and repeat the command under the same id:
    a command that was written is answered from the log.
    """


class UserCodeError(MephistoError):
    """Code of a launch script or blueprint failed. What it raised is the cause; its text is never shown to a worker.

    Attributes:
        function: the name of what was called.
        problem: in a few words what went wrong, without any value: `raised ValueError`.
        location: the line of the task's code at fault; empty if it is not known.
    """

    def __init__(self, function: str, problem: BaseException | str, location: str = "") -> None:
        self.function = function
        self.problem = problem if isinstance(problem, str) else f"raised {type(problem).__name__}"
        self.location = location
        super().__init__(f"{function} {self.problem}")


class TaskCodeDivergedError(MephistoError):
    """Task code that was started again does not say what it said before; its unit cannot go on.

    Attributes:
        agent_id: the agent it spoke to.
        was: what it had said.
        now: what it says.
    """

    def __init__(self, agent_id: int, was: str, now: str) -> None:
        self.agent_id = agent_id
        self.was = was
        self.now = now
        super().__init__(f"after a restart the task's code says {now} to agent {agent_id}; it had said {was}")


class ModelReplyError(MephistoError):
    """Raised inside task code: a language model gave no reply, or its reply was lost in a crash.

    Attributes:
        model: the model.
        number: the number of the question on behalf of the agent.
    """

    def __init__(self, model: str, number: int, why: str) -> None:
        self.model = model
        self.number = number
        super().__init__(f"question {number} to the model {model!r} has no reply: {why}")


class AgentLeftError(MephistoError):
    """Raised inside task code: the agent it works with will not answer any more.

    Attributes:
        agent_id: the agent.
    """

    why = "has left"

    def __init__(self, agent_id: int) -> None:
        self.agent_id = agent_id
        super().__init__(f"agent {agent_id} {self.why}")


class AgentDisconnectedError(AgentLeftError):
    """The agent's page went away."""

    why = "has disconnected"


class AgentReturnedError(AgentLeftError):
    """The worker gave the work back."""

    why = "has returned the work"


class AgentTimeoutError(AgentLeftError):
    """The agent did not act in time."""

    why = "did not act in time"


class AgentShutdownError(AgentLeftError):
    """The run is being shut down."""

    why = "is being shut down"


def leaves(group: BaseExceptionGroup[AnyError]) -> Iterator[AnyError]:
    """The errors in a group of any depth."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
