"""The handles that a task's code works with: agents, units, assignments."""

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
        """The assignment's data."""
        return self.data


class Unit(msgspec.Struct, frozen=True):
    """A unit, for task code."""

    unit_id: UnitId
    unit_index: int
    assignment: Assignment
    #: Who did it; known to callbacks that are told of what was handed in.
    assigned_agent: AssignedAgent | None = None
    #: Whether it tells if the worker may go on: a screening or gold unit, or ordinary work that serves as one.
    is_evaluation: bool = False

    def get_assignment(self) -> Assignment:
        """The assignment it is part of."""
        return self.assignment

    def get_assigned_agent(self) -> AssignedAgent | None:
        """Who did it, with the data; known to callbacks that are told of what was handed in."""
        return self.assigned_agent

    @property
    def data(self) -> Update:
        """What the worker is to work on: the shared data and the unit's own."""
        return self.assignment.data.of_unit(self.unit_index)


class PastUpdate(NamedTuple):
    """Something that was said between an agent's page and the task's code."""

    #: Whether the page said it; otherwise the task's code did.
    by_page: bool
    update: Update
    #: Seconds since the epoch.
    at: float


class Participant(ABC):
    """A worker's page, as task code sees it: what it sends comes in order, and its leaving is an exception."""

    def __init__(self, agent_id: int, worker_id: WorkerId, token: str, status: str, send: Send) -> None:
        self.worker_id = worker_id
        #: The id by which pages and routers know it.
        self.token = token
        #: Updates from the page that were not taken yet, the oldest first.
        self.pending_actions: deque[Update] = deque()
        self.agent_id = agent_id
        self._status = status
        self._noticed = ""
        self._send = send
        self._news = Signal()

    def get_status(self) -> str:
        """The status, in Mephisto's words, as of the last durable event."""
        return self._status

    async def observe(self, live_update: Update) -> None:
        """Send a live update to the worker's page; it is durable before it is sent.

        Args:
            live_update: a JSON object. An `update_id` is added if it has none.

        Raises:
            AgentLeftError: there is nobody any more.
        """
        self._check()
        await self._send(live_update)

    async def get_live_update(self, timeout: float | None = None) -> Update | None:  # noqa: ASYNC109 - Mephisto's
        """The next live update from the worker's page.

        Args:
            timeout: seconds to wait for it; None: for ever; 0: take what is there.

        Returns:
            The update, or None if none came in time, or none will come because the work was handed in.

        Raises:
            AgentLeftError: the worker is gone and all it sent has been taken.
        """
        with trio.move_on_after(float("inf") if timeout is None else timeout):
            while not (self.pending_actions or self.has_submitted):
                self._check()
                await self._news.wait()
        return self.pending_actions.popleft() if self.pending_actions else None

    async def await_submit(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - Mephisto's
        """Wait until the worker has handed in its work.

        Args:
            timeout: seconds to wait; None: for ever.

        Returns:
            Whether it has.

        Raises:
            AgentLeftError: the worker is gone without.
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
        """Whether the work was handed in."""

    def deliver(self, update: Update) -> None:
        """Hand over a durable update from the page. For the worker pool."""
        self.pending_actions.append(update)
        self._news.notify()

    def has_noticed(self, status: str) -> bool:
        """Return whether task code knows of a status already. For the worker pool."""
        return self._noticed == status

    def notice(self, status: str) -> None:
        """Hand over a durable change of status. For the worker pool."""
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
        """All that was said so far, in order, also before a restart; what was erased is left out."""
        return self._recall()

    def get_unit(self) -> Unit:
        """The unit it works on."""
        return self.unit

    @property
    def has_submitted(self) -> bool:
        """Whether the work was handed in."""
        return self._status in {"completed", "approved", "soft_rejected", "rejected"}


class OnboardingAgent(Participant):
    """A worker in the step before the first unit of a run."""

    def __init__(self, agent_id: OnboardingAgentId, worker_id: WorkerId, token: str, status: str, send: Send) -> None:
        super().__init__(agent_id, worker_id, token, status, send)
        self.agent_id = agent_id

    @property
    def has_submitted(self) -> bool:
        """Whether the onboarding was handed in."""
        return self._status in {"waiting", "approved", "rejected"}
