"""Reads units from the log, in the form that task code and callbacks get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import ParamSpec, TypeVar

import msgspec

from ....events import streams
from ....events.agent import (
    AgentMetadataReceived,
    AgentObserved,
    AgentStarted,
    AgentSubmitted,
    AgentSubmittedLate,
    AgentUpdateReceived,
)
from ....events.base import FileRef, PayloadRef
from ....events.ids import AgentId, AssignmentId, OnboardingAgentId, UnitId, WorkerId
from ....events.onboarding import OnboardingObserved, OnboardingUpdateReceived
from ...abstractions.agent import Assignment, InitializationData, Unit, Worker
from ...abstractions.shared_task_state import OnboardingSharedState
from ...abstractions.work.agent_data import (
    PastUpdate,
    SentMetadata,
    make_metadata,
    make_outputs,
    onboarding_kind,
    work_kind,
)
from ...abstractions.work.handles import AssignedAgent, with_reader
from ...abstractions.work_data import AgentState, FileDetails
from ...ledger import Ledger
from ...lifecycles import agent as lifecycles
from ...lifecycles.worker import WorkerStatus
from ...payloads import agent_files_dir, name_of_worker
from ...ports import Ids
from ..run_context import RunContext
from ..services.handle_decisions import HandleDecisions
from .calls import call_on_loop

_FROM_PAGE = AgentUpdateReceived | OnboardingUpdateReceived
_UPDATES = _FROM_PAGE | AgentObserved | OnboardingObserved

_init_data = msgspec.json.Decoder(InitializationData)
_file_details = msgspec.json.Decoder(list[FileDetails])


class _RecordedWork(msgspec.Struct):
    """Everything that the log has of an agent's work, beside its submission."""

    updates: list[PastUpdate]
    #: Seconds since the epoch.
    started: float | None = None
    submitted: float | None = None
    #: None if the page sent no form.
    files: list[FileDetails] | None = None
    metadata: list[SentMetadata] = []


P = ParamSpec("P")
T = TypeVar("T")


def _on_loop(method: Callable[P, T]) -> Callable[P, T]:
    """Let handles call a method from threads of plain user functions too."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return call_on_loop(partial(method, *args, **kwargs))

    return call


class Units:
    """The units of one run, and what the handles of units, agents and workers read."""

    def __init__(self, ledger: Ledger, context: RunContext, ids: Ids) -> None:
        self._ledger = ledger
        #: What handles decide about.
        self.decisions = HandleDecisions(ledger, ids)
        self._run = context.task_run
        self._blueprint_type = context.blueprint.BLUEPRINT_TYPE
        self._shared_state = context.blueprint.shared_state
        self._run_dir = context.architect.build_dir

    def unit(self, unit_id: UnitId) -> Unit:
        """Return a unit with its data."""
        state = self._ledger.state.units[streams.unit(self._run, unit_id)]
        return with_reader(Unit(unit_id, state.index, self._assignment(state.assignment)), self)

    def submitted_unit(self, unit_id: UnitId) -> Unit:
        """Return a unit with its agent and submission."""
        state = self._ledger.state.units[streams.unit(self._run, unit_id)]
        unit = self.unit(unit_id)
        if state.agent is None:
            return unit
        agent = self._ledger.state.agents[streams.agent(self._run, state.agent)]
        evaluations = self._ledger.state.engagements[streams.engagement(self._run, agent.worker)].evaluations
        submitted = msgspec.structs.replace(
            unit, assigned_agent=self._assigned_agent(agent), is_evaluation=agent.agent in evaluations
        )
        return with_reader(submitted, self)

    def worker(self, worker_id: WorkerId) -> Worker:
        """Return a handle of a worker."""
        return Worker(worker_id, self)

    # What handles read; from any thread -----------------------------------------------------------------------------

    @_on_loop
    def worker_name(self, worker: WorkerId) -> str | None:
        """Return the name of a worker at the provider; None once it is erased."""
        return name_of_worker(self._ledger.log, worker)

    @_on_loop
    def worker_provider(self, worker: WorkerId) -> str:
        """Return the type of a worker's provider."""
        return self._ledger.state.workers[streams.worker(worker)].provider_type

    @_on_loop
    def qualifications_of(self, worker: WorkerId) -> dict[str, int]:
        """Return the values of a worker's qualifications by name."""
        held = self._ledger.state.workers[streams.worker(worker)].qualifications
        names = {number: name for name, number in self._ledger.state.qualifications_by_name.items()}
        return {names[number]: value for number, value in held.items()}

    @_on_loop
    def is_blocked(self, worker: WorkerId) -> bool:
        """Return whether a worker is blocked."""
        return self._ledger.state.workers[streams.worker(worker)].status is WorkerStatus.BLOCKED

    @_on_loop
    def agents_of(self, worker: WorkerId, status: str | None) -> list[AssignedAgent]:
        """Return all agents of a worker in this run, or those with a status, the oldest first."""
        state = self._ledger.state
        ids = state.runs[self._run].agents_of_worker.get(worker, ())
        agents = (state.agents[streams.agent(self._run, agent)] for agent in ids)
        return [self._assigned_agent(agent) for agent in agents if status is None or agent.status.value == status]

    @_on_loop
    def units_of(self, assignment: AssignmentId) -> list[Unit]:
        """Return the units of an assignment in order, each with its agent if it has one."""
        return [self.submitted_unit(unit) for unit in self._ledger.state.runs[self._run].units_of.get(assignment, ())]

    @_on_loop
    def status_of(self, unit: UnitId) -> str:
        """Return the status of a unit."""
        return self._ledger.state.units[streams.unit(self._run, unit)].status.value

    @_on_loop
    def state_of(self, agent: AgentId) -> AgentState:
        """Return the data of an agent's work so far."""
        return self.agent_state(self._ledger.state.agents[streams.agent(self._run, agent)])

    @_on_loop
    def onboarding_state_of(self, agent: OnboardingAgentId) -> AgentState:
        """Return the data of an onboarding so far; its inputs are those that the launch script gave."""
        record = self._ledger.state.onboardings[streams.onboarding_agent(self._run, agent)]
        updates = self._updates(streams.onboarding_agent(self._run, agent))
        kind = onboarding_kind(self._blueprint_type, has_updates=bool(updates))
        shared = self._shared_state
        inputs = shared.onboarding_data if isinstance(shared, OnboardingSharedState) else {}
        outputs = make_outputs(kind, self._read(record.submission), updates)
        return AgentState(inputs=inputs, outputs=outputs, kind=kind, metadata=make_metadata((), None, None))

    @_on_loop
    def past_updates(self, agent: AgentId) -> list[PastUpdate]:
        """Return the recorded live updates between an agent's page and the task's code; erased ones are left out."""
        return self._updates(streams.agent(self._run, agent))

    @_on_loop
    def past_onboarding_updates(self, agent: OnboardingAgentId) -> list[PastUpdate]:
        """Return the recorded live updates of an onboarding; erased ones are left out."""
        return self._updates(streams.onboarding_agent(self._run, agent))

    def data_dir(self, agent: AgentId) -> str:
        """Return the folder of the files that an agent's page uploaded."""
        return str(agent_files_dir(self._run_dir, agent))

    # ----------------------------------------------------------------------------------------------------------------

    def agent_state(self, agent: lifecycles.AgentRecord) -> AgentState:
        """Return the data of an agent's work so far; what was erased is missing."""
        work = self._recorded_work(agent)
        kind = work_kind(self._blueprint_type)
        outputs = make_outputs(kind, self._read(agent.submission), work.updates, work.files)
        metadata = make_metadata(work.metadata, work.started, work.submitted)
        unit = self.unit(agent.unit)
        return AgentState(inputs=unit.data, outputs=outputs, kind=kind, metadata=metadata)

    def _updates(self, stream: str) -> list[PastUpdate]:
        updates: list[PastUpdate] = []
        for _, envelope in self._ledger.log.history(stream):
            event = envelope.event
            if isinstance(event, _UPDATES):
                update = self._read(event.update)
                if isinstance(update, dict):
                    updates.append(PastUpdate(isinstance(event, _FROM_PAGE), update, envelope.at / 1_000_000))
        return updates

    def _recorded_work(self, agent: lifecycles.AgentRecord) -> _RecordedWork:
        stream = streams.agent(self._run, agent.agent)
        work = _RecordedWork(self._updates(stream) if agent.received or agent.observed else [])
        for seq, envelope in self._ledger.log.history(stream):
            match envelope.event:
                case AgentStarted():
                    work.started = envelope.at / 1_000_000
                case AgentSubmitted() | AgentSubmittedLate() as event if event.submission == agent.submission:
                    work.submitted = envelope.at / 1_000_000
                    work.files = self._files(event.files, event.file_details) if event.files else None
                case AgentMetadataReceived() as event:
                    body = self._read(event.metadata)
                    files = self._files(event.files, event.file_details)
                    if isinstance(body, dict):
                        work.metadata.append(SentMetadata(body.get("metadata"), files, f"metadata-{seq}"))
        return work

    def _files(self, refs: Sequence[FileRef], details: PayloadRef | None) -> list[FileDetails]:
        body = self._ledger.log.payload(details) if details else None
        if body is not None:
            return _file_details.decode(body)
        return [FileDetails(filename=ref.filename, size=ref.size) for ref in refs]

    def _read(self, ref: PayloadRef | None) -> object:
        body = self._ledger.log.payload(ref) if ref else None
        return None if body is None else msgspec.json.decode(body)

    def _assigned_agent(self, agent: lifecycles.AgentRecord) -> AssignedAgent:
        assigned = AssignedAgent(
            agent_id=agent.agent,
            worker_id=agent.worker,
            state=self.agent_state(agent),
            data_dir=self.data_dir(agent.agent),
            status=agent.status.value,
            unit_id=agent.unit,
        )
        return with_reader(assigned, self)

    def _assignment(self, assignment_id: AssignmentId) -> Assignment:
        created = self._ledger.state.assignments[streams.assignment(self._run, assignment_id)].created
        body = self._ledger.log.payload(created.data)
        data = _init_data.decode(body) if body else InitializationData(shared={})
        return with_reader(Assignment(assignment_id, data), self)
