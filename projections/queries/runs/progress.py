"""Counts the progress of a run from the view, for tables and progress bars."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum

import msgspec

from ....core.decisions.task_run import admission_paused_text
from ....core.lifecycles.agent import AT_WORK_STATUSES, AgentStatus
from ....core.lifecycles.onboarding import LIVE_ONBOARDING_STATUSES, OnboardingStatus
from ....core.lifecycles.task_run import TaskRunStatus
from ....core.lifecycles.unit import DONE_UNIT_STATUSES, OPEN_UNIT_STATUSES, UnitStatus
from ....events.ids import TaskRunId
from ...mephisto_db.criteria import EntityId
from ...mephisto_db.reader import MephistoDB
from ...mephisto_db.rows import TaskRunRow

_OPEN = frozenset(status.value for status in OPEN_UNIT_STATUSES)
_DONE = frozenset(status.value for status in DONE_UNIT_STATUSES)
_WORKERS = """
    SELECT count(*) FROM (
        SELECT worker_id FROM agents WHERE task_run_id = :run
        UNION SELECT worker_id FROM onboarding_agents WHERE task_run_id = :run
    )
"""


_LIVE_AGENTS = tuple(status.value for status in AT_WORK_STATUSES)
_LIVE_ONBOARDINGS = tuple(status.value for status in LIVE_ONBOARDING_STATUSES)
_AT_WORK = f"""
    SELECT count(*) FROM (
        SELECT worker_id FROM agents WHERE task_run_id = ? AND status IN ({", ".join("?" * len(_LIVE_AGENTS))})
        UNION SELECT worker_id FROM onboarding_agents
        WHERE task_run_id = ? AND status IN ({", ".join("?" * len(_LIVE_ONBOARDINGS))})
    )
"""


class _TimeSettings(msgspec.Struct):
    assignment_duration_in_seconds: float | None = None


class _ConfigOfTimes(msgspec.Struct):
    """The part of a run's configuration that says how long people have."""

    task: _TimeSettings = msgspec.field(default_factory=_TimeSettings)


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a run. Statuses without entities are omitted; the others are in lifecycle order."""

    task_run_id: TaskRunId
    task_name: str
    #: Name of the task's project; None if it is in none.
    project: str | None = None
    status: str
    server_url: str | None
    #: A sentence with the remedy if newcomers get no work because a function of the task failed too often; else None.
    admission_problem: str | None = None
    #: A sentence if newcomers get no work because the run is paused, or ends, once nobody is at work; else None.
    pausing: str | None = None
    #: A sentence with the remedy if the run is live in the log and no process runs it. The log does not have it.
    operator_problem: str | None = None
    #: Number of units by status.
    units: dict[str, int]
    agents: dict[str, int]
    onboarding_agents: dict[str, int]
    #: Workers who had a unit or an onboarding.
    workers: int
    assignments: int
    #: True once the run's data has been read to its end; until then more units will follow.
    is_data_exhausted: bool
    #: From the run's creation to its end, or to its last event if it has not ended.
    seconds: float
    #: Number of events of the run and of everything that belongs to it.
    events: int

    @property
    def units_total(self) -> int:
        """Number of units so far."""
        return sum(self.units.values())

    @property
    def units_finished(self) -> int:
        """Number of units with no work left to do, expired ones among them."""
        return sum(count for status, count in self.units.items() if status not in _OPEN)

    @property
    def units_done(self) -> int:
        """Number of units whose work was submitted, whatever the verdict."""
        return sum(count for status, count in self.units.items() if status in _DONE)


def run_progress(db: MephistoDB, task_run_id: EntityId) -> RunProgress:
    """Return the current figures of a run.

    Statuses are counted in an index of the run's units and agents, so this is cheap enough to call every second.

    Args:
        db: the view.
        task_run_id: the run.

    Raises:
        UnknownEntityError: there is no such run.
    """
    run = db.get_task_run(task_run_id)
    number, paused_by = run.task_run_id, run.admission_paused_by
    assignments = db.execute("SELECT count(*) FROM assignments WHERE task_run_id = ?", (number,)).fetchone()[0]
    task = db.get_task(run.task_id)
    project = task.get_project()
    return RunProgress(
        task_run_id=number,
        task_name=task.task_name,
        project=None if project is None else project.project_name,
        status=run.status,
        server_url=run.server_url,
        admission_problem=paused_by and admission_paused_text(number, paused_by),
        pausing=_leaving_text(db, run),
        units=_by_status(db, "units", number, UnitStatus),
        agents=_by_status(db, "agents", number, AgentStatus),
        onboarding_agents=_by_status(db, "onboarding_agents", number, OnboardingStatus),
        workers=db.execute(_WORKERS, {"run": number}).fetchone()[0],
        assignments=assignments,
        is_data_exhausted=run.assignment_count is not None,
        seconds=_seconds_between(run.creation_date, run.end_date or run.last_event_date),
        events=run.event_count,
    )


def pausing_text(db: MephistoDB, run: TaskRunId) -> str:
    """Return the sentence that says for whom a run waits that is to be paused."""
    return f"pausing: {_waiting_text(db, run)}"


def ending_text(db: MephistoDB, run: TaskRunId) -> str:
    """Return the sentence that says for whom a run waits that is to end, and how long at most."""
    return f"ending: {_waiting_text(db, run)}{longest_wait_text(db, run)}"


def _leaving_text(db: MephistoDB, run: TaskRunRow) -> str | None:
    if run.status == TaskRunStatus.STOPPING.value:
        return ending_text(db, run.task_run_id)
    return None if run.pausing is None else pausing_text(db, run.task_run_id)


def longest_wait_text(db: MephistoDB, run: TaskRunId) -> str:
    """Return how long the people at work have at most, as the end of a sentence; empty if nobody is at work."""
    try:
        settings = msgspec.json.decode(db.get_task_run(run).init_params, type=_ConfigOfTimes).task
    except msgspec.MsgspecError:  # a log of another program
        return ""
    seconds = settings.assignment_duration_in_seconds
    if not people_at_work(db, run) or seconds is None:
        return ""
    return f", each of whom has at most {max(1, round(seconds / 60)):,} min for a unit"


def people_at_work(db: MephistoDB, run: TaskRunId) -> int:
    """Return how many people are at work on a run."""
    people: int = db.execute(_AT_WORK, (run, *_LIVE_AGENTS, run, *_LIVE_ONBOARDINGS)).fetchone()[0]
    return people


def _waiting_text(db: MephistoDB, run: TaskRunId) -> str:
    people = people_at_work(db, run)
    return f"waiting for {people:,} {'person' if people == 1 else 'people'} at work" if people else "nobody is at work"


def _by_status(db: MephistoDB, table: str, run: TaskRunId, statuses: Iterable[Enum]) -> dict[str, int]:
    counted: dict[str, int] = dict(
        db.execute(f"SELECT status, count(*) FROM {table} WHERE task_run_id = ? GROUP BY status", (run,)).fetchall()
    )
    return {status.value: counted[status.value] for status in statuses if status.value in counted}


def _seconds_between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
