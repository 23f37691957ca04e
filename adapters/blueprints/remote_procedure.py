"""Tasks whose page calls Python functions of the launch script, as if they were its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec
from omegaconf import DictConfig

from ...core.abstractions.agent import Agent, PastUpdate, Unit, Update
from ...core.abstractions.args import BlueprintArgs
from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.callbacks import called_with
from ...core.abstractions.task_runner import TaskRunner
from ...core.errors import AgentLeftError, ConfigError
from ...core.operations.launching.assignment_data import to_plain
from ...core.operations.logger_core import get_logger
from ...core.operations.registry import register_mephisto_abstraction
from ...core.operations.task_code.calls import call
from ...core.operations.task_code.timings import UserFunction, timings
from .page_checks import KEY as PAGE_KEY
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
    function_registry: Mapping[str, RemoteProcedure] = field(
        default_factory=dict, metadata=called_with("request_id", "args", "agent")
    )


class _Call(msgspec.Struct, frozen=True):
    """A page's call, as it comes in a live update."""

    request_id: str
    target: str
    #: A JSON text; the page leaves it out when it passes nothing.
    args: str = "null"


class RemoteProcedureTaskRunner(TaskRunner):
    """Answers the calls of each agent's page, one after the other, until the work is handed in.

    What was answered before a restart is taken from the log: a function is not called again for it.
    """

    shared_state: SharedRemoteProcedureTaskState

    def get_init_data_for_agent(self, agent: Agent) -> Update:
        """The unit's data, and what was called and answered so far: a page that is loaded again can go on."""
        requests = [request for past in agent.past_updates() if (request := _as_request(past)) is not None]
        return {"task_data": super().get_init_data_for_agent(agent), "previous_requests": requests}

    async def run_unit(self, unit: Unit, agent: Agent) -> None:  # noqa: ARG002
        """Answer calls until the work is handed in.

        Raises:
            AgentLeftError: the worker is gone.
        """
        said = deque(past.update for past in agent.past_updates() if not past.by_page)
        while not agent.has_submitted:
            update = await agent.get_live_update()
            if update is not None and "request_id" in update:
                await self._answer(update, agent, said)

    async def _answer(self, update: Update, agent: Agent, said: deque[Update]) -> None:
        """Answer a call.

        Args:
            update: the call.
            agent: whose page called.
            said: what was sent to the page before a restart, and not been said again yet.
        """
        try:
            wanted = msgspec.convert(update, _Call)
        except msgspec.ValidationError as error:
            logger.warning("not a remote procedure call", agent=agent.agent_id, reason=str(error))
            return
        if any(past.get("handles") == wanted.request_id for past in said):
            await _say_again(agent, said, wanted.request_id)
            return
        said.clear()  # what is left of it is for the function to say again
        response, problem = await self._result(wanted, agent)
        answer: Update = {"handles": wanted.request_id, "response": response}
        await agent.observe(answer if problem is None else answer | {"error": problem})

    async def _result(self, wanted: _Call, agent: Agent) -> tuple[str | None, str | None]:
        """The answer as a JSON text, or else what is wrong, in words for the worker."""
        function = self.shared_state.function_registry.get(wanted.target)
        log = logger.bind(agent=agent.agent_id, procedure=wanted.target)
        if function is None:
            log.warning("the page calls a procedure that is not in the function_registry")
            return None, UNKNOWN
        try:
            args = msgspec.json.decode(wanted.args)
        except (msgspec.DecodeError, RecursionError):
            log.warning("the arguments are not JSON, or nested beyond reason")
            return None, UNREADABLE
        try:
            with timings().function(UserFunction.REMOTE_PROCEDURE):
                answer = await call(function, wanted.request_id, args, agent)
            return msgspec.json.encode(answer, enc_hook=to_plain).decode(), None
        except AgentLeftError:
            raise
        except Exception:  # whatever a user's function raises concerns this call alone
            log.exception("the procedure failed")
            return None, FAILED


async def _say_again(agent: Agent, said: deque[Update], request_id: str) -> None:
    """Go through what was said before a restart, up to the answer to a call."""
    again: Update = {}
    while again.get("handles") != request_id:
        again = said.popleft()
        await agent.observe(again)


def _as_request(past: PastUpdate) -> Update | None:
    """A call or an answer as a page that is loaded again wants it; None: it is neither."""
    update = past.update
    if past.by_page:
        try:
            called = msgspec.convert(update, _Call)
        except msgspec.ValidationError:
            return None
        uuid, target, args, response = called.request_id, called.target, called.args, None
    elif "handles" in update:
        uuid, target, args, response = update["update_id"], update["handles"], None, update["response"]
    else:
        return None
    return {
        "uuid": uuid,
        "target": target,
        "args_json": args,
        "response_json": response,
        "timestamp": past.at,
    }


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
