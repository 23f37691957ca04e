"""What is put down about a worker: that it came, was refused, was judged by the script's code, or is qualified."""

from __future__ import annotations

from collections.abc import Mapping

from ...events import streams
from ...events.engagement import CallbackAnswered, WorkerArrived, WorkerRefused
from ...events.ids import QualificationId, TaskRunId, UnitId, WorkerId
from ...events.worker import QualificationChanged, QualificationGranted
from ..lifecycles.engagement import Answer
from ..ports import NewEvent
from ..state.decision_state import DecisionState


def decide_grant(state: DecisionState, worker: WorkerId, qualification: QualificationId, value: int) -> list[NewEvent]:
    """Give a worker a qualification, or another value of one it has; nothing if it has just that."""
    stream = streams.worker(worker)
    held = state.workers[stream].qualifications.get(qualification)
    if held == value:
        return []
    change = QualificationGranted if held is None else QualificationChanged
    return [NewEvent(stream, change(qualification=qualification, value=value))]


def decide_arrival(state: DecisionState, run: TaskRunId, worker: WorkerId) -> list[NewEvent]:
    """Put down that a worker asks for work in a run, if it is the first time."""
    stream = streams.engagement(run, worker)
    return [] if state.engagements.get(stream) else [NewEvent(stream, WorkerArrived(worker=worker))]


def decide_refuse(state: DecisionState, run: TaskRunId, worker: WorkerId, refused: WorkerRefused) -> list[NewEvent]:
    """Put down that a worker was refused, and why."""
    return [*decide_arrival(state, run, worker), NewEvent(streams.engagement(run, worker), refused)]


def decide_record_answers(
    state: DecisionState, run: TaskRunId, worker: WorkerId, callback: str, answers: Mapping[UnitId, Answer]
) -> list[NewEvent]:
    """Put down what the launch script's own code answered about a worker; the first answer stands."""
    stream = streams.engagement(run, worker)
    engagement = state.engagements.get(stream)
    known = engagement.answers if engagement else {}
    answered = [
        NewEvent(stream, CallbackAnswered(callback=callback, unit=unit, answer=answer))
        for unit, answer in answers.items()
        if (callback, unit) not in known
    ]
    return [*decide_arrival(state, run, worker), *answered]
