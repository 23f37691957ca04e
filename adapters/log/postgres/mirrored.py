"""A log in PostgreSQL with a copy in an SQLite file, from which everything is read.

The server decides what is in the log: a commit returns once the server has it. The copy is brought up to date before
that, so whoever reads the file, as the command line and the web view do, finds everything that was acknowledged here,
and, at the latest with the next turn, everything that others wrote.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ....core.chain import link
from ....core.errors import DamagedLogError, LogError, OutcomeUnknownError, UnusableLogError
from ....core.payloads import refs_of
from ....core.ports import AppendRequest, AppendResult, Head, Outcome, Payload, Turn
from ....events.codec import KIND_OF, encode
from ....events.engagement import ConsentWithdrawn
from ....events.envelope import Envelope, RecordedEvent, recorded_of
from ....events.worker import WorkerErased
from ....projections.engine.projection import Projection
from ..batch_plan import BatchPlan, executed_before
from ..sqlite import schema
from ..sqlite.log import SqliteLog
from ..sqlite.reader import LogReader, find
from .log import PostgresLog

#: The epoch of all events in a copy, so that all copies of a log have the same chain.
COPY_EPOCH = 1
#: Events that are copied in one transaction.
COPY_EVENTS = 1000


class CopyPlan(BatchPlan):
    """Rows of events that are in another log already, unchanged."""

    def __init__(self, head: Head) -> None:
        """Begin after a head."""
        super().__init__(head, lambda _: 0, lambda _: (), epoch=COPY_EPOCH)

    def add_copy(self, envelope: Envelope) -> None:
        """Add the next event."""
        event, data, seq = envelope.event, encode(envelope), self._seq + 1
        self._seq, self._chain, self._at = seq, link(self._chain, seq, COPY_EPOCH, data), envelope.at
        command = None if envelope.ordinal else envelope.command
        columns = envelope.stream, envelope.version, KIND_OF[type(event)], envelope.at, command
        self.rows.append((seq, data, self._chain, COPY_EPOCH, *columns))
        self.recorded.append(recorded_of((seq, envelope)))
        self.versions[envelope.stream] = envelope.version
        if type(event) is WorkerErased:
            self._forget(envelope.stream)
        elif type(event) is ConsentWithdrawn:
            self.withdrawn += event.payloads


class MirroredLog(SqliteLog):
    """One writer of a log in PostgreSQL, of which there may be many, on any machines.

    Positions are those of the common order: in the file, in news, and in what `commit` returns.

    Attributes:
        server_log: the log on the server.
    """

    is_shared = True
    IS_COPY = True
    server_log: PostgresLog
    _unread: list[RecordedEvent]
    #: The connection on which the end of the copy was last compared with the server.
    _checked: int
    #: True while the server has not been told that the copy has deleted what was erased.
    _owes_word: bool

    @classmethod
    def open(cls, address: str, path: Path, projections: Sequence[Projection]) -> MirroredLog:
        """Open a log in PostgreSQL, and bring its copy up to date.

        Args:
            address: the server and database, as a URL or connection string of libpq.
            path: the copy; it is created if there is none.
            projections: the projections updated within each commit.

        Raises:
            UnusableLogError: the server cannot be used, another process has the file open, or it is no copy of the log.
            DamagedLogError: the server has lost events that the copy has, or either was changed.
        """
        server_log = PostgresLog(address)
        try:
            if schema.is_fresh(path):
                schema.create_file(path, server_log.pseudonym_key, server_log.created_by)
            with LogReader(path) as reader:
                _check_origin(reader, server_log)
            log = cls.create_or_open(path, projections)
        except BaseException:
            server_log.close()
            raise
        log.server_log, log._unread, log._checked, log._owes_word = server_log, [], 0, True
        log.epoch = server_log.epoch
        try:
            log._follow({})
        except BaseException:
            log.close()
            raise
        return log

    def begin(self, partitions: Sequence[str], _beside: Sequence[str], commands: Sequence[str], /) -> Turn:
        """Lock partitions until the next `commit`, and return what others wrote anywhere, and the commands executed.

        Raises:
            WriterFencedError: another operator has taken over what this one owned.
            DamagedLogError: the server has lost events that the copy has.
            LogError: no turn was taken. The log accepts nothing more until it is reopened.
        """
        self._check_open()
        try:
            turn = self.server_log.begin(partitions, (), commands)
        except LogError as error:
            self._stopped = error
            raise
        # On another connection, once the partitions are locked: everything that was committed to them is there.
        self._unread += self._follow({})
        return Turn(self.take_news(), executed_before(partial(find, self._db), list(turn.known)))

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        """Write the requests to the server, in order and in one transaction, and bring the copy up to date.

        Raises:
            WriterFencedError: another operator has taken over; nothing was written.
            OutcomeUnknownError: the server did not say whether it was written, or the copy could not be written.
                The log accepts nothing more until it is reopened.
            LogError: nothing was written.
        """
        self._check_open()
        try:
            outcomes = self.server_log.commit(batch)
        except LogError as error:
            self._stopped = error
            raise
        written = {
            outcome.events[0].envelope.command
            for outcome in outcomes
            if isinstance(outcome, AppendResult) and outcome.events and not outcome.repeated
        }
        if not written:
            return [self._placed(outcome, {}) for outcome in outcomes]
        payloads = {one.ref.sha256: one for request in batch for one in request.payloads}
        copied = self._follow(payloads)
        self._unread += [each for each in copied if each.envelope.command not in written]
        places = {(each.envelope.command, each.envelope.ordinal): each for each in copied}
        return [self._placed(outcome, places) for outcome in outcomes]

    def take_news(self) -> tuple[RecordedEvent, ...]:
        """Return what was copied of others since the last call."""
        news, self._unread = self._unread, []
        return tuple(news)

    def prepare(self, batch: Sequence[AppendRequest]) -> Callable[[], list[Outcome]]:
        """Return a function that commits the batch."""
        return partial(self.commit, batch)

    def close(self) -> None:
        """Close the file and the connections. May be called twice.

        Raises:
            LogError: the head could not be anchored; everything else was done.
        """
        try:
            super().close()
        finally:
            self.server_log.close()

    def unconfirmed(self, position: int, patience_seconds: float, /) -> tuple[str, ...]:
        """Return the copies that have not confirmed that they deleted what was erased up to a position.

        This one is among them while a reader keeps its old pages.

        Args:
            position: the position.
            patience_seconds: how long to wait until all have.

        Raises:
            LogError: the server cannot be reached.
        """
        return self.server_log.unconfirmed(position, patience_seconds)

    @property
    def _place(self) -> str:
        return f"{socket.gethostname()}:{self.path.resolve()}"

    def _check_open(self) -> None:
        if self._stopped is not None:
            raise LogError(f"the log accepts nothing more: {self._stopped}") from self._stopped

    def _check_epoch(self) -> None:
        """Do nothing: the server fences writers, and the lock of the file keeps other processes out."""

    def _placed(self, outcome: Outcome, copied: Mapping[tuple[str, int], RecordedEvent]) -> Outcome:
        """Return an outcome with the positions of the common order."""
        if not isinstance(outcome, AppendResult) or not outcome.events:
            return outcome
        first = outcome.events[0].envelope
        if outcome.repeated:
            return AppendResult(self.find(first.command), repeated=True)
        return AppendResult(tuple(copied[first.command, ordinal] for ordinal in range(len(outcome.events))))

    def _follow(self, payloads: Mapping[str, Payload]) -> list[RecordedEvent]:
        """Copy everything that the server has and the file has not; return the events.

        Args:
            payloads: those that need not be fetched.

        Raises:
            DamagedLogError: the server has lost events that the copy has.
            OutcomeUnknownError: the file could not be written.
        """
        copied: list[RecordedEvent] = []
        try:
            is_complete = False
            while not is_complete:
                news = self.server_log.placed(self._head.seq, COPY_EVENTS)
                self._check_server()
                is_complete = len(news) < COPY_EVENTS
                if not news:
                    break
                plan = CopyPlan(self._head)
                for recorded in news:
                    plan.add_copy(recorded.envelope)
                wanted = {ref.sha256 for recorded in news for ref in refs_of(recorded.envelope.event)}
                plan.payloads += [payloads[sha256] for sha256 in wanted & payloads.keys()]
                plan.payloads += self.server_log.payloads(sorted(wanted - payloads.keys()))
                self._write(plan)
                self._finish(plan)
                self._owes_word = self._owes_word or bool(plan.forgotten or plan.withdrawn)
                self.server_log.saw(plan.head.at)
                copied += plan.recorded
            if self._owes_word and not self.holds_erased:
                self.server_log.confirm(self._place, self._head.seq)
                self._owes_word = False
        except DamagedLogError as error:
            self._stopped = error
            raise
        except (sqlite3.Error, LogError) as error:
            self._stopped = OutcomeUnknownError(
                f"{self.path} could not be brought up to date ({error}); the server has everything: open the log again"
            )
            raise self._stopped from error
        return copied

    def _check_server(self) -> None:
        """Compare the copy with the server whenever that was connected to again: it may be one that has less.

        Raises:
            DamagedLogError: the server has lost events that the copy has.
        """
        while (connection := self.server_log.reader_connection) != self._checked:
            self._check_end()
            self._checked = connection

    def _check_end(self) -> None:
        """Check that the last event of the copy is on the server, at the same position.

        Raises:
            DamagedLogError: the server has lost events.
        """
        end, there, server = self._head, self.server_log.head(), self.server_log.name
        if end.seq > there.seq:
            raise DamagedLogError(
                there.seq + 1,
                f"{server} ends at {there.seq}, but {self.path} has {end.seq} events: the server has lost its tail; "
                "restore the server, or copy the file into an empty database with `mephisto-es log copy FILE DATABASE`",
            )
        if end.seq and list(self.read(end.seq - 1)) != list(self.server_log.read(end.seq - 1, end.seq)):
            raise DamagedLogError(
                end.seq, f"{self.path} and {server} have different events here: the server has lost some"
            )


def _check_origin(copy: LogReader, server_log: PostgresLog) -> None:
    """Check that a file is a copy of the log on a server.

    Raises:
        UnusableLogError: it is not.
    """
    if copy.genesis != server_log.copies_genesis:
        raise UnusableLogError(
            f"{copy.path} is not a copy of the log in {server_log.name}; choose another data folder, "
            "or copy this log into an empty database with `mephisto-es log copy FILE DATABASE`"
        )
