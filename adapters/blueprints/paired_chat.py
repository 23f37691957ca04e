"""Conversations: the workers of an assignment write to each other until each of them has written enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import trio
from omegaconf import DictConfig

from ...core.abstractions.agent import Agent, Assignment
from ...core.abstractions.args import BlueprintArgs
from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.task_runner import LiveTaskRunner, TaskRunner
from ...core.errors import ConfigError
from ...core.operations.registry import register_mephisto_abstraction
from .page_checks import KEY as PAGE_KEY
from .static_task import StaticTaskBlueprint, StaticTaskBlueprintArgs

#: What a partner gets of a message; its id, so that it is shown once however often it comes.
PASSED_ON = ("text", "update_id")
#: Who says what no worker said.
HOST = "Host"
ENOUGH = "That was your last message. The conversation ends when everybody has written theirs."


@dataclass
class PairedChatBlueprintArgs(StaticTaskBlueprintArgs):
    """What a chat can be told: the same as a static task, but there is no stock page."""

    units_per_assignment: int = field(default=2, metadata={"help": "How many workers are in one chat."})
    messages_per_worker: int = field(default=5, metadata={"help": "How many messages each of them writes."})
    max_repeats: int = field(
        default=3, metadata={"help": "How often a chat that somebody left is offered once more, to others; 0: never."}
    )


class PairedChatTaskRunner(LiveTaskRunner):
    """Passes on what the workers of a chat write."""

    is_concurrent = True

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        super().__init__(args, shared_state)
        self.max_repeats = args.blueprint.max_repeats

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        """Run a chat to its end.

        Raises:
            AgentLeftError: somebody is gone.
        """
        data = assignment.get_assignment_data().shared
        topic = {"topic": data["topic"]} if "topic" in data else {}
        names = [f"Speaker {number}" for number in range(1, len(agents) + 1)]
        for agent, name in zip(agents, names, strict=True):
            await agent.observe({"task_data": {"agent_display_name": name, **topic}})
        async with trio.open_nursery() as nursery:
            for agent, name in zip(agents, names, strict=True):
                nursery.start_soon(self._pass_on, agent, name, [one for one in agents if one is not agent])
        for agent in agents:
            await agent.observe({"task_data": {"task_done": True}})

    async def _pass_on(self, agent: Agent, speaker: str, others: Sequence[Agent]) -> None:
        """Pass on a worker's messages until there are enough of them, or the worker has handed in."""
        written = 0
        # A fixed number for each worker, and none for all together: so the code takes the same path after a restart,
        # whoever was the quicker.
        while written < self.args.blueprint.messages_per_worker:
            update = await agent.get_live_update()
            if update is None:
                return
            if not isinstance(update.get("text"), str):
                continue
            written += 1
            passed_on = {name: value for name, value in update.items() if name in PASSED_ON}
            for other in others:
                await other.observe({**passed_on, "id": speaker})
        await agent.observe({"id": HOST, "text": ENOUGH})


@register_mephisto_abstraction()
class PairedChatBlueprint(StaticTaskBlueprint):
    """Chats about the topic in each item of the data, with a page of one's own."""

    BLUEPRINT_TYPE: ClassVar[str] = "paired_chat"
    ArgsClass: ClassVar[type[BlueprintArgs]] = PairedChatBlueprintArgs
    TaskRunnerClass: ClassVar[type[TaskRunner]] = PairedChatTaskRunner

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """See whether there are data, a page, and numbers that make a chat.

        Raises:
            ConfigError: something is missing or wrong.
        """
        super().assert_task_args(args, shared_state)
        if args.blueprint.task_source is None:
            raise ConfigError(
                "a chat needs a page of its own",
                key=PAGE_KEY,
                hint=f"Set {PAGE_KEY} to a folder with an index.html, or to a bundle of scripts",
            )
        for name, least in (("units_per_assignment", 2), ("messages_per_worker", 1), ("max_repeats", 0)):
            if args.blueprint[name] < least:
                key = f"mephisto.blueprint.{name}"
                raise ConfigError(f"{key} is {args.blueprint[name]}", key=key, hint=f"It must be {least} or more")
