"""Provides chats: the workers of an assignment write to each other until each has written enough messages."""

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
from ...core.operations.texts.catalogue import ServerText, load_texts
from .html.html_page import is_html_task
from .page_checks import KEY as PAGE_KEY
from .static_task import StaticTaskBlueprint, StaticTaskBlueprintArgs

#: The fields of a message that partners receive. The id lets a page show a repeated message once.
FORWARDED = ("text", "update_id")
#: The sender of messages that no worker wrote.
HOST = "Host"


@dataclass
class PairedChatBlueprintArgs(StaticTaskBlueprintArgs):
    """Settings of a chat: those of a static task, without a stock page."""

    units_per_assignment: int = field(default=2, metadata={"help": "Number of workers in one chat."})
    messages_per_worker: int = field(default=5, metadata={"help": "Number of messages that each worker writes."})
    max_repeats: int = field(
        default=3, metadata={"help": "How often a chat that a worker left is offered to others again; 0 for never."}
    )


class PairedChatTaskRunner(LiveTaskRunner):
    """Forwards the messages of each worker to the others."""

    is_concurrent = True

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        super().__init__(args, shared_state)
        self.max_repeats = args.blueprint.max_repeats
        self._texts = load_texts(args.task.language, dict(args.task.texts))

    async def run_assignment(self, assignment: Assignment, agents: Sequence[Agent]) -> None:
        """Run a chat until it ends.

        Raises:
            AgentLeftError: a worker left.
        """
        data = assignment.get_assignment_data().shared
        topic = {"topic": data["topic"]} if "topic" in data else {}
        names = [f"Speaker {number}" for number in range(1, len(agents) + 1)]
        for agent, name in zip(agents, names, strict=True):
            await agent.observe({"task_data": {"agent_display_name": name, **topic}})
        async with trio.open_nursery() as nursery:
            for agent, name in zip(agents, names, strict=True):
                nursery.start_soon(self._forward, agent, name, [one for one in agents if one is not agent])
        for agent in agents:
            await agent.observe({"task_data": {"task_done": True}})

    async def _forward(self, agent: Agent, speaker: str, others: Sequence[Agent]) -> None:
        """Forward a worker's messages until there are enough, or until the worker submits."""
        written = 0
        # A fixed number for each worker instead of a total: so the code takes the same path after a restart, whoever
        # is faster.
        while written < self.args.blueprint.messages_per_worker:
            update = await agent.get_live_update()
            if update is None:
                return
            if not isinstance(update.get("text"), str):
                continue
            written += 1
            forwarded = {name: value for name, value in update.items() if name in FORWARDED}
            for other in others:
                await other.observe({**forwarded, "id": speaker})
        await agent.observe({"id": HOST, "text": self._texts.of_server(ServerText.LAST_MESSAGE)})


@register_mephisto_abstraction()
class PairedChatBlueprint(StaticTaskBlueprint):
    """Chats about the topic in each item of the data, with the task's own page."""

    BLUEPRINT_TYPE: ClassVar[str] = "paired_chat"
    ArgsClass: ClassVar[type[BlueprintArgs]] = PairedChatBlueprintArgs
    TaskRunnerClass: ClassVar[type[TaskRunner]] = PairedChatTaskRunner

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Check that there are data and a page, and that the numbers make a chat.

        Raises:
            ConfigError: something is missing or wrong.
        """
        super().assert_task_args(args, shared_state)
        if args.blueprint.task_source is None or is_html_task(args.blueprint.task_source):
            raise ConfigError(
                "a chat needs its own page",
                key=PAGE_KEY,
                hint=f"Set {PAGE_KEY} to a folder with an index.html, or to a bundle of scripts",
            )
        for name, minimum in (("units_per_assignment", 2), ("messages_per_worker", 1), ("max_repeats", 0)):
            if args.blueprint[name] < minimum:
                key = f"mephisto.blueprint.{name}"
                raise ConfigError(f"{key} is {args.blueprint[name]}", key=key, hint=f"It must be {minimum} or more")
