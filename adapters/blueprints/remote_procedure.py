"""Tasks whose page calls Python functions of the launch script, as if they were its own."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from omegaconf import DictConfig

from ...core.abstractions.agent import Agent, Unit, Update
from ...core.abstractions.args import BlueprintArgs
from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.task_runner import TaskRunner
from ...core.errors import AgentLeft, ConfigError
from ...core.operations.callbacks import call
from ...core.operations.logger_core import get_logger
from ...core.operations.registry import register_mephisto_abstraction
from .page_files import KEY as PAGE_KEY
from .static_task import SharedStaticTaskState, StaticTaskBlueprint, StaticTaskBlueprintArgs

#: `function(request_id, args, agent)`; `args` is what the page passed, the answer is anything that JSON can hold.
RemoteProcedure = Callable[[str, Any, Agent], Any | Awaitable[Any]]

#: What the page is told of a call that came to nothing. Why, the log says.
UNKNOWN = "This task has no such procedure."
UNREADABLE = "The arguments of this call cannot be read."
FAILED = "The procedure failed."

logger = get_logger(__name__)


@dataclass
class RemoteProcedureBlueprintArgs(StaticTaskBlueprintArgs):
    """What a task with remote procedures can be told: the same as a static task, but there is no stock page."""


@dataclass
class SharedRemoteProcedureTaskState(SharedStaticTaskState):
    """What a script passes to a task with remote procedures."""

    #: The functions that the page may call, by name. Plain ones run in worker threads.
    function_registry: Mapping[str, RemoteProcedure] = field(default_factory=dict)


class _Call(msgspec.Struct, frozen=True):
    """A page's call, as it comes in a live update."""

    request_id: str
    target: str
    #: A JSON text; the page leaves it out when it passes nothing.
    args: str = "null"


class RemoteProcedureTaskRunner(TaskRunner):
    """Answers the calls of each agent's page, one after the other, until the work is handed in."""

    shared_state: SharedRemoteProcedureTaskState

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        super().__init__(args, shared_state)
        self._requests: dict[int, list[Update]] = {}

    def get_init_data_for_agent(self, agent: Agent) -> Update:
        """The unit's data, and what was called and answered so far: a page that is loaded again can go on."""
        return {
            "task_data": super().get_init_data_for_agent(agent),
            "previous_requests": list(self._requests.get(agent.agent_id, [])),
        }

    async def run_unit(self, unit: Unit, agent: Agent) -> None:  # noqa: ARG002
        """Answer calls until the work is handed in.

        Raises:
            AgentLeft: the worker is gone.
        """
        try:
            while not agent.has_submitted:
                update = await agent.get_live_update()
                if update is not None and "request_id" in update:
                    await self._answer(update, agent)
        finally:
            self._requests.pop(agent.agent_id, None)

    async def _answer(self, update: Update, agent: Agent) -> None:
        try:
            wanted = msgspec.convert(update, _Call)
        except msgspec.ValidationError as error:
            logger.warning("not a remote procedure call", agent=agent.agent_id, reason=str(error))
            return
        self._remember(agent, wanted.request_id, wanted.target, args_json=wanted.args)
        response, problem = await self._result(wanted, agent)
        answer: Update = {"handles": wanted.request_id, "response": response}
        await agent.observe(answer if problem is None else answer | {"error": problem})
        self._remember(agent, f"{wanted.request_id}-answer", wanted.request_id, response_json=response)

    async def _result(self, wanted: _Call, agent: Agent) -> tuple[str | None, str | None]:
        """The answer as a JSON text, or else what is wrong, in words for the worker."""
        function = self.shared_state.function_registry.get(wanted.target)
        log = logger.bind(agent=agent.agent_id, procedure=wanted.target)
        if function is None:
            log.warning("the page calls a procedure that is not in the function_registry")
            return None, UNKNOWN
        try:
            args = msgspec.json.decode(wanted.args)
        except msgspec.DecodeError:
            log.warning("the arguments are not JSON")
            return None, UNREADABLE
        try:
            return msgspec.json.encode(await call(function, wanted.request_id, args, agent)).decode(), None
        except AgentLeft:
            raise
        except Exception:  # whatever a user's function raises concerns this call alone
            log.exception("the procedure failed")
            return None, FAILED

    def _remember(
        self, agent: Agent, uuid: str, target: str, *, args_json: str | None = None, response_json: str | None = None
    ) -> None:
        self._requests.setdefault(agent.agent_id, []).append(
            {
                "uuid": uuid,
                "target": target,
                "args_json": args_json,
                "response_json": response_json,
                "timestamp": time.time(),
            }
        )


@register_mephisto_abstraction()
class RemoteProcedureBlueprint(StaticTaskBlueprint):
    """A page of one's own that calls the functions in `function_registry`."""

    BLUEPRINT_TYPE: ClassVar[str] = "remote_procedure"
    ArgsClass: ClassVar[type[BlueprintArgs]] = RemoteProcedureBlueprintArgs
    SharedStateClass: ClassVar[type[SharedTaskState]] = SharedRemoteProcedureTaskState
    TaskRunnerClass: ClassVar[type[TaskRunner]] = RemoteProcedureTaskRunner

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """See whether there are data, a page and functions.

        Raises:
            ConfigError: something is missing.
        """
        super().assert_task_args(args, shared_state)
        if args.blueprint.task_source is None:
            raise ConfigError(
                "a task with remote procedures needs a page of its own",
                key=PAGE_KEY,
                hint=f"Set {PAGE_KEY} to a folder with an index.html, or to a bundle of scripts",
            )
        if not isinstance(shared_state, SharedRemoteProcedureTaskState) or not shared_state.function_registry:
            raise ConfigError(
                "the function_registry is empty",
                key="function_registry",
                hint="Pass a SharedRemoteProcedureTaskState with the functions that the page calls",
            )
