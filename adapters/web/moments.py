"""Finds the moments of a run that are worth a look: where it went live, paused, crashed, or rejected work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ...events import streams
from ...events.base import Event
from ...events.envelope import RecordedEvent
from ...events.ids import TaskRunId
from ...events.task_run import (
    TaskRunAdmissionPaused,
    TaskRunCompleted,
    TaskRunFailed,
    TaskRunPaused,
    TaskRunRecovering,
    TaskRunReopened,
    TaskRunWentLive,
)
from ...projections.mephisto_db.rows import end_of
from ..log.sqlite.as_of import LogAsOf

#: Moments that are marked, the latest ones.
MAX_MARKS = 12
#: Events of a run that are marked.
_MARKED: Mapping[type[Event], str] = {
    TaskRunWentLive: "live",
    TaskRunPaused: "paused",
    TaskRunAdmissionPaused: "admission paused",
    TaskRunRecovering: "resumed",
    TaskRunFailed: "failed",
    TaskRunCompleted: "completed",
    TaskRunReopened: "reopened",
}
#: Events after which a run has an operator, and those after which it needs none.
_OPERATED = (TaskRunWentLive, TaskRunRecovering)
_LEFT = (TaskRunPaused, TaskRunFailed, TaskRunCompleted)
_FIRST_REJECTION = """
    SELECT id, unit_review.creation_date FROM unit_review JOIN units USING (unit_id)
    WHERE task_run_id = ? AND unit_review.status = 'rejected' ORDER BY id LIMIT 1
"""


class Mark(NamedTuple):
    """A moment of a run that is worth a look."""

    seq: int
    text: str
    #: Microseconds since the epoch.
    at: int


def find_marks(moment: LogAsOf, run: TaskRunId) -> tuple[Mark, ...]:
    """Return the moments of a run, in the order of the log; the first is its beginning."""
    history = moment.stream(streams.task_run(run))
    beginning = Mark(history[0].seq, "created", history[0].envelope.at)
    marks = sorted([*_of_run(history), *_rejection(moment, run)])
    return (beginning, *marks[-MAX_MARKS:])


def _of_run(history: Sequence[RecordedEvent]) -> Iterator[Mark]:
    is_operated, before = False, 0
    for recorded in history:
        at, event = recorded.envelope.at, recorded.envelope.event
        if isinstance(event, TaskRunRecovering) and is_operated:
            # A crash leaves no event. The last position before the next operator shows how things were left.
            yield Mark(recorded.seq - 1, "crash", before)
        if isinstance(event, (*_OPERATED, *_LEFT)):
            is_operated = isinstance(event, _OPERATED)
        text = _MARKED.get(type(event))
        if text is not None:
            yield Mark(recorded.seq, text, at)
        before = at


def _rejection(moment: LogAsOf, run: TaskRunId) -> Iterator[Mark]:
    """Yield the first rejection of a run, unless there is none, or it was taken back."""
    for seq, date in moment.db.execute(_FIRST_REJECTION, (run,)).fetchall():
        yield Mark(seq, "first rejection", end_of(date))
