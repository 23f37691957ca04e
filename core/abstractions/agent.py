"""Handles that task code works with: agents, units, assignments."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
import trio

from ...events.ids import AgentId, AssignmentId, OnboardingAgentId, UnitId, WorkerId
from ..errors import AgentDisconnectedError, AgentLeftError, AgentReturnedError, AgentShutdownError, AgentTimeoutError
from ..signal import Signal
from .work_data import AssignedAgent
from .work_data import InitializationData as InitializationData
from .work_data import Update as Update

_LEFT: dict[str, type[AgentLeftError]] = {
    "disconnect": AgentDisconnectedError,
    "returned": AgentReturnedError,
    "timeout": AgentTimeoutError,
    "expired": AgentShutdownError,
}


class Assignment(msgspec.Struct, frozen=True):
    """An assignment, for task code."""

    assignment_id: AssignmentId
    data: InitializationData

    def get_assignment_data(self) -> InitializationData:
        """Return the assignment's data."""
        return self.data


class Unit(msgspec.Struct, frozen=True):
    """A unit, for task code."""

    unit_id: UnitId
    unit_index: int
    assignment: Assignment
    #: The agent that did the unit, with its submission; only set for callbacks about submissions.
    assigned_agent: AssignedAgent | None = None
    #: True for a unit that evaluates its worker: a screening or gold unit, or an ordinary unit that serves as one.
    is_evaluation: bool = False

    def get_assignment(self) -> Assignment:
        """Return the assignment that the unit is part of."""
        return self.assignment

    def get_assigned_agent(self) -> AssignedAgent | None:
        """Return the agent that did the unit, with its submission; None except in callbacks about submissions."""
        return self.assigned_agent

    @property
    def data(self) -> Update:
        """Data that the worker works on: the assignment's shared data and the unit's own."""
        return self.assignment.data.of_unit(self.unit_index)


class PastUpdate(NamedTuple):
    """A recorded live update between an agent's page and task code."""

    #: True if the page sent it, False if task code did.
    by_page: bool
    update: Update
    #: Seconds since the epoch.
    at: float


class Participant(ABC):
    """A worker's page, as task code sees it: its updates come in order, and its leaving raises an exception."""

    def __init__(self, agent_id: int, worker_id: WorkerId, token: str, status: str, send: Send) -> None:
        self.worker_id = worker_id
        #: Id by which pages and routers know the participant.
        self.token = token
        #: Updates from the page that were not read yet, the oldest first.
        self.pending_actions: deque[Update] = deque()
        self.agent_id = agent_id
        self._status = status
        self._noticed = ""
        self._send = send
        self._news = Signal()

    def get_status(self) -> str:
        """Return the status, in Mephisto's terms, as of the last durable event."""
        return self._status

    async def observe(self, live_update: Update) -> None:
        """Send a live update to the worker's page; it is durable before it is sent.

        Args:
            live_update: a JSON object. An `update_id` is added if it has none.

        Raises:
            AgentLeftError: the worker has left.
        """
        self._check()
        await self._send(live_update)

    async def get_live_update(self, timeout: float | None = None) -> Update | None:  # noqa: ASYNC109 - Mephisto's
        """Wait for the next live update from the worker's page.

        Args:
            timeout: seconds to wait; None to wait forever, 0 to take an update only if there is one.

        Returns:
            The update; None if none came in time, or none will come because the work was submitted.

        Raises:
            AgentLeftError: the worker has left, and all its updates were read.
        """
        with trio.move_on_after(float("inf") if timeout is None else timeout):
            while not (self.pending_actions or self.has_submitted):
                self._check()
                await self._news.wait()
        return self.pending_actions.popleft() if self.pending_actions else None

    async def await_submit(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - Mephisto's
        """Wait until the worker has submitted its work.

        Args:
            timeout: seconds to wait; None to wait forever.

        Returns:
            True if it has submitted.

        Raises:
            AgentLeftError: the worker has left without submitting.
        """
        if self.has_submitted:
            return True
        with trio.move_on_after(float("inf") if timeout is None else timeout):
            while not self.has_submitted:
                self._check()
                await self._news.wait()
        return self.has_submitted

    @property
    @abstractmethod
    def has_submitted(self) -> bool:
        """True once the work was submitted."""

    def deliver(self, update: Update) -> None:
        """Take a durable update from the page. For the worker pool."""
        self.pending_actions.append(update)
        self._news.notify()

    def has_noticed(self, status: str) -> bool:
        """Return whether task code knows of a status already. For the worker pool."""
        return self._noticed == status

    def notice(self, status: str) -> None:
        """Take a durable change of status. For the worker pool."""
        self._status = self._noticed = status
        self._news.notify()

    def _check(self) -> None:
        if self._status in _LEFT:
            raise _LEFT[self._status](self.agent_id)


Send = Callable[[Update], Awaitable[None]]
Recall = Callable[[], list[PastUpdate]]


class Agent(Participant):
    """A worker at work on one unit."""

    def __init__(
        self,
        agent_id: AgentId,
        unit: Unit,
        worker_id: WorkerId,
        token: str,
        status: str,
        send: Send,
        recall: Recall = list,
    ) -> None:
        super().__init__(agent_id, worker_id, token, status, send)
        self.agent_id = agent_id
        self.unit = unit
        self._recall = recall

    def past_updates(self) -> list[PastUpdate]:
        """Return all recorded updates in order, also those from before a restart; erased ones are left out."""
        return self._recall()

    def get_unit(self) -> Unit:
        """Return the unit that the agent works on."""
        return self.unit

    @property
    def has_submitted(self) -> bool:
        """True once the work was submitted."""
        return self._status in {"completed", "approved", "soft_rejected", "rejected"}


class OnboardingAgent(Participant):
    """A worker in the step before the first unit of a run."""

    def __init__(
        self,
        agent_id: OnboardingAgentId,
        worker_id: WorkerId,
        token: str,
        status: str,
        send: Send,
        recall: Recall = list,
    ) -> None:
        super().__init__(agent_id, worker_id, token, status, send)
        self.agent_id = agent_id
        self._recall = recall

    def past_updates(self) -> list[PastUpdate]:
        """Return all recorded updates in order, also those from before a restart; erased ones are left out."""
        return self._recall()

    @property
    def has_submitted(self) -> bool:
        """True once the onboarding was submitted."""
        return self._status in {"waiting", "approved", "rejected"}
