"""Gives plain functions an agent whose methods block, because they run in threads and cannot await."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from ...abstractions.agent import Participant, Update
from .calls import wait_on_loop

HandleT = TypeVar("HandleT", bound=Participant)


def agent_for(function: Callable[..., object], agent: HandleT) -> HandleT:
    """Return the agent that a function of a task runner gets: one whose methods block, if it is a plain one."""
    if inspect.iscoroutinefunction(function):
        return agent
    # A plain function cannot use what has to be awaited; everything else of the handle is there too.
    return cast(HandleT, PlainAgent(agent))


class PlainAgent(Generic[HandleT]):
    """An agent or onboarding agent for plain functions: what awaits there blocks here; the rest is the same."""

    def __init__(self, agent: HandleT) -> None:
        """Wrap a handle; the event loop that it belongs to has started the thread that uses this object."""
        self.handle = agent

    def __getattr__(self, name: str) -> object:
        """Return an attribute of the handle."""
        return getattr(self.handle, name)

    def observe(self, live_update: Update) -> None:
        """Send a live update to the worker's page; see `Participant.observe`.

        Raises:
            AgentLeftError: the worker has left.
        """
        wait_on_loop(self.handle.observe, live_update)

    def get_live_update(self, timeout: float | None = None) -> Update | None:
        """Wait for the next live update from the worker's page; see `Participant.get_live_update`.

        Raises:
            AgentLeftError: the worker has left, and all its updates were read.
        """
        return wait_on_loop(self.handle.get_live_update, timeout)

    #: Mephisto's older name.
    act = get_live_update

    def await_submit(self, timeout: float | None = None) -> bool:
        """Wait until the worker has submitted its work; see `Participant.await_submit`.

        Raises:
            AgentLeftError: the worker has left without submitting.
        """
        return wait_on_loop(self.handle.await_submit, timeout)
