"""Accumulates the row changes of one batch of events, then writes them."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import astuple

from ...core.errors import UnknownEntityError
from ...events.base import PayloadRef
from ...events.envelope import RecordedEvent
from ...events.ids import RequesterId, TaskId, TaskRunId
from ...events.streams import partition_of, run_of, run_of_partition
from ..engine.projection import ReadPayload
from .pending_writes import Bonuses, Cell, Cells, ColumnGroup, Opinions, PendingWrites, QualificationWrites, Reviews
from .rows import AgentPayloadRow, ModelReplyRow, OnboardingPayloadRow, Row, date_of
from .tables import TABLE_OF

_RUN_FACTS = """
    SELECT task_run_id, task_id, requester_id, provider_type, task_type, sandbox FROM task_runs WHERE task_run_id = ?
"""
_COUNT_EVENTS = "UPDATE task_runs SET event_count = event_count + ?, last_event_date = ? WHERE task_run_id = ?"


class RunFacts(NamedTuple):
    """The columns that Mephisto repeats in every row that belongs to a run."""

    task_run_id: TaskRunId
    task_id: TaskId
    requester_id: RequesterId
    provider_type: str
    task_type: str
    sandbox: bool


class EventBatch:
    """The changes that a batch of events makes to the view, collected first and then written table by table.

    Attributes:
        writes: new and changed rows of the tables with one row per entity.
        qualifications: changes to the qualifications of workers.
        reviews: verdicts on units.
        bonuses: bonuses for agents.
        opinions: opinions of reviewers on work without a verdict.
        agent_payloads: new rows for payloads that agents sent or received.
        model_replies: new rows for replies of language models.
        onboarding_payloads: new rows for what pages of onboardings were given, and for their live updates.
    """

    def __init__(self, db: sqlite3.Connection, payload: ReadPayload) -> None:
        """Begin an empty batch.

        Args:
            db: the database to write to; also queried for runs that earlier batches created.
            payload: reads the payloads that events refer to.
        """
        self._db = db
        self._payload = payload
        self._runs: dict[TaskRunId, RunFacts] = {}
        self.writes = PendingWrites()
        self.qualifications = QualificationWrites()
        self.reviews = Reviews()
        self.bonuses = Bonuses()
        self.opinions = Opinions()
        self.agent_payloads: list[AgentPayloadRow] = []
        self.onboarding_payloads: list[OnboardingPayloadRow] = []
        self.model_replies: list[ModelReplyRow] = []

    def add(self, recorded: RecordedEvent, row: Row) -> None:
        """Add the row of the entity that the event created."""
        self.writes[type(row)].add(recorded.envelope.stream, row)

    def set(self, recorded: RecordedEvent, columns: ColumnGroup, *values: Cell) -> None:
        """Change some columns in the row of the event's entity."""
        self.writes[columns.row].set(recorded.envelope.stream, columns, values)

    def date(self, recorded: RecordedEvent) -> str:
        """Return the event's time in the format of Mephisto's tables: UTC, to the millisecond."""
        return date_of(recorded.envelope.at)

    def text(self, ref: PayloadRef | None) -> str | None:
        """Return the text behind a reference, or None if there is none or it was erased.

        Bytes that are not valid text do not stop the projection; an audit reports them as a difference.
        """
        body = None if ref is None else self._payload(ref)
        return None if body is None else body.decode(errors="replace")

    def begin_run(self, run: RunFacts) -> None:
        """Remember a run that this batch creates."""
        self._runs[run.task_run_id] = run

    def run_of(self, recorded: RecordedEvent) -> RunFacts:
        """Return the run that the event's entity belongs to.

        Raises:
            UnknownEntityError: no event created it.
        """
        run_id = run_of(recorded.envelope.stream)
        run = self._runs.get(run_id)
        if run is None:
            found = self._db.execute(_RUN_FACTS, (run_id,)).fetchone()
            if found is None:
                raise UnknownEntityError(f"task_run/{run_id}")
            run = self._runs[run_id] = RunFacts(*found)
        return run

    def write(self, events: Sequence[RecordedEvent]) -> None:
        """Write all changes to the tables."""
        self.writes.write(self._db)
        self.qualifications.write(self._db)
        self.bonuses.write(self._db)
        self.reviews.write(self._db)
        self.opinions.write(self._db)
        if self.agent_payloads:
            self._db.executemany(TABLE_OF[AgentPayloadRow].insert, map(astuple, self.agent_payloads))
        if self.onboarding_payloads:
            self._db.executemany(TABLE_OF[OnboardingPayloadRow].insert, map(astuple, self.onboarding_payloads))
        if self.model_replies:
            self._db.executemany(TABLE_OF[ModelReplyRow].insert, map(astuple, self.model_replies))
        self._db.executemany(_COUNT_EVENTS, _statistics(events))


def _statistics(events: Sequence[RecordedEvent]) -> list[Cells]:
    """Return, for each run with events in the batch, their number, the date of the last one, and the run."""
    counts: defaultdict[TaskRunId, int] = defaultdict(int)
    for stream, count in Counter([envelope.stream for _, envelope in events]).items():
        if (run := run_of_partition(partition_of(stream))) is not None:
            counts[run] += count
    last: dict[TaskRunId, int] = {}
    # Backwards, because then a single event per run is usually enough.
    for _, envelope in reversed(events):
        if len(last) == len(counts):
            break
        if (run := run_of_partition(partition_of(envelope.stream))) is not None:
            last.setdefault(run, envelope.at)
    return [(count, date_of(last[run]), run) for run, count in counts.items()]
