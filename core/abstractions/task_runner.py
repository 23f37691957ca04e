"""The interface of task runners, the server-side code of a task."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from .agent import Agent, Assignment, OnboardingAgent, Unit, Update, Worker
from .callbacks import quick
from .shared_task_state import OnboardingSharedState, SharedTaskState


class TaskRunner:
    """Runs units, assignments and onboardings. There is one object per run, and one trio task per call.

    A subclass overrides what its task needs. By default a worker gets the unit's data and submits once.

    Attributes:
        is_concurrent: True if the units of an assignment are worked on together, by `run_assignment`.
        max_repeats: number of times that an assignment for several workers is made again after somebody left it.
    """

    is_concurrent: bool = False
    max_repeats: int = 0

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Keep the run's whole configuration and the state that the launch script passed."""
        self.args = args
        self.shared_state = shared_state

    @quick
    def get_init_data_for_agent(self, agent: Agent) -> Update:
        """Return the initial data of the worker's page; the same each time the page is loaded."""
        return agent.unit.data

    @quick
    def get_init_data_for_onboarding(self, agent: OnboardingAgent) -> Update:  # noqa: ARG002
        """Return the initial data of an onboarding page."""
        return self.shared_state.onboarding_data if isinstance(self.shared_state, OnboardingSharedState) else {}

    def filter_units_for_worker(self, units: Sequence[Unit], worker: Worker) -> Sequence[Unit]:  # noqa: ARG002
        """Return the offered units that are for this worker, the best first."""
        return units

    async def run_unit(self, unit: Unit, agent: Agent) -> None:  # noqa: ARG002
        """Run a unit with its agent; returns when this code has nothing more to do.

        Raises:
            AgentLeftError: the agent left. Let it through: the operator handles the unit.
        """
        await agent.await_submit()

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        """Run an assignment with all its agents.

        Raises:
            AgentLeftError: an agent left. Let it through: the operator handles the units and the partners.
        """

    async def run_onboarding(self, agent: OnboardingAgent) -> None:
        """Run the onboarding of a worker.

        Raises:
            AgentLeftError: the worker left. Let it through.
        """
        await agent.await_submit()

    async def cleanup_unit(self, unit: Unit) -> None:
        """Clean up after a unit that was not finished, for whatever reason."""

    async def cleanup_assignment(self, assignment: Assignment) -> None:
        """Clean up after an assignment that was not finished, for whatever reason."""

    async def cleanup_onboarding(self, agent: OnboardingAgent) -> None:
        """Clean up after an onboarding that was not finished, for whatever reason."""


class LiveTaskRunner(TaskRunner):
    """Base for tasks whose page and task code exchange live updates: a reloaded page gets all earlier updates."""

    @quick
    def get_init_data_for_agent(self, agent: Agent) -> Update:
        """Return the unit's data, and the live updates of both sides in order."""
        return {"task_data": agent.unit.data, "past_live_updates": [past.update for past in agent.past_updates()]}

    @quick
    def get_init_data_for_onboarding(self, agent: OnboardingAgent) -> Update:
        """Return the onboarding's data, and the live updates of both sides in order."""
        data = super().get_init_data_for_onboarding(agent)
        return {"task_data": data, "past_live_updates": [past.update for past in agent.past_updates()]}
