"""Selects the work of a run that reviewers look at, by filters, and in an order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import TypeVar

import msgspec

from ...core.entity_ref import WORKER, find_entity
from ...core.errors import ConfigError
from ...core.lifecycles.unit import UnitStatus
from ...core.suggestions import did_you_mean
from ...events.ids import GOLD_UNIT_INDEX, SCREENING_UNIT_INDEX, AgentId, TaskRunId, UnitId, WorkerId
from ..mephisto_db.queries import JsonValue
from ..mephisto_db.rows import UnitRow
from .as_of import AsOf
from .entity_ref import ViewLookup

E = TypeVar("E", bound=Enum)

_MATCHING = """
    SELECT units.unit_id, agent_id, units.worker_id, unit_index, pay_cents FROM units JOIN agents USING (agent_id)
    WHERE units.task_run_id = :run AND units.status = :status
        AND (:worker IS NULL OR units.worker_id = :worker)
        AND (:kind IS NULL
            OR :kind = CASE unit_index WHEN :screening THEN 'screening' WHEN :gold THEN 'gold' ELSE 'work' END)
        AND (:opinions IS NULL OR :opinions = (
            SELECT CASE count(*) WHEN 0 THEN 'none' WHEN 1 THEN 'one' ELSE 'differ' END FROM agent_opinions
            WHERE agent_opinions.agent_id = units.agent_id
        ))
        AND (:reviewer IS NULL OR NOT EXISTS (
            SELECT 1 FROM agent_opinions WHERE agent_opinions.agent_id = units.agent_id AND reviewer = :reviewer
        ))
        AND (:min_seconds IS NULL OR task_end - task_start >= :min_seconds)
        AND (:max_seconds IS NULL OR task_end - task_start <= :max_seconds)
        AND (:since IS NULL OR task_end >= :since)
        AND (:until IS NULL OR task_end < :until)
    ORDER BY """
#: The payloads of each unit in which text is looked for. They are read at once, and not one by one for each unit.
_TEXTS = """
    SELECT unit_id, body FROM units JOIN assignments USING (assignment_id) JOIN payloads ON sha256 = data_sha256
    WHERE units.task_run_id = :run AND units.status = :status
    UNION ALL
    SELECT units.unit_id, body FROM units JOIN agent_payloads USING (agent_id) JOIN payloads USING (sha256)
    WHERE units.task_run_id = :run AND units.status = :status
"""
_SAME_ITEM = """
    SELECT agent_id FROM units WHERE assignment_id = ? AND unit_id <> ? AND agent_id IS NOT NULL ORDER BY unit_id
"""
_NOTES = """
    SELECT review_note FROM unit_review JOIN units USING (unit_id)
    WHERE task_run_id = ? AND review_note IS NOT NULL GROUP BY review_note ORDER BY count(*) DESC, review_note LIMIT ?
"""
#: Notes that are offered again.
_MAX_NOTES = 12


class UnitKind(Enum):
    """The purpose of a unit."""

    WORK = "work"
    SCREENING = "screening"
    GOLD = "gold"


class OpinionCount(Enum):
    """The number of reviewers who have said what they think of work without deciding on it."""

    NONE = "none"
    #: It waits for a second reviewer.
    ONE = "one"
    #: Two reviewers differ.
    DIFFER = "differ"


class ReviewOrder(Enum):
    """The order in which work is reviewed."""

    OLDEST = "oldest"
    NEWEST = "newest"
    FASTEST = "fastest"
    SLOWEST = "slowest"
    WORKER = "worker"
    ASSIGNMENT = "assignment"


_ORDER_BY: Mapping[ReviewOrder, str] = {
    ReviewOrder.OLDEST: "units.unit_id",
    ReviewOrder.NEWEST: "units.unit_id DESC",
    ReviewOrder.FASTEST: "task_end - task_start, units.unit_id",
    ReviewOrder.SLOWEST: "task_end - task_start DESC, units.unit_id",
    ReviewOrder.WORKER: "units.worker_id, units.unit_id",
    ReviewOrder.ASSIGNMENT: "units.assignment_id, units.unit_id",
}


class ReviewFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The work to select; a field that is None selects everything."""

    status: UnitStatus = UnitStatus.COMPLETED
    #: The id of a worker, or the name at the provider.
    worker: str | None = None
    kind: UnitKind | None = None
    #: Work on which there are opinions is not selected unless it is asked for.
    opinions: OpinionCount = OpinionCount.NONE
    #: In the input data or in the submission, in any case of letters.
    text: str | None = None
    #: Bounds of the time that the work took.
    min_seconds: float | None = None
    max_seconds: float | None = None
    #: First and last day of submission, in UTC.
    since: date | None = None
    until: date | None = None
    order: ReviewOrder = ReviewOrder.OLDEST


class ReviewQueue(msgspec.Struct, frozen=True, kw_only=True):
    """The selected units, and counts of them."""

    units: tuple[UnitId, ...]
    #: The agent of each unit.
    agents: tuple[AgentId, ...]
    #: What their pay adds up to.
    pay_cents: int
    #: Units of each worker, most first.
    by_worker: tuple[tuple[WorkerId, int], ...]
    by_kind: tuple[tuple[UnitKind, int], ...]


class OtherAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The submission of another worker for the same item."""

    agent_id: int
    worker_id: int
    status: str
    outputs: JsonValue


def read_filter(fields: Mapping[str, str]) -> ReviewFilter:
    """Return the filter that texts describe, for example those of a form or of a command line.

    Args:
        fields: the text of each field; a field without text, or that is missing, selects everything.

    Raises:
        ConfigError: there is no such field, or its text makes no sense.
    """
    given = {name: text.strip() for name, text in fields.items() if text.strip()}
    for name in given:
        if name not in ReviewFilter.__struct_fields__:
            hint = did_you_mean(name, list(ReviewFilter.__struct_fields__))
            raise ConfigError(f"work cannot be selected by {name!r}", key=name, hint=hint)
    return ReviewFilter(
        status=_member(UnitStatus, "status", given.get("status", UnitStatus.COMPLETED.value)),
        worker=given.get("worker"),
        kind=_member(UnitKind, "kind", given["kind"]) if "kind" in given else None,
        opinions=_member(OpinionCount, "opinions", given.get("opinions", OpinionCount.NONE.value)),
        text=given.get("text"),
        min_seconds=_seconds("min_seconds", given.get("min_seconds")),
        max_seconds=_seconds("max_seconds", given.get("max_seconds")),
        since=_day("since", given.get("since")),
        until=_day("until", given.get("until")),
        order=_member(ReviewOrder, "order", given.get("order", ReviewOrder.OLDEST.value)),
    )


def fields_of(chosen: ReviewFilter) -> dict[str, str]:
    """Return the texts that `read_filter` reads as this filter, without those that select everything."""
    texts = {name: _text(getattr(chosen, name)) for name in ReviewFilter.__struct_fields__}
    usual = ReviewFilter()
    return {name: text for name, text in texts.items() if text != _text(getattr(usual, name))}


def review_queue(as_of: AsOf, run: TaskRunId, chosen: ReviewFilter, reviewer: str | None = None) -> ReviewQueue:
    """Return the units of a run that a filter selects, in its order.

    Args:
        as_of: the log.
        run: the run.
        chosen: the filter.
        reviewer: leave out work on which this author waits for somebody else's opinion; None: leave out nothing.

    Raises:
        UnknownEntityError: there is no such run or worker.
        AmbiguousReferenceError: the filter may mean several workers.
    """
    rows = list(_matching(as_of, run, chosen, reviewer))
    kinds = Counter(_kind_of(index) for *_, index, _ in rows)
    return ReviewQueue(
        units=tuple(UnitId(unit) for unit, *_ in rows),
        agents=tuple(AgentId(agent) for _, agent, *_ in rows),
        pay_cents=sum(pay for *_, pay in rows),
        by_worker=tuple(Counter(WorkerId(worker) for _, _, worker, *_ in rows).most_common()),
        by_kind=tuple((kind, kinds[kind]) for kind in UnitKind if kinds[kind]),
    )


def matching_units(as_of: AsOf, run: TaskRunId, chosen: ReviewFilter) -> Iterator[UnitId]:
    """Yield the units that `review_queue` returns, without holding them all. Raises the same errors."""
    for unit, *_ in _matching(as_of, run, chosen):
        yield UnitId(unit)


def _matching(
    as_of: AsOf, run: TaskRunId, chosen: ReviewFilter, reviewer: str | None = None
) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield the id, agent, worker, index and pay of the selected units, in order."""
    as_of.db.get_task_run(run)
    lookup = ViewLookup(as_of.db)
    parameters: dict[str, int | float | str | None] = {
        "run": run,
        "status": chosen.status.value,
        "worker": None if chosen.worker is None else find_entity(lookup, chosen.worker, (WORKER,)).number,
        "kind": None if chosen.kind is None else chosen.kind.value,
        "opinions": chosen.opinions.value if chosen.status is UnitStatus.COMPLETED else None,
        "reviewer": reviewer if chosen.opinions is OpinionCount.ONE else None,
        "screening": SCREENING_UNIT_INDEX,
        "gold": GOLD_UNIT_INDEX,
        "min_seconds": chosen.min_seconds,
        "max_seconds": chosen.max_seconds,
        "since": None if chosen.since is None else _midnight(chosen.since),
        "until": None if chosen.until is None else _midnight(chosen.until + timedelta(days=1)),
    }
    rows = as_of.db.execute(_MATCHING + _ORDER_BY[chosen.order], parameters)
    if chosen.text is None:
        yield from rows
        return
    selected = rows.fetchall()
    found = _units_with_text(as_of, run, chosen.status, [unit for unit, *_ in selected], chosen.text.casefold())
    yield from (row for row in selected if row[0] in found)


def other_answers(as_of: AsOf, unit: UnitRow) -> tuple[OtherAnswer, ...]:
    """Return what others submitted for the same item, in the order of their units."""
    agents = [
        as_of.db.get_agent(agent) for (agent,) in as_of.db.execute(_SAME_ITEM, (unit.assignment_id, unit.unit_id))
    ]
    return tuple(
        OtherAnswer(
            agent_id=agent.agent_id,
            worker_id=agent.worker_id,
            status=agent.status,
            outputs=as_of.db.get_outputs(agent),
        )
        for agent in agents
        if agent.task_end is not None
    )


def usual_notes(as_of: AsOf, run: TaskRunId) -> tuple[str, ...]:
    """Return the notes of earlier verdicts in a run, the most frequent first."""
    return tuple(note for (note,) in as_of.db.execute(_NOTES, (run, _MAX_NOTES)))


def _units_with_text(
    as_of: AsOf, run: TaskRunId, status: UnitStatus, units: Sequence[UnitId], wanted: str
) -> Collection[UnitId]:
    """Return those units, and perhaps others, whose data or submission contains a text."""
    if as_of.db.has_payloads:
        bodies = as_of.db.execute(_TEXTS, {"run": run, "status": status.value})
        return {unit for unit, body in bodies if wanted in body.decode(errors="replace").casefold()}
    return {unit for unit in units if _has_text(as_of, unit, wanted)}


def _has_text(as_of: AsOf, unit_id: UnitId, wanted: str) -> bool:
    unit = as_of.db.get_unit(unit_id)
    refs = [as_of.db.get_assignment(unit.assignment_id).data]
    if unit.agent_id is not None:
        refs += [one.ref for one in as_of.db.find_agent_payloads(agent_id=unit.agent_id)]
    return any(wanted in (as_of.db.read_text(ref) or "").casefold() for ref in refs)


def _kind_of(unit_index: int) -> UnitKind:
    return {SCREENING_UNIT_INDEX: UnitKind.SCREENING, GOLD_UNIT_INDEX: UnitKind.GOLD}.get(unit_index, UnitKind.WORK)


def _text(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    return "" if value is None else str(value)


def _member(kind: type[E], name: str, text: str) -> E:
    try:
        return kind(text)
    except ValueError:
        known = [str(member.value) for member in kind]
        hint = did_you_mean(text, known) or f"Known are: {', '.join(known)}"
        raise ConfigError(f"{name} is {text!r}", key=name, hint=hint) from None


def _seconds(name: str, text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        raise ConfigError(f"{name} is {text!r}, which is not a number of seconds", key=name) from None


def _day(name: str, text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{name} is {text!r}, which is not a day", key=name, hint="Write 2026-02-01") from None


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
