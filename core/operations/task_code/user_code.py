"""Calls the functions of a run's task, reads their answers, and records their failures.

A failure is an event and never an answer. After some failures of one function in a row newcomers get no more work; a
success, or `ResumeAdmission`, counts anew.
"""

from __future__ import annotations

import inspect
import reprlib
import traceback
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, TypeVar

import trio

from ....events import streams
from ....events.ids import AgentId, AssignmentId, OnboardingAgentId, UnitId, WorkerId
from ....events.task_run import CallbackFailed, TaskRunAdmissionPaused
from ...abstractions.callbacks import Callback, UnusableAnswerError
from ...command_issuer import CommandIssuer
from ...commands.task_run import RecordCallbackFailure, RecordCallbackRecovery, ResumeAdmission
from ...decisions.task_run import admission_paused_text
from ...errors import AgentLeftError, TaskCodeDivergedError, UserCodeError
from ...ledger import Ledger
from ...lifecycles.task_run import TaskRunState
from ...payloads import seal
from ...ports import Ids, Payload
from ...redaction import redacted_text
from ..logger_core import get_logger
from ..run_context import RunContext
from .calls import TimeLimit, call_nowait, call_within
from .code_location import where_defined, where_raised
from .timings import UserFunction, timings

T = TypeVar("T")

#: Characters of a function's message that are kept.
MAX_MESSAGE = 2000
#: Errors by which code shows that it was written for asyncio, by a part of their text.
_ASYNCIO = ("no running event loop", "no current event loop", "unrecognized yield message", "asyncio")
_ASYNCIO_HINT = (
    "async functions of a task run on trio, not on asyncio: use trio, or write a plain `def`, which runs in a thread "
    "of its own, where asyncio.run(...) works"
)
#: Errors by which task code learns that its agents end; any other function has no agents.
_AGENTS_END = (AgentLeftError, TaskCodeDivergedError)
#: Types whose values are shown in a message; other types have code of their own for that.
_SHOWN_TYPES = (type(None), bool, int, float, str, bytes, list, tuple, dict, set, frozenset)

logger = get_logger(__name__)


class AffectedIds(NamedTuple):
    """The entities that a call is about."""

    worker: WorkerId | None = None
    unit: UnitId | None = None
    assignment: AssignmentId | None = None
    agents: tuple[AgentId, ...] = ()
    onboarding_agent: OnboardingAgentId | None = None


class UserCode:
    """The functions of one run's task."""

    def __init__(self, context: RunContext, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)
        self._run = context.task_run
        self._nursery = context.nursery
        self._seconds = context.settings.callback_timeout
        self._max_bytes = context.settings.max_item_bytes

    @property
    def is_admission_paused(self) -> bool:
        """True while newcomers get no work because a function failed too often."""
        return self._state.admission_paused_by is not None

    @property
    def has_failed(self) -> bool:
        """True while a function has failed and has not succeeded since."""
        return self.is_admission_paused or bool(self._state.failures)

    @property
    def _state(self) -> TaskRunState:
        return self._ledger.state.task_runs[streams.task_run(self._run)]

    def time_after_work(self) -> TimeLimit:
        """Return the limit of a function that runs as long as people work: it counts once they are done."""
        return TimeLimit(self._seconds, from_start=False)

    async def ask(
        self,
        callback: Callback[T],
        function: Callable[[], object],
        affected: AffectedIds,
        *,
        timed_as: UserFunction | None = None,
        limit: TimeLimit | None = None,
    ) -> T:
        """Call a function of the task and return its answer.

        Args:
            callback: declares what the function may return.
            function: the function, with its arguments bound.
            affected: the entities that the call is about.
            timed_as: the name under which the call is measured; None if it is not.
            limit: the time that the call may take; the run's `callback_timeout` if not given.

        Raises:
            UserCodeError: the function failed; that is recorded.
            AgentLeftError, TaskCodeDivergedError: task code let it through.
            LogError: the function let it through, or the failure could not be recorded.
        """
        try:
            with _measured(timed_as):
                returned = await self._call(callback, function, limit or TimeLimit(self._seconds))
            answer = self._read(callback, function, returned)
        except UserCodeError as error:
            named = _named(callback, error, function)
            await self._record_failure(callback, affected, named)
            raise named from error.__cause__
        if callback.name in self._state.failures:
            await self._record_recovery(callback)
        return answer

    def ask_nowait(self, callback: Callback[T], function: Callable[[], object], affected: AffectedIds) -> T:
        """Call a function that takes no time on the event loop, and return its answer.

        It is called also while the admission is paused, for those at work. Failures that follow the one which paused
        it are not recorded, because pages can cause any number of them.

        Args:
            callback: declares what the function may return.
            function: the function, with its arguments bound.
            affected: the entities that the call is about.

        Raises:
            UserCodeError: the function failed; that is being recorded.
            LogError: the function let it through.
        """
        try:
            answer = self._read(callback, function, _call_nowait(callback, function))
        except UserCodeError as error:
            named = _named(callback, error, function)
            if self._state.admission_paused_by != callback.name:
                self._nursery.start_soon(self._record_failure, callback, affected, named)
            raise named from error.__cause__
        if callback.name in self._state.failures:
            self._nursery.start_soon(self._record_recovery, callback)
        return answer

    async def _record_recovery(self, callback: Callback[T]) -> None:
        await self._issuer.issue(RecordCallbackRecovery(task_run=self._run, function=callback.name))

    @staticmethod
    async def _call(callback: Callback[T], function: Callable[[], object], limit: TimeLimit) -> object:
        try:
            return await call_within(limit, function)
        except _AGENTS_END as error:
            if callback.is_task_code:
                raise
            raise UserCodeError(callback.name, error) from error

    async def failed_again(self, callback: Callback[T], affected: AffectedIds, error: UserCodeError) -> UserCodeError:
        """Record that a function cannot be asked because of an earlier failure.

        Args:
            callback: the function.
            affected: the entities that it was to be asked about.
            error: the earlier failure, raised by `ask`.

        Returns:
            The error to raise.
        """
        await self._record_failure(callback, affected, error)
        return UserCodeError(callback.name, error.problem, error.location)

    def _read(self, callback: Callback[T], function: Callable[[], object], returned: object) -> T:
        """Return what a function returned, as what it stands for.

        Raises:
            UserCodeError: it is none of the values that the function may return.
        """
        try:
            return callback.read(returned, self._max_bytes)
        except Exception as error:  # noqa: BLE001 - the value may have code of its own
            more = f" {error}" if isinstance(error, UnusableAnswerError) and str(error) else ""
            problem = f"returned {type(returned).__name__}{more} instead of {callback.expected}"
            raise UserCodeError(callback.name, problem, where_defined(function)) from _ReturnedError(returned)

    async def _record_failure(self, callback: Callback[T], affected: AffectedIds, error: UserCodeError) -> None:
        cause = error.__cause__
        hint = _ASYNCIO_HINT if cause is not None and _is_of_asyncio(cause) else None
        logger.error(
            f"{error}: nobody is judged by this failure",
            at=error.location,
            exc_info=cause if isinstance(cause, Exception) and not isinstance(cause, _ReturnedError) else None,
            **({} if hint is None else {"hint": hint}),
            **{name: value for name, value in affected._asdict().items() if value},
        )
        message = self._sealed(_message(cause, hint), affected)
        failed = CallbackFailed(
            function=callback.name,
            error=error.problem,
            location=error.location,
            message=None if message is None else message.ref,
            **affected._asdict(),
        )
        command = RecordCallbackFailure(task_run=self._run, failure=failed)
        done = await self._issuer.issue(command, *(() if message is None else (message,)))
        for recorded in done.events:
            if isinstance(recorded.envelope.event, TaskRunAdmissionPaused):
                logger.error(admission_paused_text(self._run, callback.name))

    def _sealed(self, message: str, affected: AffectedIds) -> Payload | None:
        """Seal a message that may hold a worker's words, so that it is deleted with everything else of the worker."""
        if not message or len(affected.agents) > 1:
            return None
        return seal(message.encode(errors="replace"), self._ids.salt(), affected.worker)

    # Asking again ---------------------------------------------------------------------------------------------------

    async def resume_admission(self, reason: str) -> None:
        """Give work to newcomers again; does nothing if no function has failed since it last succeeded."""
        await self._issuer.issue(ResumeAdmission(task_run=self._run, reason=reason))

    async def ask_again(self, questions: Iterable[Callable[[], Awaitable[bool]]]) -> None:
        """Ask questions that a function could not answer before: one by one until one is answered, then all at once.

        So a function that still fails is not called for everybody: once the admission is paused, no more are asked.

        Args:
            questions: each returns True if it was answered.
        """
        waiting = list(questions)
        for asked, question in enumerate(waiting, start=1):
            if await question():
                async with trio.open_nursery() as nursery:
                    for other in waiting[asked:]:
                        nursery.start_soon(other)
                return
            if self.is_admission_paused:
                return


class _ReturnedError(Exception):
    """Carries a value of the wrong type to where the failure is recorded."""

    def __init__(self, returned: object) -> None:
        shown = _shortened.repr(returned) if type(returned) in _SHOWN_TYPES else f"a {type(returned).__name__}"
        super().__init__(f"it returned {shown}")


_shortened = reprlib.Repr()
_shortened.maxstring = _shortened.maxother = 500


def _call_nowait(callback: Callback[T], function: Callable[[], object]) -> object:
    try:
        returned = call_nowait(function)
    except _AGENTS_END as error:
        raise UserCodeError(callback.name, error) from error
    if inspect.iscoroutine(returned):
        returned.close()  # this function cannot be async; the coroutine is named as what it returned
    return returned


def _named(callback: Callback[T], error: UserCodeError, function: Callable[[], object]) -> UserCodeError:
    """Return a failure under the name that launch scripts give the function, with where it failed."""
    cause = error.__cause__
    where = where_defined(function) if cause is None else where_raised(cause, function)
    named = UserCodeError(callback.name, error.problem, error.location or where)
    named.__cause__ = cause
    return named


def _measured(function: UserFunction | None) -> AbstractContextManager[None]:
    return nullcontext() if function is None else timings().function(function)


def _message(error: BaseException | None, hint: str | None) -> str:
    if error is None:
        return hint or ""
    # Safe for errors whose own `__str__` raises.
    text = str(error) if isinstance(error, _ReturnedError) else "".join(traceback.format_exception_only(error)).strip()
    return redacted_text("\n".join(filter(None, (text[:MAX_MESSAGE], hint))))


def _is_of_asyncio(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError | TypeError):
        return False
    text = "".join(traceback.format_exception_only(error))
    return any(part in text for part in _ASYNCIO)
