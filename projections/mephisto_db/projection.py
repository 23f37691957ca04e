"""The projection that keeps the MephistoDB view."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...core.lifecycles.agent import AGENT
from ...core.lifecycles.onboarding import ONBOARDING
from ...core.lifecycles.table import Lifecycle, S
from ...core.lifecycles.task_run import TASK_RUN
from ...core.lifecycles.unit import UNIT
from ...core.lifecycles.worker import WORKER
from ...core.state.status_fold import statuses_after
from ...events.base import Event
from ...events.envelope import RecordedEvent
from ..engine.projection import ReadPayload
from . import tables
from .batch import EventBatch
from .handlers import HANDLERS, Handler
from .pending_writes import ColumnGroup
from .rows import AgentRow, OnboardingAgentRow, Row, TaskRunRow, UnitRow, WorkerRow

if TYPE_CHECKING:
    import sqlite_utils


class _NewStatus(NamedTuple):
    """The status that an event leads to, and where it is kept."""

    column: ColumnGroup
    value: tuple[str]


def _kept_in(row: type[Row], lifecycle: Lifecycle[S]) -> dict[type[Event], _NewStatus]:
    column = ColumnGroup(row, "status")
    return {event: _NewStatus(column, (status,)) for event, status in statuses_after(lifecycle).items()}


_STATUSES = {
    **_kept_in(TaskRunRow, TASK_RUN),
    **_kept_in(UnitRow, UNIT),
    **_kept_in(AgentRow, AGENT),
    **_kept_in(OnboardingAgentRow, ONBOARDING),
    **_kept_in(WorkerRow, WORKER),
}

#: What to do about each kind of event. Kinds that are not here are only counted: engagements, servers.
_EFFECTS: dict[type[Event], tuple[Handler | None, _NewStatus | None]] = {
    kind: (HANDLERS.get(kind), _STATUSES.get(kind)) for kind in {*HANDLERS, *_STATUSES}
}
_NO_EFFECT = (None, None)


class MephistoDbProjection:
    """Keeps the tables of the MephistoDB view.

    It has no state of its own: what a page of events needs to know of earlier ones it reads in the tables, once a page.
    """

    name = "mephisto_db"
    tables = tuple(table.name for table in tables.TABLES)

    def create(self, db: sqlite_utils.Database) -> None:
        """Make the tables, empty."""
        tables.create(db)

    def index(self, db: sqlite_utils.Database) -> None:
        """Make the indexes that readers need."""
        tables.index(db)

    def apply(self, db: sqlite3.Connection, events: Sequence[RecordedEvent], payload: ReadPayload) -> None:
        """Carry events into the tables, inside the caller's transaction.

        Raises:
            UnknownEntityError: an event belongs to a run that was never created.
        """
        page = EventBatch(db, payload)
        # Only the last status counts, and most events change nothing else: so they are set once, at the end.
        statuses: dict[str, _NewStatus] = {}
        for recorded in events:
            _, envelope = recorded
            event = envelope.event
            meaning, status = _EFFECTS.get(type(event), _NO_EFFECT)
            if meaning is not None:
                meaning(page, recorded, event)
            if status is not None:
                statuses[envelope.stream] = status
        for stream, (column, value) in statuses.items():
            page.sheets[column.row].set(stream, column, value)
        page.write(events)
