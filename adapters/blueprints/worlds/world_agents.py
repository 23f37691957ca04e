"""Defines worlds, and the agents that act in them: the interface of ParlAI, which need not be installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ....core.abstractions.agent import Agent, OnboardingAgent, Update
from ....core.errors import AgentReturnedError, AgentTimeoutError
from ....core.operations.task_code.plain_agents import PlainAgent

#: Told to a page when its worker is to write.
REQUESTED: Update = {"task_data": {"live_update_requested": True}}
#: The sender of the data that a world saves at its end.
WORLD_DATA = "SUBMIT_WORLD_DATA"


class Act(dict[str, Any]):
    """A message of a worker: a dict with what worlds written for ParlAI expect of it."""

    def __missing__(self, key: str) -> object:
        """Return False for `episode_done`, which pages need not send.

        Raises:
            KeyError: it is another key.
        """
        if key == "episode_done":
            return False
        raise KeyError(key)

    def force_set(self, key: str, value: object) -> None:
        """Set a value, whether or not there is one."""
        self[key] = value


class MephistoAgentWrapper:
    """One worker in a world. A world calls its methods, which block, in the thread that it runs in.

    Attributes:
        mephisto_agent: the agent of the worker, whose methods block too.
    """

    def __init__(self, agent: PlainAgent[Agent] | PlainAgent[OnboardingAgent]) -> None:
        self.mephisto_agent = agent
        self._name = "unnamed agent"

    @property
    def id(self) -> str:
        """The name under which the worker speaks."""
        return self._name

    @property
    def agent_id(self) -> str:
        """The name under which the worker speaks; setting it tells the worker's page."""
        return self._name

    @agent_id.setter
    def agent_id(self, name: str) -> None:
        self._name = name
        self.mephisto_agent.observe({"task_data": {"agent_display_name": name}})

    def observe(self, act: Mapping[str, Any]) -> None:
        """Send a message to the worker's page.

        Args:
            act: the message: `id` is the speaker, `text` what was said, `task_data` anything else.

        Raises:
            AgentLeftError: the worker has left. Let it through.
        """
        self.mephisto_agent.observe(dict(act))

    def act(self, timeout: float | None = None) -> Act:
        """Ask the worker to write, and wait for the message.

        Args:
            timeout: seconds to wait; None to wait as long as the worker has for the task. A worker who lets the time
                pass loses the work.

        Raises:
            AgentLeftError: the worker has left, has submitted already, or did not write in time. Let it through.
        """
        self.mephisto_agent.observe(REQUESTED)
        update = self.mephisto_agent.get_live_update(timeout)
        if update is None:
            handle = self.mephisto_agent.handle
            left = AgentReturnedError if handle.has_submitted else AgentTimeoutError
            raise left(handle.agent_id)
        return Act({**update, "id": self._name})

    def shutdown(self, timeout: float | None = None) -> None:
        """Do nothing: the agent's work ends with its world, or when the worker submits.

        Args:
            timeout: ignored; worlds written for ParlAI pass it.
        """


class World(Protocol):
    """A conversation that a `world_file` makes: it takes turns until the episode is done."""

    def parley(self) -> None:
        """Make one exchange."""

    def episode_done(self) -> bool:
        """Return whether the world is at its end."""

    def shutdown(self) -> None:
        """Clean up, whether or not the end was reached."""
