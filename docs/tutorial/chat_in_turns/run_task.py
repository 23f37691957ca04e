"""Two people take turns to talk about a topic."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import ClassVar

from omegaconf import DictConfig

from mephisto_es import (
    Agent,
    Assignment,
    LiveTaskRunner,
    Operator,
    StaticTaskBlueprint,
    TaskRunner,
    register_mephisto_abstraction,
    task_script,
)

#: Messages in a conversation.
MESSAGES = 4


class TurnChatRunner(LiveTaskRunner):
    """Gives each person their turn and forwards what they say."""

    is_concurrent = True  # the units of an assignment are done together, by run_assignment

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        """Lead one conversation. After a crash it starts again and replays to where it was."""
        first, second = agents
        for speaker, listener in islice(cycle([(first, second), (second, first)]), MESSAGES):
            await speaker.observe({"your_turn": True})
            update = await speaker.get_live_update()
            if update is None:
                break  # submitted before the end
            await listener.observe({"text": update["text"], "from_partner": True})
        for agent in agents:
            await agent.observe({"is_over": True})


@register_mephisto_abstraction()
class TurnChatBlueprint(StaticTaskBlueprint):
    """A static task whose units are done in pairs."""

    BLUEPRINT_TYPE: ClassVar[str] = "chat_in_turns"
    TaskRunnerClass: ClassVar[type[TaskRunner]] = TurnChatRunner


@task_script(default_config_file="chat_in_turns")
async def main(operator: Operator, cfg: DictConfig) -> None:
    """Talk with another person about a topic."""
    run = await operator.launch_task_run_or_die(cfg.mephisto)
    print(f"Open {operator.get_running_task_runs()[run].worker_url}", flush=True)
    await operator.wait_for_runs_then_shutdown()


if __name__ == "__main__":
    main()
