"""A run as a table: one row for each unit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ...core.lifecycles.unit import UnitStatus
from ...events import streams
from ...events.agent import AgentAccepted, AgentStarted, AgentSubmitted
from ...events.base import Event
from ...events.envelope import RecordedEvent
from ...events.ids import TaskRunId
from ...events.unit import UnitAccepted, UnitCreated, UnitLaunched, UnitRejected, UnitReleased, UnitSoftRejected
from ..mephisto_db.queries import JsonValue
from ..mephisto_db.reader import MephistoDB
from ..mephisto_db.rows import AgentRow, UnitRow
from .as_of import AsOf

_EPOCH = datetime.fromtimestamp(0, UTC)
#: Statuses of units that are paid.
_PAID = frozenset({UnitStatus.ACCEPTED.value, UnitStatus.SOFT_REJECTED.value})
_REVIEWED = _PAID | {UnitStatus.REJECTED.value}


class UnitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of a run. The fields are the columns of every format, in this order; new ones are added at the end.

    Times are UTC. Where nobody has the unit, what is about an agent is None.
    """

    task_run_id: int
    task_name: str
    assignment_id: int
    #: Place of the assignment in the run's data, from 0 on.
    assignment_number: int
    unit_id: int
    #: Place in the assignment from 0 on; -1 screening, -2 gold, -3 compensation.
    unit_index: int
    unit_status: str
    agent_id: int | None
    agent_status: str | None
    worker_id: int | None
    #: The name at the provider; None also if it was forgotten, or left out.
    worker_name: str | None
    provider_type: str
    #: What the page was given; None: it was erased. JSON text in CSV and Parquet.
    inputs: JsonValue
    #: What was handed in, with the names of uploaded `files`; None: nothing, or it was erased.
    outputs: JsonValue
    created_at: datetime
    #: When the unit was put on offer last.
    launched_at: datetime | None
    #: When the worker took it.
    taken_at: datetime | None
    #: When the task's code began for the worker.
    started_at: datetime | None
    submitted_at: datetime | None
    #: From `started_at` to `submitted_at`.
    work_seconds: float | None
    #: When the last verdict was given; `unit_status` says which.
    reviewed_at: datetime | None
    review_note: str | None
    #: What the unit is worth.
    pay_cents: int
    #: What was given beside the pay, by the verdict and apart from it.
    bonus_cents: int
    #: What the worker is to be paid by what was decided so far: the pay, if a verdict grants it, and the bonus.
    owed_cents: int
    #: Positions in the log of the events that made the row.
    seqs: tuple[int, ...]


def unit_records(
    as_of: AsOf, run: TaskRunId, *, names: bool = True, units: Iterable[UnitRow] | None = None
) -> Iterator[UnitRecord]:
    """The units of a run, the oldest first, one after the other.

    Args:
        moment: when.
        run: the run.
        names: whether the workers' names at the provider are told.
        units: some of them; all, unless given.

    Raises:
        UnknownEntityError: there is no such run.
    """
    db = as_of.db
    task_name = db.get_task(db.get_task_run(run).task_id).task_name
    for unit in db.find_units(task_run_id=run) if units is None else units:
        yield _record(as_of, db, task_name, unit, names=names)


def _record(as_of: AsOf, db: MephistoDB, task_name: str, unit: UnitRow, *, names: bool) -> UnitRecord:
    run = unit.task_run_id
    agent = None if unit.agent_id is None else db.get_agent(unit.agent_id)
    worker = None if agent is None else db.get_worker(agent.worker_id)
    # A unit that is done again has no verdict, whatever was said of the work before.
    reviewed = unit.status in _REVIEWED
    review = next(reversed(db.find_unit_reviews(unit_id=unit.unit_id)), None) if reviewed else None
    events = _events(as_of, unit, agent)
    started, submitted = _last(events, AgentStarted), _last(events, AgentSubmitted)
    bonuses = db.find_agent_bonuses(agent_id=agent.agent_id) if agent else []
    bonus = sum(one.bonus_cents for one in bonuses)
    return UnitRecord(
        task_run_id=run,
        task_name=task_name,
        assignment_id=unit.assignment_id,
        assignment_number=db.get_assignment(unit.assignment_id).number,
        unit_id=unit.unit_id,
        unit_index=unit.unit_index,
        unit_status=unit.status,
        agent_id=agent.agent_id if agent else None,
        agent_status=agent.status if agent else None,
        worker_id=worker.worker_id if worker else None,
        worker_name=worker.worker_name if worker and names else None,
        provider_type=unit.provider_type,
        inputs=db.get_inputs(unit),
        outputs=db.get_outputs(agent) if agent else None,
        created_at=_time(next(one for one in events if isinstance(one.envelope.event, UnitCreated)).envelope.at),
        launched_at=_last(events, UnitLaunched, UnitReleased),
        taken_at=_last(events, AgentAccepted),
        started_at=started,
        submitted_at=submitted,
        work_seconds=(submitted - started).total_seconds() if started and submitted else None,
        reviewed_at=_last(events, UnitAccepted, UnitSoftRejected, UnitRejected) if reviewed else None,
        review_note=review.review_note if review else None,
        pay_cents=unit.pay_cents,
        bonus_cents=bonus,
        owed_cents=bonus + (unit.pay_cents if unit.status in _PAID else 0),
        seqs=tuple(sorted(recorded.seq for recorded in events)),
    )


def _events(as_of: AsOf, unit: UnitRow, agent: AgentRow | None) -> list[RecordedEvent]:
    """The events behind a row: of the assignment, of the unit, and of the agent that has it."""
    run = unit.task_run_id
    return [
        *as_of.stream(streams.assignment(run, unit.assignment_id)),
        *as_of.stream(streams.unit(run, unit.unit_id)),
        *(as_of.stream(streams.agent(run, agent.agent_id)) if agent else ()),
    ]


def _last(events: Sequence[RecordedEvent], *kinds: type[Event]) -> datetime | None:
    """When the last event of some kinds happened."""
    at = max((one.envelope.at for one in events if isinstance(one.envelope.event, kinds)), default=None)
    return None if at is None else _time(at)


def _time(at: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at)
