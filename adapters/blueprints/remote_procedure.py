"""Provides tasks whose page calls Python functions of the launch script."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import msgspec
from omegaconf import DictConfig

from ...core.abstractions.agent import Agent, Unit, Update
from ...core.abstractions.args import BlueprintArgs
from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.callbacks import called_with, quick, remote_procedure
from ...core.abstractions.task_runner import TaskRunner
from ...core.abstractions.work.agent_data import as_request
from ...core.abstractions.work_data import RemoteRequest
from ...core.errors import ConfigError, UserCodeError
from ...core.operations.logger_core import get_logger
from ...core.operations.registry import register_mephisto_abstraction
from ...core.operations.task_code.timings import UserFunction, timings
from ...core.operations.texts.catalogue import ServerText, load_texts
from .html.html_page import is_html_task
from .page_checks import KEY as PAGE_KEY
from .static_task import SharedStaticTaskState, StaticTaskBlueprint, StaticTaskBlueprintArgs


class RemoteProcedureAgentState:
    """The state of an agent whose page calls procedures, as the procedures get it.

    Attributes:
        agent: the agent, for procedures that send updates to the page themselves.
    """

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    @property
    def init_data(self) -> Update:
        """The data of the agent's unit."""
        return self.agent.unit.data

    @property
    def requests(self) -> dict[str, RemoteRequest]:
        """Calls so far and the answers to them, by their ids, the oldest first."""
        found = (as_request(past) for past in self.agent.past_updates())
        return {request.uuid: request for request in found if request is not None}

    def get_init_state(self) -> Update:
        """Return the unit's data, and the calls and answers so far, as the page gets them."""
        return {
            "task_data": self.init_data,
            "previous_requests": [request.to_dict() for request in self.requests.values()],
        }

    def get_data(self) -> dict[str, Any]:
        """Return the work so far, under the names `inputs` and `outputs`."""
        requests = [request.to_dict() for request in self.requests.values()]
        return {"inputs": self.init_data, "outputs": {"requests": requests, "final_submission": None}}


#: `function(request_id, args, agent_state)`: `args` is the value that the page passed; the result must fit into JSON.
RemoteProcedure = Callable[[str, Any, RemoteProcedureAgentState], Any | Awaitable[Any]]

logger = get_logger(__name__)


@dataclass
class RemoteProcedureBlueprintArgs(StaticTaskBlueprintArgs):
    """Settings of a task with remote procedures: those of a static task, without a stock page."""


@dataclass
class SharedRemoteProcedureTaskState(SharedStaticTaskState):
    """The shared state of a task with remote procedures."""

    #: The functions that the page may call, by name. Plain functions run in worker threads.
    function_registry: Mapping[str, RemoteProcedure] = field(
        default_factory=dict, metadata=called_with("request_id", "args", "agent_state")
    )


class _Call(msgspec.Struct, frozen=True):
    """A call by the page, as sent in a live update."""

    request_id: str
    target: str
    #: JSON text; the page omits it if it passes nothing.
    args: str = "null"


class RemoteProcedureTaskRunner(TaskRunner):
    """Answers the calls of each agent's page one by one, until the work is submitted.

    Answers given before a restart are taken from the log; the function is not called again.
    """

    shared_state: SharedRemoteProcedureTaskState

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        super().__init__(args, shared_state)
        self._texts = load_texts(args.task.language, dict(args.task.texts))

    @quick
    def get_init_data_for_agent(self, agent: Agent) -> Update:
        """Return the unit's data and the calls and answers so far, so that a reloaded page can continue."""
        state = RemoteProcedureAgentState(agent).get_init_state()
        return state | {"task_data": super().get_init_data_for_agent(agent)}

    async def run_unit(self, unit: Unit, agent: Agent) -> None:  # noqa: ARG002
        """Answer calls until the work is submitted.

        Raises:
            AgentLeftError: the worker left.
        """
        sent = deque(past.update for past in agent.past_updates() if not past.by_page)
        while not agent.has_submitted:
            update = await agent.get_live_update()
            if update is not None and "request_id" in update:
                await self._answer(update, agent, sent)

    async def _answer(self, update: Update, agent: Agent, sent: deque[Update]) -> None:
        """Answer a call.

        Args:
            update: the call.
            agent: the agent of the page.
            sent: updates sent to the page before a restart and not repeated yet.
        """
        try:
            request = msgspec.convert(update, _Call)
        except msgspec.ValidationError as error:
            logger.warning("not a remote procedure call", agent=agent.agent_id, reason=str(error))
            return
        if any(past.get("handles") == request.request_id for past in sent):
            await _repeat(agent, sent, request.request_id)
            return
        sent.clear()  # the function repeats the rest itself
        response, problem = await self._result(request, agent)
        answer: Update = {"handles": request.request_id, "response": response}
        await agent.observe(answer if problem is None else answer | {"error": problem})

    async def _result(self, request: _Call, agent: Agent) -> tuple[str | None, str | None]:
        """Return the answer as JSON text, or else a message for the worker."""
        function = self.shared_state.function_registry.get(request.target)
        log = logger.bind(agent=agent.agent_id, procedure=request.target)
        if function is None:
            log.warning("the page calls a procedure that is not in the function_registry")
            return None, self._texts.of_server(ServerText.PROCEDURE_UNKNOWN)
        try:
            args = msgspec.json.decode(request.args)
        except (msgspec.DecodeError, RecursionError):
            log.warning("the arguments are not JSON, or nested too deeply")
            return None, self._texts.of_server(ServerText.PROCEDURE_UNREADABLE)
        try:
            with timings().function(UserFunction.REMOTE_PROCEDURE):
                code = partial(function, request.request_id, args, RemoteProcedureAgentState(agent))
                return await agent.call_task_code(remote_procedure(request.target), code), None
        except UserCodeError:
            # The failure is an event; the worker reads only that there was one.
            return None, self._texts.of_server(ServerText.PROCEDURE_FAILED)


async def _repeat(agent: Agent, sent: deque[Update], request_id: str) -> None:
    """Repeat the updates sent before a restart, up to the answer to a call."""
    update: Update = {}
    while update.get("handles") != request_id:
        update = sent.popleft()
        await agent.observe(update)


@register_mephisto_abstraction()
class RemoteProcedureBlueprint(StaticTaskBlueprint):
    """Serves the task's own page, which calls the functions in `function_registry`."""

    BLUEPRINT_TYPE: ClassVar[str] = "remote_procedure"
    ArgsClass: ClassVar[type[BlueprintArgs]] = RemoteProcedureBlueprintArgs
    SharedStateClass: ClassVar[type[SharedTaskState]] = SharedRemoteProcedureTaskState
    TaskRunnerClass: ClassVar[type[TaskRunner]] = RemoteProcedureTaskRunner

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Check that there are data, a page and functions.

        Raises:
            ConfigError: something is missing.
        """
        super().assert_task_args(args, shared_state)
        if args.blueprint.task_source is None or is_html_task(args.blueprint.task_source):
            raise ConfigError(
                "a task with remote procedures needs its own page",
                key=PAGE_KEY,
                hint=f"Set {PAGE_KEY} to a folder with an index.html, or to a bundle of scripts",
            )
        if not isinstance(shared_state, SharedRemoteProcedureTaskState) or not shared_state.function_registry:
            raise ConfigError(
                "the function_registry is empty",
                key="function_registry",
                hint="Pass a SharedRemoteProcedureTaskState with the functions that the page calls",
            )
