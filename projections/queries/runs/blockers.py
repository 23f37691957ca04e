"""What keeps a run from finishing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ....core.lifecycles.agent import LIVE_AGENT_STATUSES, AgentStatus
from ....core.lifecycles.onboarding import LIVE_ONBOARDING_STATUSES
from ....core.lifecycles.resource import ResourceStatus
from ....core.lifecycles.task_run import ENDED_RUN_STATUSES, TaskRunStatus
from ....core.lifecycles.unit import UnitStatus
from ....core.state.status_fold import STATUS_AFTER
from ....events import streams
from ....events.ids import AgentId, OnboardingAgentId, TaskRunId, UnitId
from ....events.server import ResourceIntended
from ...mephisto_db.rows import date_of
from ..as_of import AsOf
from ..entity_ref import EntityRef

#: Entities that are named for one kind of reason; the others are counted.
NAMED = 20

_HOLDING = (*LIVE_AGENT_STATUSES, AgentStatus.PARTNER_DISCONNECT)
_UNITS = "SELECT unit_id FROM units WHERE task_run_id = ? AND status = ?"
_AGENTS = "SELECT agent_id FROM agents WHERE task_run_id = ? AND status = ?"
_ONBOARDINGS = "SELECT onboarding_agent_id FROM onboarding_agents WHERE task_run_id = ? AND status = ?"


class Blocker(msgspec.Struct, frozen=True):
    """Something that has to happen before the run can end."""

    #: For instance `units on offer that no worker has taken: 3`.
    because: str
    count: int
    #: The entities, at most `NAMED`; for instance `unit-12`.
    subjects: tuple[str, ...] = ()
    #: UTC; since when the first of them has been so.
    since: str | None = None


class OpenReport(msgspec.Struct, frozen=True):
    """Whether a run has ended, and if not, why."""

    run: str
    status: str
    obstacles: tuple[Blocker, ...]

    @property
    def is_open(self) -> bool:
        """Whether anything is left to happen."""
        return bool(self.obstacles)


class _Question(NamedTuple):
    """Entities of a run in one status, and what that means."""

    kind: str
    query: str
    status: str
    #: Their number is told behind it.
    because: str


_QUESTIONS = (
    *(
        _Question("agent", _AGENTS, status.value, f"agents that are {status.value!r} and have not handed in")
        for status in _HOLDING
    ),
    *(
        _Question("onboarding", _ONBOARDINGS, status.value, f"onboardings that are {status.value!r} and not decided")
        for status in LIVE_ONBOARDING_STATUSES
    ),
    _Question("unit", _UNITS, UnitStatus.LAUNCHED.value, "units on offer that no worker has taken"),
    _Question("unit", _UNITS, UnitStatus.CREATED.value, "units created that wait to be put on offer"),
)

_RUN_SAYS = {
    TaskRunStatus.CREATED: "the run was created, and its server's files are not in place",
    TaskRunStatus.PREPARED: "the server is not up",
    TaskRunStatus.DEPLOYED: "workers are not let in",
    TaskRunStatus.LIVE: "the run is live: it ends by itself when its data is exhausted and nothing is open",
    TaskRunStatus.STOPPING: "the run is stopping, and its operator has not recorded that it is complete",
    TaskRunStatus.RECOVERING: "a process took the run up again and has not let workers in",
}


def why_open(as_of: AsOf, run: TaskRunId) -> OpenReport:
    """What keeps a run from finishing; nothing if it has ended and holds nothing outside.

    Raises:
        UnknownEntityError: there is no such run.
    """
    row = as_of.db.get_task_run(run)
    status = TaskRunStatus(row.status)
    obstacles: list[Blocker] = []
    if status not in ENDED_RUN_STATUSES:
        obstacles += _open_entities(as_of, run)
        if row.assignment_count is None:
            obstacles.append(Blocker("the run's data has not been read to its end: more units may come", 1))
        obstacles.append(Blocker(_RUN_SAYS[status], 1, since=_since(as_of, streams.task_run(run))))
    obstacles += _held_outside(as_of, run)
    return OpenReport(str(EntityRef("run", run)), row.status, tuple(obstacles))


def _open_entities(as_of: AsOf, run: TaskRunId) -> Iterator[Blocker]:
    for kind, query, status, because in _QUESTIONS:
        numbers = [number for (number,) in as_of.db.execute(query, (run, status))]
        if numbers:
            named = numbers[:NAMED]
            subjects = tuple(str(EntityRef(kind, number)) for number in named)
            since = min(_since(as_of, _stream(kind, run, number)) for number in named)
            yield Blocker(f"{because}: {len(numbers):,}", len(numbers), subjects, since)


def _held_outside(as_of: AsOf, run: TaskRunId) -> Iterator[Blocker]:
    """What the run acquired and nobody released, by its type."""
    types: dict[str, str] = {}
    held: dict[str, int] = {}
    for recorded in as_of.under(f"server/{run}/"):
        stream, event = recorded.envelope.stream, recorded.envelope.event
        if isinstance(event, ResourceIntended):
            types[stream] = event.resource_type
        held[stream] = recorded.envelope.at
        if STATUS_AFTER[type(event)] == ResourceStatus.RELEASED.value:
            del held[stream]
    for resource_type in dict.fromkeys(types[stream] for stream in held):
        of_type = [stream for stream in held if types[stream] == resource_type]
        because = f"{resource_type} held outside, not released: {len(of_type):,}"
        since = date_of(min(held[stream] for stream in of_type))
        yield Blocker(because, len(of_type), tuple(of_type[:NAMED]), since)


def _since(as_of: AsOf, stream: str) -> str:
    """When the last event of a stream was that led to another status."""
    changes = [one.envelope.at for one in as_of.stream(stream) if type(one.envelope.event) in STATUS_AFTER]
    return date_of(changes[-1])


def _stream(kind: str, run: TaskRunId, number: int) -> str:
    match kind:
        case "unit":
            return streams.unit(run, UnitId(number))
        case "agent":
            return streams.agent(run, AgentId(number))
        case _:
            return streams.onboarding_agent(run, OnboardingAgentId(number))
