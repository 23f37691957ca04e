"""Events that are worth a notice, in a log of their own."""

from __future__ import annotations

from mephisto_es.core.ports import AppendRequest
from mephisto_es.events import streams
from mephisto_es.events.base import Event
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.ids import AgentId, AssignmentId, PaymentId, RequesterId, TaskId, TaskRunId, UnitId, WorkerId
from mephisto_es.events.payment import PaymentOwed
from mephisto_es.events.task_run import (
    CallbackFailed,
    TaskRunAdmissionPaused,
    TaskRunCompleted,
    TaskRunCreated,
    TaskRunFailed,
    TaskRunPaused,
)
from mephisto_es.events.unit import UnitAccepted, UnitCompleted, UnitCreated

from ..log.support import request

RUN = TaskRunId(1)
RUN_STREAM = streams.task_run(RUN)
#: Microseconds.
HOUR = 3_600_000_000


def created(provider: str = "prolific") -> TaskRunCreated:
    return TaskRunCreated(
        task_run=RUN,
        task=TaskId(1),
        requester=RequesterId(1),
        blueprint_type="mock",
        architect_type="mock",
        provider_type=provider,
        config="{}",
        budget_cents=100,
    )


def owed(payment: int, cents: int) -> PaymentOwed:
    return PaymentOwed(
        payment=PaymentId(payment),
        worker=WorkerId(1),
        agent=AgentId(1),
        unit=UnitId(1),
        amount_cents=cents,
        purpose="pay",
    )


def unit(number: int) -> UnitCreated:
    return UnitCreated(unit=UnitId(number), assignment=AssignmentId(number), index=0, pay_cents=25)


def stream_of(event: Event) -> str:
    if isinstance(event, PaymentOwed):
        return streams.payment(RUN, event.payment)
    if isinstance(event, UnitCreated):
        return streams.unit(RUN, event.unit)
    return RUN_STREAM


#: One event of each kind that an event is worth, and two that are worth none.
WORTH_A_NOTICE: tuple[AnyEvent, ...] = (
    created(),
    unit(1),
    CallbackFailed(function="on_unit_submitted", error="ValueError", location="run_task.py:7"),
    TaskRunAdmissionPaused(function="on_unit_submitted", failures=3),
    owed(1, 49),
    owed(2, 1),
    owed(3, 31),
    owed(4, 30),
    TaskRunPaused(reason="the process was asked to end (SIGTERM)"),
    TaskRunFailed(step="live", reason="the router is gone"),
    TaskRunCompleted(),
)
#: What they are worth.
KINDS = ["callbacks", "admission", "budget", "budget", "budget", "paused", "failed", "completed"]


def requests(*events: AnyEvent, at: int = HOUR) -> list[AppendRequest]:
    """Return requests that append events to their streams, one each."""
    return [request(f"{number}", (stream_of(event), event), at=at) for number, event in enumerate(events)]


def on_unit(number: int, event: UnitCompleted | UnitAccepted, at: int) -> AppendRequest:
    stream = streams.unit(RUN, UnitId(number))
    return request(f"unit {number} {type(event).__name__}", (stream, event), at=at)
