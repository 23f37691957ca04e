"""Reads units from the log, in the form that task code and callbacks get."""

from __future__ import annotations

import msgspec

from ....events import streams
from ....events.ids import AssignmentId, TaskRunId, UnitId
from ....events.records import AssignmentCreated
from ...abstractions.agent import Assignment, InitializationData, Unit
from ...abstractions.work_data import AgentState, AssignedAgent
from ...ledger import Ledger
from ...lifecycles import agent as lifecycles

_init_data = msgspec.json.Decoder(InitializationData)


class Units:
    """The units of one run."""

    def __init__(self, ledger: Ledger, run: TaskRunId) -> None:
        self._ledger = ledger
        self._run = run

    def unit(self, unit_id: UnitId) -> Unit:
        """Return a unit with its data."""
        state = self._ledger.state.units[streams.unit(self._run, unit_id)]
        return Unit(unit_id, state.index, self._assignment(state.assignment))

    def submitted_unit(self, unit_id: UnitId) -> Unit:
        """Return a unit with its agent and submission."""
        state = self._ledger.state.units[streams.unit(self._run, unit_id)]
        unit = self.unit(unit_id)
        if state.agent is None:
            return unit
        agent = self._ledger.state.agents[streams.agent(self._run, state.agent)]
        evaluations = self._ledger.state.engagements[streams.engagement(self._run, agent.worker)].evaluations
        return msgspec.structs.replace(
            unit, assigned_agent=self._assigned_agent(agent, unit), is_evaluation=agent.agent in evaluations
        )

    def _assigned_agent(self, agent: lifecycles.AgentRecord, unit: Unit) -> AssignedAgent:
        body = self._ledger.log.payload(agent.submission) if agent.submission else None
        outputs = None if body is None else msgspec.json.decode(body)
        return AssignedAgent(agent.agent, agent.worker, AgentState(unit.data, outputs))

    def _assignment(self, assignment_id: AssignmentId) -> Assignment:
        fact = self._ledger.state.records[streams.assignment(self._run, assignment_id)].fact
        if not isinstance(fact, AssignmentCreated):
            raise TypeError(f"assignment {assignment_id} is recorded as {type(fact).__name__}")
        body = self._ledger.log.payload(fact.data)
        return Assignment(assignment_id, _init_data.decode(body) if body else InitializationData(shared={}))
