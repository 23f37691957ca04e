"""Lists work that waits for a reviewer: unreviewed work, late work, and objections to rejections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ....core.entity_ref import EntityRef
from ....core.lifecycles.unit import UnitStatus
from ....events.ids import AgentId, TaskRunId, UnitId
from ....projections.mephisto_db.rows import UnitRow
from ....projections.queries.appeals import OpenAppeal, open_appeals
from ....projections.queries.late_work import LateWork, late_work
from ....projections.queries.money.hourly_pay import top_ups
from ....projections.queries.review_queue import ReviewFilter, matching_units
from ....projections.queries.unit_pages import in_pages
from ....projections.queries.unit_records import UnitRecord, unit_records
from ...log.sqlite.as_of import LogAsOf, open_as_of
from .output import PRINTED_TOGETHER, console, print_json, print_json_list, print_markup
from .work_lines import lines_of_appeal, lines_of_late_work, lines_of_work

#: Pieces of work that are read together while a reviewer is asked.
ASKED_TOGETHER = 20


class UnreviewedWork(msgspec.Struct, frozen=True):
    """The submitted units of a run that nobody has reviewed."""

    run: str
    units: tuple[UnitRecord, ...]
    #: Bonuses in cents that lift work to the run's minimum hourly pay, by agent.
    top_ups: Mapping[AgentId, int]


class UnacceptedLateWork(msgspec.Struct, frozen=True):
    """The late work of a run that nobody has accepted."""

    run: str
    late: tuple[LateWork, ...]


class UnansweredAppeals(msgspec.Struct, frozen=True):
    """The objections to rejections of a run that wait for an answer."""

    run: str
    appeals: tuple[OpenAppeal, ...]


def unreviewed_units(database: Path, run: EntityRef, selected: ReviewFilter) -> list[UnitId]:
    """Return the unreviewed units of a run that a filter selects, in its order, without reading the work.

    Raises:
        UnknownEntityError: there is no such run.
    """
    with open_as_of(database) as moment:
        return list(matching_units(moment, TaskRunId(run.number), selected))


def read_unreviewed(database: Path, run: EntityRef, units: Sequence[UnitId], *, names: bool) -> Iterator[UnitRecord]:
    """Yield units in their order, without those that have been reviewed meanwhile.

    Some are read together when the first of them is wanted, and the log is open only so long.
    """
    for some in in_pages(units, ASKED_TOGETHER):
        with open_as_of(database) as moment:
            rows = {row.unit_id: row for row in moment.db.find_among(UnitRow, "unit_id", some)}
            waiting = [rows[unit] for unit in some if rows[unit].status == UnitStatus.COMPLETED.value]
            records = tuple(unit_records(moment, TaskRunId(run.number), units=waiting, names=names))
        yield from records


def show_unreviewed(database: Path, run: EntityRef, *, selected: ReviewFilter, names: bool, as_json: bool) -> None:
    """Print the unreviewed work of a run that a filter selects, the first of it at once.

    Raises:
        UnknownEntityError: there is no such run.
    """
    number, is_any = TaskRunId(run.number), False
    with open_as_of(database) as moment:
        proposed = top_ups(moment, number)
        records = unit_records(moment, number, units=_selected(moment, number, selected), names=names)
        if as_json:
            print_json_list({"run": str(run)}, "units", records, {"top_ups": proposed})
            return
        for some in in_pages(records, PRINTED_TOGETHER):
            print_markup(line for unit in some for line in lines_of_work(unit, proposed))
            is_any = True
    if not is_any:
        console().print(f"{run} has no unreviewed work")


def _selected(moment: LogAsOf, run: TaskRunId, selected: ReviewFilter) -> Iterator[UnitRow]:
    """Yield the units that a filter selects, in its order."""
    for some in in_pages(matching_units(moment, run, selected)):
        rows = {row.unit_id: row for row in moment.db.find_among(UnitRow, "unit_id", some)}
        yield from (rows[unit] for unit in some)


def show_late(database: Path, run: EntityRef, *, names: bool, as_json: bool) -> None:
    """Print the late work of a run that nobody has accepted.

    Raises:
        UnknownEntityError: there is no such run.
    """
    with open_as_of(database) as moment:
        work = UnacceptedLateWork(str(run), tuple(late_work(moment, TaskRunId(run.number), names=names)))
    if as_json:
        print_json(work)
        return
    out = console()
    if not work.late:
        out.print(f"{work.run} has no late work")
    for one in work.late:
        out.print("\n".join(lines_of_late_work(one)))


def show_appeals(database: Path, run: EntityRef, *, names: bool, as_json: bool) -> None:  # noqa: ARG001 - none is shown
    """Print the objections of a run that wait for an answer.

    Raises:
        UnknownEntityError: there is no such run.
    """
    with open_as_of(database) as moment:
        work = UnansweredAppeals(str(run), tuple(open_appeals(moment, TaskRunId(run.number))))
    if as_json:
        print_json(work)
        return
    out = console()
    if not work.appeals:
        out.print(f"{work.run} has no unanswered objections")
    for one in work.appeals:
        out.print("\n".join(lines_of_appeal(one)))
