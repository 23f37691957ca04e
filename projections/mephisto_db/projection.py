"""The projection that maintains the MephistoDB view."""

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
    """The status that an event leads to, and the column it is stored in."""

    column: ColumnGroup
    value: tuple[str]


def _statuses(row: type[Row], lifecycle: Lifecycle[S]) -> dict[type[Event], _NewStatus]:
    column = ColumnGroup(row, "status")
    return {event: _NewStatus(column, (status,)) for event, status in statuses_after(lifecycle).items()}


_STATUSES = {
    **_statuses(TaskRunRow, TASK_RUN),
    **_statuses(UnitRow, UNIT),
    **_statuses(AgentRow, AGENT),
    **_statuses(OnboardingAgentRow, ONBOARDING),
    **_statuses(WorkerRow, WORKER),
}

#: The handler and the new status of each type of event. Other events, such as those of servers, are only counted.
_EFFECTS: dict[type[Event], tuple[Handler | None, _NewStatus | None]] = {
    kind: (HANDLERS.get(kind), _STATUSES.get(kind)) for kind in {*HANDLERS, *_STATUSES}
}
_NO_EFFECT = (None, None)


class MephistoDbProjection:
    """Maintains the tables of the MephistoDB view.

    It is stateless: what a batch needs to know about earlier events is read from the tables, once per batch.
    """

    name = "mephisto_db"
    tables = tuple(table.name for table in tables.TABLES)

    def create(self, db: sqlite_utils.Database) -> None:
        """Create the tables, empty."""
        tables.create(db)

    def index(self, db: sqlite_utils.Database) -> None:
        """Create the indexes that readers need."""
        tables.index(db)

    def apply(self, db: sqlite3.Connection, events: Sequence[RecordedEvent], payload: ReadPayload) -> None:
        """Apply events to the tables, inside the caller's transaction.

        Raises:
            UnknownEntityError: an event belongs to a run that was never created.
        """
        batch = EventBatch(db, payload)
        # Only the last status counts, and most events change nothing else, so statuses are set once, at the end.
        statuses: dict[str, _NewStatus] = {}
        for recorded in events:
            _, envelope = recorded
            event = envelope.event
            handler, status = _EFFECTS.get(type(event), _NO_EFFECT)
            if handler is not None:
                handler(batch, recorded, event)
            if status is not None:
                statuses[envelope.stream] = status
        for stream, (column, value) in statuses.items():
            batch.writes[column.row].set(stream, column, value)
        batch.write(events)
