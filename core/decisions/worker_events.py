"""Builds events about a worker that several decisions share: arrival, answers of user code, qualifications."""

from __future__ import annotations

from collections.abc import Mapping

from ...events import streams
from ...events.engagement import CallbackAnswered, WorkerArrived
from ...events.ids import QualificationId, TaskRunId, UnitId, WorkerId
from ...events.worker import QualificationChanged, QualificationGranted
from ..lifecycles.engagement import Answer
from ..ports import NewEvent
from ..state.decision_state import DecisionState


def grant_events(state: DecisionState, worker: WorkerId, qualification: QualificationId, value: int) -> list[NewEvent]:
    """Return what grants a worker a qualification or changes its value; nothing if it has that value.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    stream = streams.worker(worker)
    held = state.workers[stream].qualifications.get(qualification)
    if held == value:
        return []
    change = QualificationGranted if held is None else QualificationChanged
    return [NewEvent(stream, change(qualification=qualification, value=value))]


def arrival_events(state: DecisionState, run: TaskRunId, worker: WorkerId) -> list[NewEvent]:
    """Return the worker's arrival in the run; nothing if it has arrived before."""
    stream = streams.engagement(run, worker)
    return [] if state.engagements.get(stream) else [NewEvent(stream, WorkerArrived(worker=worker))]


def answer_events(
    state: DecisionState, run: TaskRunId, worker: WorkerId, callback: str, answers: Mapping[UnitId, Answer]
) -> list[NewEvent]:
    """Return what records the answers of a callback about a worker and units, if they are new."""
    stream = streams.engagement(run, worker)
    engagement = state.engagements.get(stream)
    known = engagement.answers if engagement else {}
    answered = [
        NewEvent(stream, CallbackAnswered(callback=callback, unit=unit, answer=answer))
        for unit, answer in answers.items()
        if (callback, unit) not in known
    ]
    return [*arrival_events(state, run, worker), *answered]
