"""What outlives runs: tasks, requesters, workers and qualifications, each registered once by its name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ....events import streams
from ....events.directory import QualificationCreated, RequesterRegistered, TaskRegistered
from ....events.ids import QualificationId, RequesterId, TaskId, WorkerId
from ....events.worker import WorkerRegistered
from ...errors import CommandRefusedError
from ...ledger import Command, Decide, Ledger
from ...payloads import pseudonym, seal
from ...ports import Ids, NewEvent, Payload
from ...state.decision_state import DecisionState
from ..registry import get_blueprint_from_type, get_crowd_provider_from_type


class Directory:
    """Registers names, each wish as a command of its own.

    `new_...` is refused where there is such a name already, `find_or_create_...` takes the one there is. A method
    returns when the wish is durable, unless it says otherwise. A cancelled call does not take the wish back.

    Raises (all methods):
        LogError: nothing was written, or nobody knows whether it was.
    """

    def __init__(self, ledger: Ledger, ids: Ids, actor: str = "operator") -> None:
        """Take the door.

        Args:
            ledger: the door, its writer task running.
            ids: where ids and salts come from.
            actor: who the log says it was.
        """
        self._ledger = ledger
        self._ids = ids
        self._actor = actor

    async def new_task(self, task_name: str, task_type: str) -> TaskId:
        """Register a task before its first run, which does so otherwise.

        Args:
            task_name: its name.
            task_type: the name of its blueprint.

        Raises:
            ConfigError: there is no such blueprint.
            CommandRefusedError: there is a task of that name.
        """
        get_blueprint_from_type(task_type)
        new = TaskId(self._ids.next_id("task"))

        def decide(state: DecisionState) -> list[NewEvent]:
            _refuse_if_known(f"the task {task_name!r}", state.tasks_by_name.get(task_name))
            return [NewEvent(streams.task(new), TaskRegistered(task=new, name=task_name, task_type=task_type))]

        await self._execute(decide)
        return new

    async def new_requester(self, requester_name: str, provider_type: str) -> RequesterId:
        """Register an account at a provider before its first run, which does so otherwise.

        Raises:
            ConfigError: there is no such provider.
            CommandRefusedError: there is an account of that name.
        """
        get_crowd_provider_from_type(provider_type)
        registered = self._requester(requester_name, provider_type)

        def decide(state: DecisionState) -> list[NewEvent]:
            known = state.requesters_by_name.get((provider_type, requester_name))
            _refuse_if_known(f"the requester {requester_name!r} of {provider_type}", known)
            return [registered]

        await self._execute(decide)
        return self._ledger.state.requesters_by_name[provider_type, requester_name]

    async def find_or_create_requester(self, requester_name: str, provider_type: str) -> bool:
        """See to it that an account at a provider is known by its name; whether it is new."""
        registered = self._requester(requester_name, provider_type)

        def decide(state: DecisionState) -> list[NewEvent]:
            return [] if (provider_type, requester_name) in state.requesters_by_name else [registered]

        return await self._execute(decide)

    async def new_worker(self, worker_name: str, provider_type: str) -> WorkerId:
        """Register a person before the first visit, which does so otherwise: to block, or to grant a qualification.

        Args:
            worker_name: the name at the provider.
            provider_type: the provider.

        Raises:
            ConfigError: there is no such provider.
            CommandRefusedError: there is a worker of that name.
        """
        get_crowd_provider_from_type(provider_type)
        identity = self._identity(worker_name, provider_type)
        registered, name = self._worker(worker_name, provider_type, identity)

        def decide(state: DecisionState) -> list[NewEvent]:
            # The name itself is personal, and stands in no error.
            _refuse_if_known(f"the worker of that name at {provider_type}", state.workers_by_identity.get(identity))
            return [registered]

        await self._execute(decide, [name])
        return self._ledger.state.workers_by_identity[identity]

    async def find_or_create_worker(self, worker_name: str, provider_type: str) -> WorkerId:
        """The worker behind a name at a provider; a person who is seen for the first time is registered.

        Returns when that is decided; it is durable at the latest with what is decided next.
        """
        state, identity = self._ledger.state, self._identity(worker_name, provider_type)
        if identity not in state.workers_by_identity:
            registered, name = self._worker(worker_name, provider_type, identity)

            def decide(state: DecisionState) -> list[NewEvent]:
                return [] if identity in state.workers_by_identity else [registered]

            await self._ledger.submit_decided(self._command(decide, [name]))
        return state.workers_by_identity[identity]

    async def find_or_create_qualification(self, qualification_name: str) -> QualificationId:
        """The qualification of a name; made if there is none."""
        await self.find_or_create_qualifications([qualification_name])
        return self._ledger.state.qualifications_by_name[qualification_name]

    async def find_or_create_qualifications(self, names: Iterable[str]) -> None:
        """Register these qualifications where missing; `DecisionState.qualifications_by_name` has them afterwards."""
        wanted = {name: QualificationId(self._ids.next_id("qualification")) for name in sorted(names)}

        def decide(state: DecisionState) -> list[NewEvent]:
            return [
                NewEvent(streams.qualification(number), QualificationCreated(qualification=number, name=name))
                for name, number in wanted.items()
                if name not in state.qualifications_by_name
            ]

        await self._execute(decide)

    def _requester(self, name: str, provider_type: str) -> NewEvent:
        new = RequesterId(self._ids.next_id("requester"))
        registered = RequesterRegistered(requester=new, name=name, provider_type=provider_type)
        return NewEvent(streams.requester(new), registered)

    def _identity(self, worker_name: str, provider_type: str) -> str:
        return pseudonym(self._ledger.log.pseudonym_key, provider_type, worker_name)

    def _worker(self, worker_name: str, provider_type: str, identity: str) -> tuple[NewEvent, Payload]:
        new = WorkerId(self._ids.next_id("worker"))
        name = seal(worker_name.encode(), self._ids.salt(), new)
        registered = WorkerRegistered(worker=new, provider_type=provider_type, name=name.ref, identity=identity)
        return NewEvent(streams.worker(new), registered), name

    def _command(self, decide: Decide, payloads: Sequence[Payload] = ()) -> Command:
        return Command(self._ids.command_id(), self._actor, decide, payloads=tuple(payloads))

    async def _execute(self, decide: Decide, payloads: Sequence[Payload] = ()) -> bool:
        """Carry a decision out; whether it changed anything."""
        return bool((await self._ledger.execute(self._command(decide, payloads))).events)


def _refuse_if_known(what: str, known: int | None) -> None:
    if known is not None:
        raise CommandRefusedError(f"{what} is registered already, with the id {known}")
