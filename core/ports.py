"""Interfaces that core needs from outside. Adapters implement them; core never imports an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import msgspec

from ..events.base import PayloadRef
from ..events.catalogue import AnyEvent
from ..events.envelope import Position, RecordedEvent
from ..events.ids import TaskRunId, WorkerId

if TYPE_CHECKING:
    # It would load trio, for which verbs that only look would wait.
    from .signal import Signal

T = TypeVar("T")


class WallClock(Protocol):
    """The time of day. Durations are measured by trio's clock instead."""

    def now_us(self) -> int:
        """Return the microseconds since the epoch, UTC."""


class Ids(Protocol):
    """Source of new ids and of everything unguessable."""

    def next_id(self, category: str) -> int:
        """Return the next integer id of a category of streams, for instance `unit`.

        The same id is never returned twice; there may be gaps.
        """

    def command_id(self) -> str:
        """Return a new command id; later ones sort after earlier ones."""

    def token(self) -> str:
        """Return an unguessable text that is safe in a URL."""

    def salt(self) -> bytes:
        """Return sixteen random bytes."""


class Payload(NamedTuple):
    """Bytes that are stored in the log's side table together with the events that refer to them."""

    ref: PayloadRef
    salt: bytes
    body: bytes
    #: The worker whose personal data this is; erasing the worker deletes it. None: no personal data.
    subject: WorkerId | None


class NewEvent(NamedTuple):
    """An event that is to be appended to a stream."""

    stream: str
    event: AnyEvent


class Expect(Enum):
    """Conditions on a stream's version that are not a number."""

    #: The stream does not exist.
    NONE = "none"
    #: Any version.
    ANY = "any"


class AppendRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a log: all of its events are written, or none.

    The partitions it touches are those of its streams (`events.streams.partition_of`).
    """

    #: Idempotency key. The same id with the same events is answered from the log.
    command: str
    actor: str
    #: Microseconds since the epoch; the log writes the larger of this and the time of its last event.
    at: int
    events: tuple[NewEvent, ...]
    cause: Position | None = None
    #: Versions that streams must have, also streams that the request does not write; others may have any.
    expected: Mapping[str, int | Expect] = {}
    payloads: tuple[Payload, ...] = ()


class AppendResult(msgspec.Struct, frozen=True, gc=False):
    """The request's events are durable; there are none if there was nothing to do."""

    events: tuple[RecordedEvent, ...]
    #: True if the command was executed before; these are its events of that time.
    repeated: bool = False


class AppendRejected(NamedTuple):
    """Nothing of the request was written, because of a conflict or a reused command id."""

    error: Exception


Outcome = AppendResult | AppendRejected


class Head(NamedTuple):
    """The end of a log's chain."""

    seq: int
    chain: bytes
    #: Time of the last event in microseconds; 0 in an empty log.
    at: int


class Offload(Protocol):
    """A way of making a blocking call to the log while the event loop keeps running."""

    async def __call__(self, call: Callable[[], T], /) -> T:
        """Make the call and return its result. A cancellation is delivered after it."""


class Turn(NamedTuple):
    """Everything a writer must know before it decides on its next commands."""

    #: Events of other writers since this writer's last turn, or since it opened the log, causes before effects.
    news: tuple[RecordedEvent, ...] = ()
    #: Events of those commands that were executed before, by id.
    known: Mapping[str, tuple[RecordedEvent, ...]] = {}


class EventLog(Protocol):
    """An append-only log. Methods that write, and `begin`, wait for a disk or a network: call them in a worker thread.

    A log that is not shared has one writer. In a shared one each batch is preceded by a turn, which keeps other writers
    out of the partitions that the batch writes to, so a decision is always made on the newest state.
    """

    @property
    def is_shared(self) -> bool:
        """True if there may be other writers. Then `begin` comes before each `commit`, even of an empty batch."""

    @property
    def pseudonym_key(self) -> bytes:
        """Secret of this log, created with it and stored beside its events, that keys all pseudonyms."""

    @property
    def holds_erased(self) -> bool:
        """True while erased values may still be in the log's files, because a reader has them open."""

    @property
    def has_upkeep(self) -> bool:
        """True if there is work to do, for instance after a large commit, that is best done while nobody waits."""

    def do_upkeep(self) -> None:
        """Do that work; between two commits. Nothing depends on it."""

    def unconfirmed(self, position: int, patience_seconds: float, /) -> tuple[str, ...]:
        """Return copies of the log elsewhere that may still have what was erased up to a position.

        Blocks while there are some, in which time those that follow the log confirm that they have deleted it.

        Args:
            position: the position.
            patience_seconds: how long to wait.

        Raises:
            LogError: it cannot be found out.
        """

    def begin(self, partitions: Sequence[str], beside: Sequence[str], commands: Sequence[str], /) -> Turn:
        """Take a turn: keep other writers out of some partitions until the next `commit` has returned or failed.

        Args:
            partitions: the partitions to write to, in the order of their names; a log that is not shared locks none.
            beside: other partitions whose news are wanted.
            commands: ids of commands that may have been executed before.

        Raises:
            LogError: no turn was taken.
        """

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        """Write the requests in order, in one transaction; each is accepted or refused by itself.

        Raises:
            WriterFencedError: another writer has taken over; nothing was written.
            OutcomeUnknownError: COMMIT failed. The log accepts nothing more until it is opened again.
            LogError: nothing was written, for instance because the disk is full.
        """

    def prepare(self, batch: Sequence[AppendRequest]) -> Callable[[], list[Outcome]]:
        """Do the first half of `commit`, which does not wait for a disk, and return the second half.

        Nothing else may be committed between the two.

        Raises:
            LogError: nothing was written. The second half raises what `commit` does.
        """

    def take_news(self) -> tuple[RecordedEvent, ...]:
        """Return what the last `commit` has read of other writers, in order; empty if the log is not shared."""

    def find(self, command: str) -> tuple[RecordedEvent, ...]:
        """Return the events of a command; empty if the log does not know it."""

    def read(self, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield events with `after < seq <= until`, in order.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: written by a newer version.
        """

    def history(self, stream: str) -> tuple[RecordedEvent, ...]:
        """Return all events of one stream, in order; empty if there is no such stream.

        Raises:
            DamagedLogError: a row does not decode.
            UnknownEventError: written by a newer version.
        """

    def payload(self, ref: PayloadRef) -> bytes | None:
        """Return the bytes behind a reference; None if they were erased."""

    def head(self) -> Head:
        """Return position, chain and time of the last event."""

    def close(self) -> None:
        """Release the file and the writer's lock; may be called twice."""


class RunHolder(NamedTuple):
    """Another operator that drives a run."""

    operator: str
    #: When the log heard of it last, in microseconds since the epoch.
    heard_at_us: int
    #: Seconds after which it is worth asking again.
    wait_seconds: float


class RunOwnership(Protocol):
    """Says which operator drives a run. One that is not heard of for a while loses its runs to whoever takes them."""

    #: Notified when an operator has given something back, and at other times.
    given: Signal

    async def take(self, run: TaskRunId, /) -> RunHolder | None:
        """Become the operator that drives a run, unless there is another one that lives.

        Returns:
            Who drives it; None: this operator does now, or did before.

        Raises:
            LogError: the log cannot be asked.
        """

    async def holder(self, run: TaskRunId, /) -> RunHolder | None:
        """Return the other operator that drives a run and lives; None: there is none.

        Raises:
            LogError: the log cannot be asked.
        """

    async def give(self, run: TaskRunId, /) -> None:
        """Drive a run no longer, so that others may take it at once; does nothing if it is not this operator's."""


class Outage(msgspec.Struct, frozen=True):
    """The time for which a server has been out of reach."""

    #: Its address.
    server: str
    seconds: float
    #: The problem at the last attempt to connect.
    problem: str
