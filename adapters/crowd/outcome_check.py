"""Checks the outcome of a torture pass: the log against what the workers were told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...core.ledger import Ledger
from ...core.lifecycles.agent import AgentRecord, AgentStatus
from ...core.operations.services.resource_release import held_resources, release_resource
from ...core.operations.services.reviewer import Reviewer
from ...core.ports import Ids
from ...core.state.decision_state import DecisionState
from ...events.agent import AgentSubmitted, AgentSubmittedAgain, AgentSubmittedLate
from ...events.ids import TaskRunId
from ...events.streams import run_of
from ...projections.queries.money.pay_ledger import pay_ledger
from ...projections.registry import PROJECTIONS
from ..composition.data_dir import DATABASE_FILE
from ..composition.ledger import open_ledger
from ..log.audit.replay import replay
from ..log.sqlite.as_of import LogAsOf, open_as_of
from .chat import ChatTranscript
from .summary import SentSubmission


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a job."""

    #: Events in the log after all work was done.
    events: int
    #: The number of units by task and status.
    units: dict[str, dict[str, int]]
    #: Submissions that were acknowledged to their workers.
    acknowledged: int
    #: Acknowledged submissions that are not in the log.
    lost: int
    #: Submissions that are in the log more often than they were sent, and units that were completed more than once.
    doubled: int
    #: Chats in which a worker did not receive each message of the other once and in order.
    broken_chats: int
    #: The amount owed once all work is accepted.
    owed_cents: int
    #: Findings of the audit of the log.
    findings: int
    #: Outside resources still held after everything unneeded was released.
    resources_held: int

    def faults(self) -> Iterator[str]:
        """Yield everything that is wrong in itself."""
        for count, what in (
            (self.lost, "acknowledged submissions are lost"),
            (self.doubled, "submissions are doubled"),
            (self.broken_chats, "chats are incomplete"),
            (self.findings, "audit findings"),
            (self.resources_held, "outside resources are still held"),
        ):
            if count:
                yield f"{count} {what}"

    def differences(self, baseline: JobOutcome) -> Iterator[str]:
        """Yield the differences from the outcome of an undisturbed run."""
        for task, units in baseline.units.items():
            if self.units.get(task) != units:
                yield f"the units of {task} are {_counts(self.units.get(task, {}))}, not {_counts(units)}"
        if self.owed_cents != baseline.owed_cents:
            yield f"{self.owed_cents} cents are owed, not {baseline.owed_cents}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


class _RecordedSubmission(NamedTuple):
    agent: AgentRecord
    run: TaskRunId
    work: object
    is_first: bool


async def check_outcome(data_dir: Path, sent: Mapping[str, SentSubmission]) -> JobOutcome:
    """Return the outcome of a job after its operator has ended.

    Like a requester, this accepts all work, and releases outside resources unless their run can be resumed.

    Args:
        data_dir: the operator's data folder.
        sent: the submissions of the workers, by agent.

    Raises:
        LogError: the log cannot be used.
        LaunchError, ConfigError: an outside resource cannot be released.
    """
    database = data_dir / DATABASE_FILE
    with open_as_of(database) as moment:
        state = _folded(moment)
        recorded = list(_recorded_submissions(moment, state))
        events = moment.seq
    arrived = Counter((one.agent.token, _plain(one.work)) for one in recorded)
    of_units = Counter((one.run, one.agent.unit) for one in recorded if one.is_first)
    acknowledged = [(token, one) for token, one in sent.items() if one.is_acknowledged]
    async with open_ledger(database) as (ledger, ids, _):
        await _accept_all(ledger, ids)
        await _release_all(ledger, ids, database)
    report = replay(database, PROJECTIONS)
    with open_as_of(database) as moment:
        owed = sum(sum(pay_ledger(moment, run).cents.values()) for run in state.runs)
        resources_held = len(list(held_resources(moment.under("resource/"))))
    return JobOutcome(
        events=events,
        units=_units(state),
        acknowledged=len(acknowledged),
        lost=sum(not arrived[token, _plain(one.work)] for token, one in acknowledged),
        doubled=sum(_surplus(count, sent.get(token)) for (token, _), count in arrived.items())
        + sum(count - 1 for count in of_units.values()),
        broken_chats=_broken_chats(recorded),
        owed_cents=owed,
        findings=len(report.findings) + report.findings_left_out,
        resources_held=resources_held,
    )


def _folded(moment: LogAsOf) -> DecisionState:
    state = DecisionState()
    for recorded in moment.events():
        state.apply(recorded.envelope)
    return state


def _recorded_submissions(moment: LogAsOf, state: DecisionState) -> Iterator[_RecordedSubmission]:
    for recorded in moment.under("agent/"):
        event, stream = recorded.envelope.event, recorded.envelope.stream
        if isinstance(event, AgentSubmitted | AgentSubmittedAgain | AgentSubmittedLate):
            work = msgspec.json.decode(moment.payload(event.submission) or b"null")
            yield _RecordedSubmission(state.agents[stream], run_of(stream), work, isinstance(event, AgentSubmitted))


def _units(state: DecisionState) -> dict[str, dict[str, int]]:
    names = {number: name for name, number in state.tasks_by_name.items()}
    by_task: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for run in state.task_runs.values():
        for status, count in state.runs[run.task_run].units_by_status.items():
            if count:
                by_task[names[run.task]][status.value] += count
    return {task: dict(sorted(counts.items())) for task, counts in by_task.items()}


def _surplus(count: int, sent: SentSubmission | None) -> int:
    return max(0, count - (sent.times_sent if sent else 0))


def _broken_chats(submissions: list[_RecordedSubmission]) -> int:
    """Return the number of chats whose two transcripts do not match."""
    sides: defaultdict[tuple[int, int], list[ChatTranscript]] = defaultdict(list)
    for one in submissions:
        if one.is_first and isinstance(one.work, dict) and "received" in one.work:
            sides[one.run, one.agent.assignment].append(msgspec.convert(one.work, ChatTranscript))
    return sum(
        len(both) != 2 or both[0].received != both[1].sent or both[1].received != both[0].sent
        for both in sides.values()
    )


async def _accept_all(ledger: Ledger, ids: Ids) -> None:
    reviewer = Reviewer(ledger, ids)
    done = [agent for agent in ledger.state.agents.values() if agent.status is AgentStatus.COMPLETED]
    for agent in done:
        await reviewer.approve_work(agent.agent)


async def _release_all(ledger: Ledger, ids: Ids, database: Path) -> None:
    with open_as_of(database) as moment:
        held = list(held_resources(moment.under("resource/")))
    for one in held:
        await release_resource(ledger, ids, one)


def _plain(work: object) -> str:
    return msgspec.json.encode(work, order="sorted").decode()
