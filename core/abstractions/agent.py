"""Handles of agents and onboarding agents, which task code works with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import trio

from ...events.ids import AgentId, OnboardingAgentId, WorkerId
from ..errors import AgentDisconnectedError, AgentLeftError, AgentReturnedError, AgentShutdownError, AgentTimeoutError
from ..signal import Signal
from .callbacks import Callback
from .work.agent_data import PastUpdate as PastUpdate
from .work.handles import Assignment as Assignment
from .work.handles import Unit as Unit
from .work.handles import Worker as Worker
from .work.handles import WorkReader
from .work.models import AskOnce, ModelAnswer, ModelQuestion, SendQuestion
from .work_data import AgentState
from .work_data import InitializationData as InitializationData
from .work_data import Update as Update

_LEFT: dict[str, type[AgentLeftError]] = {
    "disconnect": AgentDisconnectedError,
    "returned": AgentReturnedError,
    "timeout": AgentTimeoutError,
    "expired": AgentShutdownError,
}


class Participant(ABC):
    """A worker's page, as task code sees it: its updates come in order, and its leaving raises an exception."""

    def __init__(
        self, agent_id: int, worker_id: WorkerId, token: str, status: str, send: Send, reader: ParticipantReader | None
    ) -> None:
        self.worker_id = worker_id
        #: Id by which pages and routers know the participant.
        self.token = token
        #: Updates from the page that were not read yet, the oldest first.
        self.pending_actions: deque[Update] = deque()
        self.agent_id = agent_id
        self._status = status
        self._noticed = ""
        self._send = send
        self._reader = reader
        self._news = Signal()

    @property
    def db_id(self) -> int:
        """The id, under Mephisto's name."""
        return self.agent_id

    def get_worker(self) -> Worker:
        """Return the worker."""
        return Worker(self.worker_id, self._require_reader())

    @property
    @abstractmethod
    def state(self) -> AgentState:
        """The data of the work so far: inputs, outputs with messages or requests, metadata."""

    @abstractmethod
    def get_agent_id(self) -> str:
        """Return the id as Mephisto gives it to pages: text."""

    def _require_reader(self) -> ParticipantReader:
        if self._reader is None:
            raise TypeError("this agent was not made by an operator, and has nothing to read from")
        return self._reader

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


class ParticipantReader(WorkReader, Protocol):
    """Reads about agents and onboarding agents for their handles."""

    def state_of(self, agent: AgentId) -> AgentState:
        """Return the data of an agent's work so far."""

    def onboarding_state_of(self, agent: OnboardingAgentId) -> AgentState:
        """Return the data of an onboarding so far."""

    def data_dir(self, agent: AgentId) -> str:
        """Return the folder of the files that an agent's page uploaded."""


T = TypeVar("T")


class CallTaskCode(Protocol):
    """Calls functions of a task on behalf of an agent, and records their failures."""

    async def __call__(self, callback: Callback[T], function: Callable[[], object]) -> T:
        """Return the answer of a function; see `Agent.call_task_code`."""


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
        reader: ParticipantReader | None = None,
        ask_once: AskOnce | None = None,
        call_task_code: CallTaskCode | None = None,
    ) -> None:
        super().__init__(agent_id, worker_id, token, status, send, reader)
        self.agent_id = agent_id
        self.unit = unit
        self._recall = recall
        self._ask_once = ask_once
        self._call_task_code = call_task_code

    async def ask_model(self, question: ModelQuestion, send: SendQuestion) -> ModelAnswer:
        """Ask a language model once: question and reply are recorded, and after a restart the reply is read from there.

        Args:
            question: the question, as it is recorded.
            send: asks the model; called only if the question was not asked before.

        Raises:
            CommandRefusedError: the run's budget does not cover the reply.
            ModelReplyError: the model gave no reply, or it was lost in a crash.
        """
        if self._ask_once is None:
            return await send()
        return await self._ask_once(question, send)

    async def call_task_code(self, callback: Callback[T], function: Callable[[], object]) -> T:
        """Call another function of the task for this agent; its failure is recorded, and judges nobody.

        Args:
            callback: declares what the function may return.
            function: the function, with its arguments bound.

        Raises:
            AgentLeftError: the worker left, and the function let that through.
            UserCodeError: the function failed.
        """
        if self._call_task_code is None:
            raise TypeError("this agent was not made by an operator, which calls the functions of a task")
        return await self._call_task_code(callback, function)

    def get_agent_id(self) -> str:
        """Return the id as Mephisto gives it to pages: text."""
        return str(self.agent_id)

    @property
    def state(self) -> AgentState:
        """The data of the work so far: inputs, outputs with messages or requests, metadata."""
        return self._require_reader().state_of(AgentId(self.agent_id))

    def get_data_dir(self) -> str:
        """Return the folder of the files that the worker uploaded, which are there some time after the submission."""
        return self._require_reader().data_dir(AgentId(self.agent_id))

    def past_updates(self) -> list[PastUpdate]:
        """Return all recorded updates in order, also those from before a restart; erased ones are left out."""
        return self._recall()

    def get_assignment(self) -> Assignment:
        """Return the assignment of the agent's unit."""
        return self.unit.assignment

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
        reader: ParticipantReader | None = None,
    ) -> None:
        super().__init__(agent_id, worker_id, token, status, send, reader)
        self.agent_id = agent_id
        self._recall = recall

    def past_updates(self) -> list[PastUpdate]:
        """Return all recorded updates in order, also those from before a restart; erased ones are left out."""
        return self._recall()

    def get_agent_id(self) -> str:
        """Return the id as Mephisto gives it to pages: text that begins with `onboarding_`."""
        return f"onboarding_{self.agent_id}"

    @property
    def state(self) -> AgentState:
        """The data of the onboarding so far: inputs, and outputs with messages if there were any."""
        return self._require_reader().onboarding_state_of(OnboardingAgentId(self.agent_id))

    @property
    def has_submitted(self) -> bool:
        """True once the onboarding was submitted."""
        return self._status in {"waiting", "approved", "rejected"}
