"""Exports a run as a table with one row per unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ...core.lifecycles.agent import AgentStatus
from ...core.lifecycles.unit import UnitStatus
from ...events import streams
from ...events.agent import AgentAccepted, AgentStarted, AgentSubmitted, AgentSubmittedLate
from ...events.base import Event
from ...events.envelope import RecordedEvent
from ...events.ids import (
    COMPENSATION_UNIT_INDEX,
    GOLD_UNIT_INDEX,
    SCREENING_UNIT_INDEX,
    AgentId,
    TaskRunId,
    UnitId,
    WorkerId,
)
from ...events.unit import (
    UnitAccepted,
    UnitCreated,
    UnitLateAccepted,
    UnitLaunched,
    UnitRejected,
    UnitReleased,
    UnitSoftRejected,
)
from ..mephisto_db.queries import JsonValue
from ..mephisto_db.reader import MephistoDB
from ..mephisto_db.rows import AgentBonusRow, AgentRow, UnitReviewRow, UnitRow, WorkerRow
from .as_of import AsOf
from .evaluations import Evaluations
from .unit_pages import UnitPage, unit_pages, units_of_run

_EPOCH = datetime.fromtimestamp(0, UTC)
#: Statuses of units that are paid.
_PAID = frozenset({UnitStatus.ACCEPTED.value, UnitStatus.SOFT_REJECTED.value})
_VERDICT_OF = {
    UnitStatus.ACCEPTED.value: AgentStatus.APPROVED.value,
    UnitStatus.SOFT_REJECTED.value: AgentStatus.SOFT_REJECTED.value,
    UnitStatus.REJECTED.value: AgentStatus.REJECTED.value,
}
_REVIEWED = frozenset(_VERDICT_OF)
_VERDICTS = (UnitAccepted, UnitLateAccepted, UnitSoftRejected, UnitRejected)
#: Objects within objects that are flattened.
MAX_DEPTH = 4
#: Characters of the shortest id that is recognized among answers.
MIN_OWN_ID_CHARACTERS = 6
#: Keys of outputs that are lists of their own.
LISTS = frozenset({"files", "filesByFields", "messages", "requests"})
#: Indexes of units that evaluate their workers.
_EVALUATING = frozenset({SCREENING_UNIT_INDEX, GOLD_UNIT_INDEX})
#: Kinds of units by their index; the others are ordinary work.
_KINDS = {SCREENING_UNIT_INDEX: "screening", GOLD_UNIT_INDEX: "gold", COMPENSATION_UNIT_INDEX: "compensation"}


class UnitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of a run. The fields are the columns of every format, in this order; new ones are added at the end.

    Times are UTC. Fields about an agent are None if the unit is not assigned.
    """

    task_run_id: int
    task_name: str
    assignment_id: int
    #: Index of the assignment in the run's data, from 0.
    assignment_number: int
    unit_id: int
    #: Index in the assignment from 0; -1 for screening, -2 for gold, -3 for compensation.
    unit_index: int
    unit_status: str
    agent_id: int | None
    agent_status: str | None
    worker_id: int | None
    #: The name at the provider; None also if it was erased or omitted.
    worker_name: str | None
    provider_type: str
    #: The input data; None if it was erased. JSON text in CSV and Parquet.
    inputs: JsonValue
    #: The submission, with the names of uploaded `files`; None if there is none or it was erased.
    outputs: JsonValue
    created_at: datetime
    #: Time at which the unit was last offered.
    launched_at: datetime | None
    #: Time at which the worker accepted it.
    taken_at: datetime | None
    #: Time at which the task code started for the worker.
    started_at: datetime | None
    submitted_at: datetime | None
    #: From `started_at` to `submitted_at`.
    work_seconds: float | None
    #: Time of the last verdict, which is in `unit_status`.
    reviewed_at: datetime | None
    review_note: str | None
    #: The pay for the unit.
    pay_cents: int
    #: Bonuses on top of the pay, part of the verdict or granted separately.
    bonus_cents: int
    #: The amount owed by the decisions so far: the pay, if the verdict grants it, and the bonuses.
    owed_cents: int
    #: Positions of the events behind the row.
    seqs: tuple[int, ...]
    #: `work`, `screening`, `gold` or `compensation`.
    kind: str
    #: What the launch script said about a unit that evaluates its worker, such as a gold unit; None for other units,
    #: and if it has not answered.
    evaluation_passed: bool | None
    #: The last verdict on the work: `approved`, `soft_rejected` or `rejected`.
    verdict: str | None
    #: Who gave it, as the log has it.
    verdict_by: str | None
    #: Names of the uploaded files of the submission, as they are stored; in an export with `--files` the paths of the
    #: copies.
    files: tuple[str, ...]
    #: What is wrong with the answers, as far as the form says; empty if nothing is known to be.
    problems: tuple[str, ...]
    #: In an export with `--labels` what the answers of all workers to the item add up to: `label`, `confidence`,
    #: `answers`, `posterior` and `interval`, by question and method. None otherwise.
    labels: JsonValue = None


class UnitValues(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a unit that get columns of their own: a part of its `UnitRecord`, which costs less to read."""

    assignment_id: int
    unit_index: int
    inputs: JsonValue
    outputs: JsonValue
    labels: JsonValue = None


def unit_records(
    as_of: AsOf, run: TaskRunId, *, names: bool = True, units: Iterable[UnitRow] | None = None
) -> Iterator[UnitRecord]:
    """Yield the units of a run, oldest first. Some at a time are in memory.

    Args:
        as_of: the log as of the position.
        run: the run.
        names: whether to include the workers' names at the provider.
        units: the units to include, in this order; all by default.

    Raises:
        UnknownEntityError: there is no such run.
    """
    records = _Records(as_of, run, names=names)
    for page in unit_pages(as_of.db, units_of_run(as_of.db, run) if units is None else units):
        yield from records.of(page)


def unit_values(as_of: AsOf, run: TaskRunId) -> Iterator[UnitValues]:
    """Yield the inputs and outputs of the units of a run, in the order of `unit_records`.

    Raises:
        UnknownEntityError: there is no such run.
    """
    db = as_of.db
    db.get_task_run(run)
    for page in unit_pages(db, units_of_run(db, run)):
        for unit in page.units:
            agent = page.agent_of(unit)
            yield UnitValues(
                assignment_id=unit.assignment_id,
                unit_index=unit.unit_index,
                inputs=page.inputs_of(unit),
                outputs=None if agent is None else page.outputs_of(agent),
            )


class _Records:
    """Makes the records of a run's units, page by page."""

    def __init__(self, as_of: AsOf, run: TaskRunId, *, names: bool) -> None:
        db = as_of.db
        self._as_of = as_of
        self._run = run
        self._names = names
        self._task_name = db.get_task(db.get_task_run(run).task_id).task_name
        self._evaluations = Evaluations(as_of, run)

    def of(self, page: UnitPage) -> Iterator[UnitRecord]:
        """Yield the records of the units of a page."""
        db = self._as_of.db
        workers = db.find_among(WorkerRow, "worker_id", {agent.worker_id for agent in page.agents.values()})
        names = {worker.worker_id: worker.worker_name for worker in workers} if self._names else {}
        notes = _notes(db, [unit for unit in page.units if unit.status in _REVIEWED])
        bonuses = Counter[AgentId]()
        for bonus in db.find_among(AgentBonusRow, "agent_id", page.agents):
            bonuses[bonus.agent_id] += bonus.bonus_cents
        events = self._as_of.streams(
            [
                *(streams.assignment(self._run, one) for one in {unit.assignment_id for unit in page.units}),
                *(streams.unit(self._run, unit.unit_id) for unit in page.units),
                *(streams.agent(self._run, agent) for agent in page.agents),
            ]
        )
        for unit in page.units:
            agent = page.agent_of(unit)
            found = [
                *events[streams.assignment(self._run, unit.assignment_id)],
                *events[streams.unit(self._run, unit.unit_id)],
                *(events[streams.agent(self._run, agent.agent_id)] if agent else ()),
            ]
            yield self._record(
                page,
                unit,
                agent,
                found,
                worker_name=names.get(agent.worker_id) if agent else None,
                review_note=notes.get((unit.unit_id, unit.worker_id)),
                bonus_cents=bonuses[agent.agent_id] if agent else 0,
            )

    def _record(
        self,
        page: UnitPage,
        unit: UnitRow,
        agent: AgentRow | None,
        events: Sequence[RecordedEvent],
        *,
        worker_name: str | None,
        review_note: str | None,
        bonus_cents: int,
    ) -> UnitRecord:
        # A reopened unit has no verdict, whatever the verdict on the earlier work was.
        reviewed = unit.status in _REVIEWED
        times = _last_times(events)
        started, submitted = times.get(AgentStarted), times.get(AgentSubmitted)
        if reviewed and submitted is None:
            submitted = times.get(AgentSubmittedLate)
        outputs = page.outputs_of(agent) if agent else None
        decided = [one for one in events if isinstance(one.envelope.event, _VERDICTS)] if reviewed else []
        evaluates = unit.unit_index in _EVALUATING
        return UnitRecord(
            task_run_id=unit.task_run_id,
            task_name=self._task_name,
            assignment_id=unit.assignment_id,
            assignment_number=page.assignment_of(unit).number,
            unit_id=unit.unit_id,
            unit_index=unit.unit_index,
            unit_status=unit.status,
            agent_id=agent.agent_id if agent else None,
            agent_status=agent.status if agent else None,
            worker_id=agent.worker_id if agent else None,
            worker_name=worker_name,
            provider_type=unit.provider_type,
            inputs=page.inputs_of(unit),
            outputs=outputs,
            created_at=time_of(next(one for one in events if isinstance(one.envelope.event, UnitCreated)).envelope.at),
            launched_at=_time(max(times.get(UnitLaunched, 0), times.get(UnitReleased, 0)) or None),
            taken_at=_time(times.get(AgentAccepted)),
            started_at=_time(started),
            submitted_at=_time(submitted),
            work_seconds=(submitted - started) / 1_000_000 if started and submitted else None,
            reviewed_at=_time(max((one.envelope.at for one in decided), default=None)),
            review_note=review_note,
            pay_cents=unit.pay_cents,
            bonus_cents=bonus_cents,
            owed_cents=bonus_cents + (unit.pay_cents if unit.status in _PAID else 0),
            seqs=tuple(sorted(recorded.seq for recorded in events)),
            kind=_KINDS.get(unit.unit_index, "work"),
            evaluation_passed=self._evaluations.passed(unit.unit_id, unit.worker_id) if evaluates else None,
            verdict=_VERDICT_OF.get(unit.status),
            verdict_by=decided[-1].envelope.actor if decided else None,
            files=_files_of(outputs),
            problems=_problems_of(events),
        )


def _notes(db: MephistoDB, reviewed: Sequence[UnitRow]) -> dict[tuple[UnitId, WorkerId | None], str | None]:
    """Return the note of the last verdict on the work of each unit by its worker."""
    reviews = db.find_among(UnitReviewRow, "unit_id", {unit.unit_id for unit in reviewed})
    notes: dict[tuple[UnitId, WorkerId | None], str | None] = {}
    for review in reviews:
        notes[review.unit_id, review.worker_id] = notes[review.unit_id, None] = review.review_note
    return notes


def _files_of(outputs: JsonValue) -> tuple[str, ...]:
    """Return the names of the files in outputs, wherever they stand in those of the kind of task."""
    if not isinstance(outputs, dict):
        return ()
    final = outputs.get("final_submission")
    names = (final if isinstance(final, dict) else outputs).get("files")
    details = (final if isinstance(final, dict) else outputs).get("filesByFields")
    if not isinstance(names, list) or not isinstance(details, dict):
        return ()
    return tuple(str(name) for name in names)


def _problems_of(events: Sequence[RecordedEvent]) -> tuple[str, ...]:
    """Return what is wrong with the first submission, which is the one that counts."""
    submissions = (one.envelope.event for one in events)
    return next((one.problems for one in submissions if isinstance(one, AgentSubmitted | AgentSubmittedLate)), ())


def _last_times(events: Sequence[RecordedEvent]) -> dict[type[Event], int]:
    """Return the time of the last event of each type, in microseconds."""
    times: dict[type[Event], int] = {}
    for one in events:
        kind, at = type(one.envelope.event), one.envelope.at
        times[kind] = max(at, times.get(kind, at))
    return times


def _time(at: int | None) -> datetime | None:
    return None if at is None else time_of(at)


def time_of(at: int) -> datetime:
    """Convert microseconds since the epoch to a UTC time."""
    return _EPOCH + timedelta(microseconds=at)


def leaves(value: JsonValue, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    """Yield each value in nested objects with the keys that lead to it.

    Args:
        value: the outermost value; if it is no object, and no keys lead to it, nothing is yielded.
        path: the keys that lead to it.
    """
    if isinstance(value, dict) and value and len(path) < MAX_DEPTH:
        for key, part in value.items():
            if key not in LISTS:
                yield from leaves(part, (*path, key))
    elif path:
        yield path, value


def own_ids(as_of: AsOf, agent: AgentRow) -> frozenset[str]:
    """Return the ids that a page may have put into an agent's answers: those of the agent and of its worker.

    A page fills them in with `${mephisto_agent_id}` and `${provider_worker_id}`. They answer no question. Very short
    names are left out: they may be answers by chance.
    """
    accepted = (one.envelope.event for one in as_of.stream(streams.agent(agent.task_run_id, agent.agent_id)))
    tokens = [event.token for event in accepted if isinstance(event, AgentAccepted)]
    name = as_of.db.get_worker(agent.worker_id).worker_name
    return frozenset(one for one in (*tokens, name) if one is not None and len(one) >= MIN_OWN_ID_CHARACTERS)
