"""Runs the worlds of a task, each in a thread, on the durable agents of the operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from omegaconf import DictConfig

from ....core.abstractions.agent import Agent, Assignment, OnboardingAgent, Unit
from ....core.abstractions.shared_task_state import SharedTaskState
from ....core.abstractions.task_runner import LiveTaskRunner
from ....core.operations.task_code.calls import run_in_thread
from ....core.operations.task_code.plain_agents import PlainAgent
from .world_agents import WORLD_DATA, MephistoAgentWrapper, World
from .world_classes import call_method
from .world_module import WorldMaker


class ParlAIChatTaskRunner(LiveTaskRunner):
    """Runs a world for each assignment, and one for each onboarding.

    After a restart a world is made again and goes through the recorded messages; what its agents observed is not sent
    twice. So a world must send the same messages when it gets the same ones: what it draws at random has to follow
    from its data.
    """

    def __init__(
        self,
        args: DictConfig,
        shared_state: SharedTaskState,
        maker: WorldMaker,
        world_opt: object,
        onboarding_opt: object,
    ) -> None:
        super().__init__(args, shared_state)
        self._maker = maker
        self._world_opt = world_opt
        self._onboarding_opt = onboarding_opt
        self.is_concurrent = maker.agent_count > 1
        self.max_repeats = args.blueprint.max_repeats

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        """Run a world for one worker.

        Raises:
            AgentLeftError: the worker left.
        """
        await self._run_task(unit.assignment, [agent])

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        """Run a world for the workers of an assignment.

        Raises:
            AgentLeftError: a worker left.
        """
        await self._run_task(assignment, agents)

    async def run_onboarding(self, agent: OnboardingAgent) -> None:
        """Run the world of an onboarding; its page submits when the world is at its end.

        Raises:
            AgentLeftError: the worker left.
        """
        wrapped = MephistoAgentWrapper(PlainAgent(agent))
        data = self.get_init_data_for_onboarding(agent)
        make = partial(self._maker.make_onboarding_world, self._onboarding_opt, wrapped, data)
        await run_in_thread(partial(_run_world, make, [wrapped], is_task=False))

    async def _run_task(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        wrapped = [MephistoAgentWrapper(PlainAgent(agent)) for agent in agents]
        make = partial(self._maker.make_world, self._world_opt, wrapped, assignment.get_assignment_data())
        await run_in_thread(partial(_run_world, make, wrapped, is_task=True))


def _run_world(make: Callable[[], World], agents: Sequence[MephistoAgentWrapper], *, is_task: bool) -> None:
    """Run a world to its end; it is shut down also when a worker leaves."""
    world = make()
    try:
        while not call_method(world, "episode_done"):
            call_method(world, "parley")
    finally:
        call_method(world, "shutdown")
    for agent in agents:
        saved = call_method(world, "prep_save_data", [agent])
        end = {"task_data": {"task_done": True}} if is_task else {}
        if saved is not None:
            agent.observe({"id": WORLD_DATA, "WORLD_DATA": saved, "text": "", **end})
        elif is_task:
            agent.observe(end)
