"""The figures of a run end when the run ends, and not at the last verdict."""

from __future__ import annotations

from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events.agent import AgentApproved, AgentSubmitted
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.task_run import TaskRunCompleted, TaskRunCreated, TaskRunReopened, TaskRunStopping
from mephisto_es.events.unit import UnitAccepted, UnitCompleted
from mephisto_es.projections.queries.runs.run_status import run_status
from mephisto_es.projections.queries.runs.time_series import LogSeries

from ..sample_log import RUN, sample_history
from .memory_as_of import MemoryAsOf

DAY_US = 24 * 3_600_000_000
BEFORE = sample_history()
END = BEFORE[-1].at + 60_000_000
RUN_STREAM = f"task_run/{RUN}"
CREATED = next(one.at for one in BEFORE for new in one.events if isinstance(new.event, TaskRunCreated))


def later(number: int, at: int, *events: tuple[str, AnyEvent]) -> AppendRequest:
    return AppendRequest(
        command=f"later {number}", actor="tester", at=at, events=tuple(NewEvent(*event) for event in events)
    )


def stream_of(kind: type[AnyEvent]) -> str:
    return next(new.stream for request in reversed(BEFORE) for new in request.events if isinstance(new.event, kind))


ENDED = (
    *BEFORE,
    later(1, END, (RUN_STREAM, TaskRunStopping(reason="enough")), (RUN_STREAM, TaskRunCompleted())),
)
REVIEWED = (
    *ENDED,
    later(2, END + DAY_US, (stream_of(UnitCompleted), UnitAccepted()), (stream_of(AgentSubmitted), AgentApproved())),
)


def test_a_verdict_after_the_end_makes_a_run_neither_longer_nor_slower() -> None:
    then, now = MemoryAsOf(ENDED), MemoryAsOf(REVIEWED)
    before = run_status(then, RUN, now=then.at)
    after = run_status(now, RUN, now=END + 2 * DAY_US)
    assert after.progress.seconds == before.progress.seconds == (END - CREATED) / 1_000_000
    assert after.pace.units_per_hour > 0
    assert after.pace.over_seconds == before.pace.over_seconds
    assert after.progress.units["accepted"] == 1


def test_a_plot_ends_with_the_run_and_shows_the_verdicts() -> None:
    series = LogSeries()
    series.apply_events(MemoryAsOf(REVIEWED).events)
    last = series.run(RUN).samples[-1]
    assert last.at == END
    assert last.units["accepted"] == 1


def test_a_run_that_is_reopened_goes_on() -> None:
    reopened = (*REVIEWED, later(3, END + 2 * DAY_US, (RUN_STREAM, TaskRunReopened(reason="more"))))
    as_of = MemoryAsOf(reopened)
    assert run_status(as_of, RUN, now=as_of.at).progress.seconds == (END + 2 * DAY_US - CREATED) / 1_000_000
    series = LogSeries()
    series.apply_events(as_of.events)
    assert series.run(RUN).samples[-1].at == END + 2 * DAY_US
