"""What a tortured operator has made of its job: its log beside what its workers were told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from ...core.lifecycles.agent import AgentState, AgentStatus
from ...core.operations.services.resource_release import held_resources, release_resource
from ...core.operations.services.reviewer import Reviewer
from ...core.state.decision_state import DecisionState
from ...events.agent import AgentSubmitted, AgentSubmittedAgain
from ...events.ids import TaskRunId
from ...events.streams import run_of
from ...projections.queries.money.pay_ledger import pay_ledger
from ...projections.registry import PROJECTIONS
from ..composition.data_dir import DATABASE_FILE
from ..composition.ledger import LedgerHandle, open_ledger
from ..log.audit.replay import replay
from ..log.sqlite.as_of import LogAsOf, open_as_of
from .conversation import Chatted
from .summary import HandedIn


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a job has ended."""

    #: Events when nobody was at work any more.
    events: int
    #: How many units of each task are in each status.
    units: dict[str, dict[str, int]]
    #: Submissions of which workers were told that they have arrived.
    acknowledged: int
    #: Those of them that the log does not have.
    lost: int
    #: Submissions that the log has more often than they were sent, and units that were done more than once.
    doubled: int
    #: Chats in which somebody did not hear all that the other said, once and in order.
    broken_chats: int
    #: What there is to pay when all work is accepted.
    owed_cents: int
    #: What the audit of the log found.
    findings: int
    #: What is held outside after all that nobody needs has been released.
    left_outside: int

    def faults(self) -> Iterator[str]:
        """What is wrong, whatever there was to do."""
        for count, what in (
            (self.lost, "acknowledged submissions are lost"),
            (self.doubled, "submissions are doubled"),
            (self.broken_chats, "chats are not whole"),
            (self.findings, "findings of the audit"),
            (self.left_outside, "things are left outside"),
        ):
            if count:
                yield f"{count} {what}"

    def differences(self, calm: Ending) -> Iterator[str]:
        """What is otherwise than in a run that nothing happened to."""
        for task, units in calm.units.items():
            if self.units.get(task) != units:
                yield f"the units of {task} are {_counts(self.units.get(task, {}))}, not {_counts(units)}"
        if self.owed_cents != calm.owed_cents:
            yield f"{self.owed_cents} cents are owed, not {calm.owed_cents}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


class _Submission(NamedTuple):
    agent: AgentState
    run: TaskRunId
    work: object
    is_first: bool


async def take_stock(data_dir: Path, handed_in: Mapping[str, HandedIn]) -> Ending:
    """See what a job has come to, once nobody is at work on it any more.

    All work is accepted, and what is held outside and cannot be resumed is released, as a requester would do it.

    Args:
        data_dir: the operator's.
        handed_in: what workers have handed in, by agent.

    Raises:
        LogError: the log cannot be used.
        LaunchError, ConfigError: something outside cannot be released.
    """
    database = data_dir / DATABASE_FILE
    with open_as_of(database) as moment:
        state = _folded(moment)
        submissions = list(_submissions(moment, state))
        events = moment.seq
    arrived = Counter((one.agent.token, _plain(one.work)) for one in submissions)
    of_units = Counter((one.run, one.agent.unit) for one in submissions if one.is_first)
    acknowledged = [(token, one) for token, one in handed_in.items() if one.is_acknowledged]
    async with open_ledger(database) as desk:
        await _accept_all(desk)
        await _release_all(desk, database)
    report = replay(database, PROJECTIONS)
    with open_as_of(database) as moment:
        owed = sum(sum(pay_ledger(moment, run).cents.values()) for run in state.runs)
        left_outside = len(list(held_resources(moment.under("server/"))))
    return Ending(
        events=events,
        units=_units(state),
        acknowledged=len(acknowledged),
        lost=sum(not arrived[token, _plain(one.work)] for token, one in acknowledged),
        doubled=sum(_surplus(count, handed_in.get(token)) for (token, _), count in arrived.items())
        + sum(count - 1 for count in of_units.values()),
        broken_chats=_broken_chats(submissions),
        owed_cents=owed,
        findings=len(report.findings) + report.findings_left_out,
        left_outside=left_outside,
    )


def _folded(moment: LogAsOf) -> DecisionState:
    state = DecisionState()
    for recorded in moment.events():
        state.apply(recorded.envelope)
    return state


def _submissions(moment: LogAsOf, state: DecisionState) -> Iterator[_Submission]:
    for recorded in moment.under("agent/"):
        event, stream = recorded.envelope.event, recorded.envelope.stream
        if isinstance(event, AgentSubmitted | AgentSubmittedAgain):
            work = msgspec.json.decode(moment.payload(event.submission) or b"null")
            yield _Submission(state.agents[stream], run_of(stream), work, isinstance(event, AgentSubmitted))


def _units(state: DecisionState) -> dict[str, dict[str, int]]:
    names = {number: name for name, number in state.tasks_by_name.items()}
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for run in state.task_runs.values():
        for status, count in state.runs[run.task_run].units_by_status.items():
            if count:
                counts[names[run.task]][status.value] += count
    return {task: dict(sorted(of_task.items())) for task, of_task in counts.items()}


def _surplus(count: int, sent: HandedIn | None) -> int:
    return max(0, count - (sent.times_sent if sent else 0))


def _broken_chats(submissions: list[_Submission]) -> int:
    """How many chats there are whose sides do not fit together."""
    sides: defaultdict[tuple[int, int], list[Chatted]] = defaultdict(list)
    for one in submissions:
        if one.is_first and isinstance(one.work, dict) and "heard" in one.work:
            sides[one.run, one.agent.assignment].append(msgspec.convert(one.work, Chatted))
    return sum(
        len(both) != 2 or both[0].heard != both[1].said or both[1].heard != both[0].said for both in sides.values()
    )


async def _accept_all(desk: LedgerHandle) -> None:
    reviewer = Reviewer(desk.ledger, desk.ids)
    done = [agent for agent in desk.ledger.state.agents.values() if agent.status is AgentStatus.COMPLETED]
    for agent in done:
        await reviewer.approve_work(agent.agent)


async def _release_all(desk: LedgerHandle, database: Path) -> None:
    with open_as_of(database) as moment:
        held = list(held_resources(moment.under("server/")))
    for one in held:
        await release_resource(desk.ledger, desk.ids, one)


def _plain(work: object) -> str:
    return msgspec.json.encode(work, order="sorted").decode()
