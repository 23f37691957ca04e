"""Finds what blocks a run from completing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ....core.decisions.task_run import admission_paused_text, offer_paused_text
from ....core.entity_ref import EntityRef
from ....core.lifecycles.agent import AT_WORK_STATUSES
from ....core.lifecycles.onboarding import LIVE_ONBOARDING_STATUSES
from ....core.lifecycles.resource import ResourceStatus
from ....core.lifecycles.task_run import ENDED_RUN_STATUSES, TaskRunStatus
from ....core.lifecycles.unit import UnitStatus
from ....core.state.status_fold import STATUS_AFTER
from ....events import streams
from ....events.ids import AgentId, OnboardingAgentId, TaskRunId, UnitId
from ....events.resource import ResourceIntended
from ....events.task_run import SiteOffer, TaskRunAdmissionPaused, TaskRunOfferChanged
from ...mephisto_db.rows import date_of
from ..as_of import AsOf
from .progress import ending_text, pausing_text

#: Entities that are listed for one blocker; the rest are only counted.
MAX_LISTED = 20

_UNITS = "SELECT unit_id FROM units WHERE task_run_id = ? AND status = ?"
_AGENTS = "SELECT agent_id FROM agents WHERE task_run_id = ? AND status = ?"
_ONBOARDINGS = "SELECT onboarding_agent_id FROM onboarding_agents WHERE task_run_id = ? AND status = ?"


class Blocker(msgspec.Struct, frozen=True):
    """Something that has to change before the run can complete."""

    #: Such as `units offered that no worker has taken: 3`.
    reason: str
    count: int
    #: The entities, such as `unit-12`; at most `MAX_LISTED`.
    entities: tuple[str, ...] = ()
    #: UTC time since which the first of them has been in this state.
    since: str | None = None


class OpenReport(msgspec.Struct, frozen=True):
    """The status of a run, and what keeps it open."""

    run: str
    status: str
    blockers: tuple[Blocker, ...]

    @property
    def is_open(self) -> bool:
        """True if anything keeps the run open."""
        return bool(self.blockers)


class _StatusQuery(NamedTuple):
    """A query for the entities of a run in one status, and what that status means."""

    kind: str
    query: str
    status: str
    #: The number of entities is appended.
    reason: str


_STATUS_QUERIES = (
    *(
        _StatusQuery("agent", _AGENTS, status.value, f"agents with status {status.value!r} that have not submitted")
        for status in AT_WORK_STATUSES
    ),
    *(
        _StatusQuery("onboarding", _ONBOARDINGS, status.value, f"undecided onboardings with status {status.value!r}")
        for status in LIVE_ONBOARDING_STATUSES
    ),
    _StatusQuery("unit", _UNITS, UnitStatus.LAUNCHED.value, "units offered that no worker has taken"),
    _StatusQuery("unit", _UNITS, UnitStatus.CREATED.value, "units created but not offered yet"),
)

_STATUS_REASONS = {
    TaskRunStatus.CREATED: "the run was created, but its server files are not prepared",
    TaskRunStatus.PREPARED: "the server is not deployed",
    TaskRunStatus.DEPLOYED: "the run is not open to workers yet",
    TaskRunStatus.LIVE: "the run is live; it completes by itself once its data is exhausted and nothing is open",
    TaskRunStatus.PAUSED: "the run is paused: resume it, or end it",
    TaskRunStatus.STOPPING: "the run is stopping, but its operator has not recorded its completion",
    TaskRunStatus.RECOVERING: "a process resumed the run but has not opened it to workers",
}


def find_blockers(as_of: AsOf, run: TaskRunId) -> OpenReport:
    """Find what keeps a run open: nothing, if it has ended and holds no outside resources.

    Raises:
        UnknownEntityError: there is no such run.
    """
    row = as_of.db.get_task_run(run)
    status = TaskRunStatus(row.status)
    blockers: list[Blocker] = []
    if status not in ENDED_RUN_STATUSES:
        blockers += _open_entities(as_of, run)
        if row.admission_paused_by is not None:
            blockers.append(_paused_admission(as_of, run, row.admission_paused_by))
        if (offer := paused_offer(as_of, run)) is not None:
            blockers.append(offer)
        if row.pausing is not None:
            blockers.append(Blocker(f"{pausing_text(as_of.db, run)} ({row.pausing})", 1))
        if status is TaskRunStatus.STOPPING:
            blockers.append(Blocker(ending_text(as_of.db, run), 1))
        if row.assignment_count is None:
            blockers.append(Blocker("the run's data is not exhausted, so more units may follow", 1))
        if row.pausing is None:
            blockers.append(Blocker(_STATUS_REASONS[status], 1, since=_since(as_of, streams.task_run(run))))
    blockers += _held_resources(as_of, run)
    return OpenReport(str(EntityRef("run", run)), row.status, tuple(blockers))


def _open_entities(as_of: AsOf, run: TaskRunId) -> Iterator[Blocker]:
    for kind, query, status, reason in _STATUS_QUERIES:
        numbers = [number for (number,) in as_of.db.execute(query, (run, status))]
        if numbers:
            listed = numbers[:MAX_LISTED]
            entities = tuple(str(EntityRef(kind, number)) for number in listed)
            since = min(_since(as_of, _stream(kind, run, number)) for number in listed)
            yield Blocker(f"{reason}: {len(numbers):,}", len(numbers), entities, since)


def _paused_admission(as_of: AsOf, run: TaskRunId, function: str) -> Blocker:
    history = as_of.stream(streams.task_run(run))
    paused = [one.envelope.at for one in history if isinstance(one.envelope.event, TaskRunAdmissionPaused)]
    return Blocker(admission_paused_text(run, function), 1, since=date_of(paused[-1]))


def paused_offer(as_of: AsOf, run: TaskRunId) -> Blocker | None:
    """Return that the run's offer was paused at the provider's site; None if it was not.

    Raises:
        UnknownEntityError: there is no such run.
    """
    history = as_of.stream(streams.task_run(run))
    changes = [one.envelope for one in history if isinstance(one.envelope.event, TaskRunOfferChanged)]
    last = changes[-1] if changes else None
    if last is None or last.event != TaskRunOfferChanged(offer=SiteOffer.PAUSED_THERE):
        return None
    return Blocker(offer_paused_text(run), 1, since=date_of(last.at))


def _held_resources(as_of: AsOf, run: TaskRunId) -> Iterator[Blocker]:
    """Yield the resources that the run acquired and nobody released, by type."""
    types: dict[str, str] = {}
    held: dict[str, int] = {}
    for recorded in as_of.under(f"resource/{run}/"):
        stream, event = recorded.envelope.stream, recorded.envelope.event
        if isinstance(event, ResourceIntended):
            types[stream] = event.resource_type
        held[stream] = recorded.envelope.at
        if STATUS_AFTER[type(event)] == ResourceStatus.RELEASED.value:
            del held[stream]
    for resource_type in dict.fromkeys(types[stream] for stream in held):
        of_type = [stream for stream in held if types[stream] == resource_type]
        reason = f"{resource_type} acquired and not released: {len(of_type):,}"
        since = date_of(min(held[stream] for stream in of_type))
        yield Blocker(reason, len(of_type), tuple(of_type[:MAX_LISTED]), since)


def _since(as_of: AsOf, stream: str) -> str:
    """Return the time of the last event of a stream that changed its status."""
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
