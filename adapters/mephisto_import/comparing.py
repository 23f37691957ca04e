"""Compares the content of a Mephisto database with that of the log made from it, and lists what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ...core.abstractions.work.agent_data import SENT_BY, SentMetadata, make_metadata
from ...core.payloads import agent_files_dir
from ...events.ids import AgentId
from ..log.sqlite.as_of import LogAsOf, open_as_of
from .directory import own_name
from .source import GrantRow, OnboardingRow, Source, SourceTask, SourceUnit, SourceWorker
from .work import LEFT, SUBMITTED, UNIT_VERDICTS
from .works import Works

#: Keys of outputs that name files, which are compared as files.
_FILE_KEYS = ("files", "filesByFields")
#: Statuses of agents that have started.
_STARTED = (*SUBMITTED, *LEFT, "in task", "partner disconnect")
#: Statuses of onboardings that have submitted.
_ONBOARDED = ("waiting", "approved", "rejected")


class Comparison(msgspec.Struct, frozen=True):
    """The same figure in the source and in the log."""

    what: str
    source: int
    log: int

    @property
    def agrees(self) -> bool:
        """True if both are equal."""
        return self.source == self.log


def compare_content(source: Source, works: Works, output: Path, runs_dir: Path) -> Iterator[Comparison]:
    """Yield how many data there are of each kind in the source, and how many of them are equal in the log.

    Args:
        source: the database.
        works: the files beside it.
        output: the log.
        runs_dir: the folder of all runs, with the copies of uploaded files.
    """
    with open_as_of(output) as moment:
        yield from _compare_projects(source, moment)
        yield from _compare_workers(source, moment)
        yield from _compare_work(works, moment, runs_dir)
        yield from _compare_onboardings(source, works, moment)
        yield from _compare_verdicts(source, moment)


def _compare_projects(source: Source, moment: LogAsOf) -> Iterator[Comparison]:
    names = {project.project_id: project.project_name for project in source.projects()}
    there = [(name, moment.db.get_project(project).project_name) for project, name in names.items()]
    yield _equal("projects", there)
    tasks = [task for task in source.rows(SourceTask) if task.project_id is not None]
    yield _equal(
        "projects of tasks", [(task.project_id, moment.db.get_task(task.task_id).project_id) for task in tasks]
    )


def _compare_workers(source: Source, moment: LogAsOf) -> Iterator[Comparison]:
    workers = source.rows(SourceWorker)
    names = {worker.worker_name for worker in workers}
    found = [(own_name(one, names), moment.db.get_worker(one.worker_id).worker_name) for one in workers]
    yield _equal("names of workers", found)
    blocked = source.blocked_workers() & {worker.worker_id for worker in workers}
    log = sum(moment.db.get_worker(worker.worker_id).is_blocked() for worker in workers)
    yield Comparison("blocked workers", len(blocked), log)
    grants = source.rows(GrantRow)
    values = [(one.value, _granted(moment, one)) for one in grants]
    yield _equal("values of qualifications", values)


def _compare_onboardings(source: Source, works: Works, moment: LogAsOf) -> Iterator[Comparison]:
    answers: list[tuple[object, object]] = []
    inputs: list[tuple[object, object]] = []
    for row in source.rows(OnboardingRow):
        work, there = works.of_onboarding(row), moment.db.get_onboarding_agent(row.onboarding_agent_id)
        inputs.append((work.inputs or {}, there.state.inputs))
        if row.status in _ONBOARDED:
            answers.append((work.submission, there.get_outputs()))
    yield _equal("answers in onboardings", answers)
    yield _equal("inputs of onboardings", inputs)


def _compare_verdicts(source: Source, moment: LogAsOf) -> Iterator[Comparison]:
    decided = {unit.unit_id for unit in source.rows(SourceUnit) if unit.status in UNIT_VERDICTS}
    pairs: list[tuple[object, object]] = []
    for unit, review in source.last_reviews().items():
        if unit in decided:
            there = (review.review_note or None, round((review.bonus or 0) * 100))
            here = moment.db.find_unit_reviews(unit_id=unit)[-1:]
            pairs.append((there, (here[0].review_note, here[0].bonus or 0) if here else None))
    yield _equal("notes and bonuses of verdicts", pairs)


def _granted(moment: LogAsOf, grant: GrantRow) -> int | None:
    found = moment.db.find_granted_qualifications(worker_id=grant.worker_id, qualification_id=grant.qualification_id)
    return found[0].value if found else None


def _compare_work(works: Works, moment: LogAsOf, runs_dir: Path) -> Iterator[Comparison]:
    outputs: list[tuple[object, object]] = []
    times: list[tuple[object, object]] = []
    starts: list[tuple[object, object]] = []
    metadata: list[tuple[object, object]] = []
    files: list[tuple[object, object]] = []
    inputs: list[tuple[object, object]] = []
    for agent, work in works.of_all():
        state = moment.db.get_agent(agent.agent_id).state
        if work.inputs is not None:
            inputs.append((work.inputs, state.inputs))
        if work.task_start is not None and agent.status in _STARTED:
            starts.append((round(work.task_start, 3), round(state.get_task_start() or 0, 3)))
        if work.is_there and (agent.status in SUBMITTED or work.submission is None):
            outputs.append((_comparable(work.outputs), _comparable(_whole(state.outputs, work.outputs))))
        if work.is_there and agent.status in SUBMITTED:
            if work.task_end is not None:
                times.append((round(work.task_end, 3), round(state.get_task_end() or 0, 3)))
            folder = agent_files_dir(runs_dir / str(agent.task_run_id), AgentId(agent.agent_id))
            files += [(one.ref.size, _size(folder / one.ref.filename)) for one in work.files]
        if work.metadata:
            metadata.append((_said(make_metadata(_sent(work.metadata), None, None)), _said(state.get_metadata())))
    yield _equal("inputs of agents", inputs)
    yield _equal("outputs of agents", outputs)
    yield _equal("times of beginnings", starts)
    yield _equal("times of submissions", times)
    yield _equal("agents with tips, feedback or opinions", metadata)
    yield _equal("uploaded files", files)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _sent(bodies: Sequence[dict[str, Any]]) -> Iterator[SentMetadata]:
    return (SentMetadata(body, (), "") for body in bodies)


def _said(metadata: dict[str, Any]) -> object:
    """Return what a worker left beside the work, without ids, marks and times."""
    opinion = metadata["worker_opinion"] or {}
    return [
        [(one["header"], one["text"]) for one in metadata["tips"] or ()],
        [(one["question"], one["text"]) for one in metadata["feedback"] or ()],
        [(one["question"], one["answer"]) for one in opinion.get("questions", ())],
        metadata["default"],
    ]


def _whole(outputs: object, wanted: object) -> object:
    """Return the outputs of a chat or of calls in which nothing was said in the shape that Mephisto has for them."""
    if outputs is None and isinstance(wanted, dict) and ("messages" in wanted or "requests" in wanted):
        return {key: [] if isinstance(value, list) else None for key, value in wanted.items()}
    return outputs


def _comparable(outputs: object) -> object:
    """Return outputs without what is compared elsewhere, and without what only one side has."""
    match outputs:
        case {"messages": list() as messages, **rest}:
            plain = [{key: value for key, value in one.items() if key != SENT_BY} for one in messages]
            final = _comparable(rest.get("final_submission"))
            return {**rest, "messages": _rounded(plain), "final_submission": final}
        case {"requests": list() as requests, **rest}:
            return {
                **rest,
                "requests": _rounded(requests),
                "final_submission": _comparable(rest.get("final_submission")),
            }
        case dict():
            return {key: value for key, value in outputs.items() if key not in _FILE_KEYS}
        case _:
            return outputs


def _rounded(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages or requests with times to the microsecond, as a log has them."""
    times = [one.get("timestamp") for one in sent]
    return [
        {**one, "timestamp": round(at * 1_000_000)} if isinstance(at, int | float) else one
        for one, at in zip(sent, times, strict=True)
    ]


def _equal(what: str, pairs: Sequence[tuple[object, object]]) -> Comparison:
    return Comparison(what, len(pairs), sum(there == here for there, here in pairs))


def left_out(source: Source, works: Works) -> Iterator[str]:
    """Yield what the source has and the log does not, in words."""
    if parents := sum(task.parent_task_id is not None for task in source.rows(SourceTask)):
        yield f"the parent tasks of {parents} tasks"
    marks = attachments = 0
    statuses: dict[str, int] = {}
    for agent, work in works.of_all():
        statuses[agent.status] = statuses.get(agent.status, 0) + 1
        for name in work.missing_files:
            yield f"file {name!r} of agent-{agent.agent_id}: it is not beside the database"
        if agent.status not in SUBMITTED and work.submission is not None and work.is_there:
            yield f"what agent-{agent.agent_id} had submitted: its status is {agent.status}"
        marks += work.marks
        attachments += work.attachments
    reviews = source.reviews()
    if earlier := len(reviews) - len(source.last_reviews()):
        yield f"{earlier} verdicts that later ones replaced"
    if changes := sum(bool(one.updated_qualification_id or one.revoked_qualification_id) for one in reviews):
        yield f"that qualifications changed with {changes} verdicts; the qualifications are there"
    if count := statuses.get("none", 0):
        yield f"the status `none` of {count} agents, which became `accepted`"
    if marks:
        yield f"{marks} marks of reviewers on tips and feedback"
    if attachments:
        yield f"{attachments} files attached to opinions"
    for name in dict.fromkeys(source.unreadable):
        yield f"{name}: it is not complete, as a killed process leaves it"
