"""Lists work that waits for a reviewer: unreviewed work, late work, and objections to rejections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from ....core.entity_ref import EntityRef
from ....events.ids import AgentId, TaskRunId
from ....projections.queries.appeals import OpenAppeal, open_appeals
from ....projections.queries.late_work import LateWork, late_work
from ....projections.queries.money.hourly_pay import top_ups
from ....projections.queries.review_queue import ReviewFilter, review_queue
from ....projections.queries.unit_records import UnitRecord, unit_records
from ...log.sqlite.as_of import open_as_of
from .output import console, print_json
from .work_lines import lines_of_appeal, lines_of_late_work, lines_of_work


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


def read_unreviewed(database: Path, run: EntityRef, selected: ReviewFilter, *, names: bool) -> UnreviewedWork:
    """Return the unreviewed work of a run that a filter selects, with the work itself.

    Raises:
        UnknownEntityError: there is no such run.
    """
    with open_as_of(database) as moment:
        number = TaskRunId(run.number)
        units = map(moment.db.get_unit, review_queue(moment, number, selected).units)
        records = tuple(unit_records(moment, number, units=units, names=names))
        return UnreviewedWork(str(run), records, top_ups(moment, number))


def show_unreviewed(work: UnreviewedWork, *, as_json: bool) -> None:
    """Print unreviewed work."""
    if as_json:
        print_json(work)
        return
    out = console()
    if not work.units:
        out.print(f"{work.run} has no unreviewed work")
    for unit in work.units:
        out.print("\n".join(lines_of_work(unit, work.top_ups)))


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


def show_appeals(database: Path, run: EntityRef, *, as_json: bool) -> None:
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
