"""Creates a log from a Mephisto database, and compares the two."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from ...core.abstractions.agent import InitializationData
from ...core.errors import UnusableLogError
from ...core.payloads import RUNS_FOLDER
from ...core.ports import AppendRequest, Ids
from ...events.ids import TaskRunId, WorkerId
from ...projections.queries.money.pay_ledger import IMPORTER
from ...projections.registry import PROJECTIONS
from ..log.anchor import anchor_path
from ..log.sqlite.as_of import open_as_of
from ..log.sqlite.file_identity import wal_paths
from ..log.sqlite.log import SqliteLog
from ..log.sqlite.writer_lock import lock_path
from ..private_files import sync_folder
from .comparing import Comparison, compare_content, left_out
from .directory import directory_facts, run_facts
from .engagements import Span, engagement_facts, has_ended
from .facts import Fact, Sealer
from .source import (
    OnboardingRow,
    RunRow,
    Source,
    SourceAgent,
    SourceAssignment,
    SourceUnit,
    microseconds,
)
from .stored_work import StoredWork
from .work import agent_facts, assignment_fact, onboarding_fact, unit_facts
from .works import Works

#: The number of facts written in one transaction.
_BATCH = 1000
#: Suffix of a log that is not complete.
_DRAFT = ".importing"
_ASSIGNMENT_FILE = "assign_data.json"
#: Tables whose rows are compared in total, and by status.
_COUNTED = ("tasks", "requesters", "qualifications", "workers", "granted_qualifications", "assignments")
_BY_STATUS = ("units", "agents", "onboarding_agents")

T = TypeVar("T")


class ImportReport(msgspec.Struct, frozen=True):
    """The result of an import."""

    events: int
    figures: tuple[Comparison, ...]
    #: What the source has and the log does not, in words.
    left_out: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """True if all figures are equal, and nothing was left out."""
        return not self.left_out and all(figure.agrees for figure in self.figures)


def import_database(source: Source, output: Path, ids: Ids) -> ImportReport:
    """Write a new log with the content of a Mephisto database.

    The log gets its name once it is complete: what an interrupted import leaves is no log, and the next one removes it.

    Args:
        source: the database.
        output: the log file; it must not exist.
        ids: the source of salts.

    Raises:
        UnusableLogError: the file exists or cannot be created.
        ConfigError: an amount of money in the source is invalid.
    """
    runs_dir, works = output.parent / RUNS_FOLDER, Works(source)
    for file in (output, anchor_path(output), *([runs_dir] if works.has_files else [])):
        if file.exists():
            raise UnusableLogError(f"{file} exists; an import creates a new log, so name another file")
    draft = output.with_name(f".{output.name}{_DRAFT}")
    draft_runs = output.with_name(f".{RUNS_FOLDER}{_DRAFT}")
    _remove(draft, draft_runs)
    try:
        events = _write(source, works, draft, ids)
        works.copy_files(draft_runs)
        figures = (*_compare(source, draft), *compare_content(source, works, draft, draft_runs))
        if draft_runs.exists():
            os.replace(draft_runs, runs_dir)
        os.replace(draft, output)
        if anchor_path(draft).exists():
            os.replace(anchor_path(draft), anchor_path(output))
        sync_folder(output.parent)
    finally:
        _remove(draft, draft_runs)
    return ImportReport(events, figures, tuple(left_out(source, works)))


def _remove(draft: Path, draft_runs: Path) -> None:
    """Remove an incomplete log, and copies of files."""
    shutil.rmtree(draft_runs, ignore_errors=True)
    for file in (draft, anchor_path(draft), lock_path(draft), *wal_paths(draft)):
        file.unlink(missing_ok=True)


def _write(source: Source, works: Works, output: Path, ids: Ids) -> int:
    """Write the log, and return the number of its events."""
    with SqliteLog.create_or_open(output, PROJECTIONS) as log:
        facts = sorted(_facts(source, works, Sealer(ids), log.pseudonym_key), key=lambda one: one.at)
        requests = (
            AppendRequest(
                command=f"import/{number}", actor=IMPORTER, at=one.at, events=one.events, payloads=one.payloads
            )
            for number, one in enumerate(facts)
        )
        while batch := list(islice(requests, _BATCH)):
            log.commit(batch)
        return log.head().seq


def _facts(source: Source, works: Works, sealer: Sealer, pseudonym_key: bytes) -> Iterator[Fact]:
    yield from directory_facts(source, sealer, pseudonym_key)
    by_run = _RowsByRun(source)
    for run in source.rows(RunRow):
        work = list(_work_of(run, by_run, source, works, sealer))
        first, live, end = run_facts(run, len(by_run.assignments[run.task_run_id]), _last(run, work))
        yield from (first, live, *work, end)


def _last(run: RunRow, work: Iterable[Fact]) -> int:
    return max((one.at for one in work), default=microseconds(run.creation_date))


class _RowsByRun:
    """The rows that belong to each run."""

    def __init__(self, source: Source) -> None:
        self.assignments = _grouped(source.rows(SourceAssignment), "task_run_id")
        self.units = _grouped(source.rows(SourceUnit), "assignment_id")
        self.agents = _grouped(source.rows(SourceAgent), "task_run_id")
        self.onboardings = _grouped(source.rows(OnboardingRow), "task_run_id")
        #: The last verdict on each unit.
        self.reviews = source.last_reviews()


def _grouped(rows: Iterable[T], key: str) -> Mapping[int, list[T]]:
    groups: defaultdict[int, list[T]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, key)].append(row)
    return groups


def _work_of(run: RunRow, rows: _RowsByRun, source: Source, works: Works, sealer: Sealer) -> Iterator[Fact]:
    number = run.task_run_id
    agents, onboardings = rows.agents[number], rows.onboardings[number]
    work_of = {agent.agent_id: works.of_agent(agent) for agent in agents}
    done_at = {agent.agent_id: _done_at(agent, work_of[agent.agent_id]) for agent in agents}
    of_unit = _grouped(agents, "unit_id")
    for position, assignment in enumerate(rows.assignments[number]):
        units = rows.units[assignment.assignment_id]
        yield assignment_fact(assignment, position, sealer.json(_inputs(source, assignment, len(units))))
        for unit in units:
            done = max((done_at[agent.agent_id] for agent in of_unit[unit.unit_id]), default=0)
            review = rows.reviews.get(unit.unit_id)
            yield from unit_facts(
                unit, of_unit[unit.unit_id], done, microseconds(review.creation_date) if review else 0
            )
    for agent in agents:
        work = work_of[agent.agent_id]
        yield from agent_facts(agent, work, rows.reviews.get(agent.unit_id), sealer, done_at[agent.agent_id])
    for onboarding in onboardings:
        yield onboarding_fact(onboarding, works.of_onboarding(onboarding), sealer)
    spans = _grouped((Span(agent, done_at[agent.agent_id] if has_ended(agent) else None) for agent in agents), "worker")
    passed = _grouped(onboardings, "worker_id")
    for worker in dict.fromkeys([*passed, *spans]):
        yield from engagement_facts(TaskRunId(number), WorkerId(worker), spans[worker], passed[worker])


def _done_at(agent: SourceAgent, work: StoredWork) -> int:
    """Return when an agent submitted or left, as far as known."""
    created = microseconds(agent.creation_date)
    return created if work.task_end is None else max(created, round(work.task_end * 1_000_000))


def _inputs(source: Source, assignment: SourceAssignment, units: int) -> InitializationData:
    """Return the input data; if the file is gone, empty data for each unit."""
    found = source.json(assignment.task_run_id, assignment.assignment_id, _ASSIGNMENT_FILE)
    if found is None:
        return InitializationData(shared={}, unit_data=({},) * units)
    return msgspec.convert(found, InitializationData)


def _compare(source: Source, output: Path) -> Iterator[Comparison]:
    """Yield each figure of the source with that of the log's view."""
    with open_as_of(output) as moment:
        for table in _COUNTED:
            count = f"SELECT count(*) FROM {table}"
            yield Comparison(table, source.execute(count)[0][0], moment.db.execute(count).fetchone()[0])
        completed = "SELECT count(*) FROM task_runs WHERE is_completed = ?"
        for is_completed in (True, False):
            name = "task_runs, completed" if is_completed else "task_runs, not completed"
            log = moment.db.execute(completed, (is_completed,)).fetchone()[0]
            yield Comparison(name, source.execute(completed, is_completed)[0][0], log)
        for table in _BY_STATUS:
            by_status = f"SELECT status, count(*) FROM {table} GROUP BY status"
            there, here = dict(source.execute(by_status)), dict(moment.db.execute(by_status).fetchall())
            for status in sorted(there.keys() | here.keys()):
                yield Comparison(f"{table}, {status}", there.get(status, 0), here.get(status, 0))
