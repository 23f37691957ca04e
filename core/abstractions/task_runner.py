"""The server-side code of a task."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from .agent import Agent, Assignment, OnboardingAgent, PastUpdate, Unit, Update
from .shared_task_state import OnboardingSharedState, SharedTaskState


class TaskRunner:
    """Runs units, assignments and onboardings; one object for a run, one task for each thing being run.

    A subclass overrides what its task needs; as it stands, a worker gets the unit's data and hands in one submission.

    Attributes:
        is_concurrent: whether the units of an assignment are worked on together, by `run_assignment`.
        max_repeats: how often an assignment for several is made once more because somebody left it.
    """

    is_concurrent: bool = False
    max_repeats: int = 0

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Keep the run's whole configuration and what the launch script passed."""
        self.args = args
        self.shared_state = shared_state

    def get_init_data_for_agent(self, agent: Agent) -> Update:
        """What the worker's page begins with; the same whenever it is loaded again."""
        return agent.unit.data

    def get_init_data_for_onboarding(self, agent: OnboardingAgent) -> Update:  # noqa: ARG002
        """What the page begins an onboarding with."""
        return self.shared_state.onboarding_data if isinstance(self.shared_state, OnboardingSharedState) else {}

    def filter_units_for_worker(self, units: Sequence[Unit], worker_id: int) -> Sequence[Unit]:  # noqa: ARG002
        """Which of the units on offer are for this worker, the best first."""
        return units

    async def run_unit(self, unit: Unit, agent: Agent) -> None:  # noqa: ARG002
        """Do a unit with its agent; returns when there is nothing more for this code to do.

        Raises:
            AgentLeftError: let it through; the unit is seen to.
        """
        await agent.await_submit()

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        """Do an assignment with all of its agents.

        Raises:
            AgentLeftError: let it through; units and partners are seen to.
        """

    async def run_onboarding(self, agent: OnboardingAgent) -> None:
        """Do the onboarding of a worker.

        Raises:
            AgentLeftError: let it through.
        """
        await agent.await_submit()

    async def cleanup_unit(self, unit: Unit) -> None:
        """Called when a unit was not finished, whatever the reason."""

    async def cleanup_assignment(self, assignment: Assignment) -> None:
        """Called when an assignment was not finished, whatever the reason."""

    async def cleanup_onboarding(self, agent: OnboardingAgent) -> None:
        """Called when an onboarding was not finished, whatever the reason."""


class LiveTaskRunner(TaskRunner):
    """Base for tasks whose page and task code exchange live updates: a reloaded page gets all earlier updates."""

    def get_init_data_for_agent(self, agent: Agent) -> Update:
        """Return the unit's data, and the live updates of both sides in order."""
        past = [_as_page_sees_it(one) for one in agent.past_updates()]
        return {"task_data": agent.unit.data, "past_live_updates": past}


def _as_page_sees_it(past: PastUpdate) -> Update:
    # A page recognizes its own updates by the lack of a speaker.
    return {name: value for name, value in past.update.items() if not (past.by_page and name == "id")}
