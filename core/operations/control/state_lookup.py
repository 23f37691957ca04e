"""Looks entities up in the state of a ledger, by id or by a worker's name at the provider."""

from __future__ import annotations

from collections.abc import Sequence

from ....events import streams
from ....events.ids import AgentId, AssignmentId, OnboardingAgentId, TaskRunId, UnitId, WorkerId
from ...entity_ref import EntityRef
from ...payloads import pseudonym
from ...state.decision_state import DecisionState


class StateLookup:
    """Knowledge of the entities in a state; see `EntityLookup`."""

    def __init__(self, state: DecisionState, pseudonym_key: bytes) -> None:
        """Initialize.

        Args:
            state: the state.
            pseudonym_key: the log's secret; names are found by their pseudonyms.
        """
        self._state = state
        self._key = pseudonym_key

    def has(self, entity: EntityRef) -> bool:
        """Return whether there is such an entity."""
        state, number = self._state, entity.number
        match entity.kind:
            case "run":
                return TaskRunId(number) in state.runs
            case "worker":
                return streams.worker(WorkerId(number)) in state.versions
            case "assignment":
                names = (streams.assignment(run, AssignmentId(number)) for run in state.runs)
            case "unit":
                names = (streams.unit(run, UnitId(number)) for run in state.runs)
            case "agent":
                names = (streams.agent(run, AgentId(number)) for run in state.runs)
            case _:
                names = (streams.onboarding_agent(run, OnboardingAgentId(number)) for run in state.runs)
        return any(name in state.versions for name in names)

    def workers_named(self, name: str) -> Sequence[WorkerId]:
        """Return the workers with a name at their provider."""
        providers = {worker.provider_type for worker in self._state.workers.values()}
        identities = (pseudonym(self._key, provider, name) for provider in sorted(providers))
        known = self._state.workers_by_identity
        return sorted(known[identity] for identity in identities if identity in known)
