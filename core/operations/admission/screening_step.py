"""The screening step: gives workers who have not passed yet a unit that shows whether they can do the task."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping
from functools import partial
from types import AsyncGeneratorType, GeneratorType
from typing import TypeVar

import trio

from ....events.engagement import RefusalReason, WorkerRefused
from ....events.ids import SCREENING_UNIT_INDEX, WorkerId
from ...abstractions.agent import Update
from ...abstractions.callbacks import SCREENING_DATA, Callback, UnusableAnswerError
from ...abstractions.screen_task_required import Screening, ScreenTaskSharedState
from ...commands.admission import RefuseWorker
from ...decisions.evaluate_worker import SCREENING
from ...errors import ConfigError, UserCodeError
from ...ledger import Ledger
from ..logger_core import get_logger
from ..run_context import RunContext
from ..task_code.calls import call
from ..task_code.timings import UserFunction
from ..task_code.user_code import AffectedIds, UserCode
from .evaluation_step import NextStep, RequiredUnit

T = TypeVar("T")
ScreeningSource = Iterator[Update] | AsyncIterator[Update]

logger = get_logger(__name__)


class ScreeningStep:
    """Screens the workers of one run."""

    def __init__(self, context: RunContext, ledger: Ledger, screening: Screening, user_code: UserCode) -> None:
        self._ledger = ledger
        self._run = context.task_run
        self._nursery = context.nursery
        self._shared_state = context.blueprint.shared_state
        self._screening = screening
        self._user_code = user_code
        self._reading = trio.Lock()
        #: Data that was read for a worker who then got no unit.
        self._unused: deque[Update] = deque()
        #: Number of usable items that were used before.
        self._to_skip = 0
        #: The failure that ended the data, if it was a generator; it gives nothing more.
        self._broken: UserCodeError | None = None
        self._source = self._open()

    def resume(self) -> None:
        """Skip the data that an earlier process of the run has used."""
        self._to_skip = self._ledger.state.runs[self._run].evaluations_made.get(SCREENING_UNIT_INDEX, 0)

    def retry(self) -> None:
        """Read data that failed again from its beginning, if that is possible: a generator can be read only once."""
        if self._broken is None:
            return
        source, self._source = self._source, self._open()
        if self._source is not source:
            self._broken = None
            self._unused.clear()
            self.resume()

    async def _close_at_end(self, source: AsyncGenerator[Update]) -> None:
        """Close a generator when the run ends, so that its cleanup runs before the run is over."""
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                async with self._reading:
                    try:
                        await call(_aclose, source)
                    except UserCodeError:
                        logger.exception("screening_data_factory failed when it was closed")

    def _open(self) -> ScreeningSource | None:
        if not isinstance(self._shared_state, ScreenTaskSharedState):
            raise ConfigError("a screening takes a ScreenTaskSharedState", key="shared_state")
        data = self._shared_state.screening_data_factory
        if data is False:
            return None
        source = iter(data) if not isinstance(data, AsyncIterable) else aiter(data)
        if isinstance(source, AsyncGenerator):
            self._nursery.start_soon(self._close_at_end, source)
        return source

    async def next_requirement(self, worker: WorkerId, granted: Mapping[str, int]) -> NextStep:
        """Return the screening unit that a worker has to do first, if it has not passed yet.

        Raises:
            UserCodeError: the screening data could not be read.
        """
        if self._screening.passed_qualification in granted:
            return None
        if self._source is None:
            return RequiredUnit(SCREENING, None, 0, required=True)
        data = await self._next_data(self._source, worker)
        if data is None:
            refused = WorkerRefused(rule="screening_data", inputs={"left": 0}, reason=RefusalReason.NO_AVAILABLE_UNITS)
            return RefuseWorker(task_run=self._run, worker=worker, refusal=refused)
        return RequiredUnit(SCREENING, data, self._screening.max_units, required=True)

    def return_data(self, data: Update) -> None:
        """Keep data that came to no unit, for the next worker."""
        self._unused.append(data)

    async def _next_data(self, source: ScreeningSource, worker: WorkerId) -> Update | None:
        """Return the next item of the screening data; None if there is no more."""
        async with self._reading:
            if self._unused:
                return self._unused.popleft()
            while self._to_skip:
                skipped = await self._read(source, worker, _SKIPPED_DATA)
                self._to_skip = 0 if skipped is None else self._to_skip - skipped
            return await self._read(source, worker, _NEXT_DATA)

    async def _read(self, source: ScreeningSource, worker: WorkerId, callback: Callback[T]) -> T:
        affected = AffectedIds(worker=worker)
        if self._broken is not None:
            raise await self._user_code.failed_again(callback, affected, self._broken)
        code = partial(_anext, source) if isinstance(source, AsyncIterator) else partial(_next, source)
        try:
            return await self._user_code.ask(callback, code, affected, timed_as=UserFunction.SCREENING_DATA)
        except UserCodeError as error:
            if _is_finished(source):
                self._broken = error
            raise


def _is_finished(source: object) -> bool:
    """Return whether a generator has ended, so that reading it again would look like the end of the data."""
    if isinstance(source, GeneratorType):
        return source.gi_frame is None
    return isinstance(source, AsyncGeneratorType) and source.ag_frame is None


class _End:
    """Stands for the end of the data."""


def _next(iterator: Iterator[Update]) -> Update | _End:
    return next(iterator, _End())


async def _aclose(generator: AsyncGenerator[Update]) -> None:
    await generator.aclose()


async def _anext(iterator: AsyncIterator[Update]) -> Update | _End:
    return await anext(iterator, _End())


def _next_item(value: object, max_bytes: int) -> Update | None:
    """Read an item; None for the end of the data."""
    return None if isinstance(value, _End) else SCREENING_DATA.read(value, max_bytes)


def _skipped_item(value: object, max_bytes: int) -> bool | None:
    """Return whether an item was usable, and so is one that was used before; None for the end of the data."""
    try:
        return None if _next_item(value, max_bytes) is None else True
    except UnusableAnswerError:
        return False


_NEXT_DATA = Callback(SCREENING_DATA.name, SCREENING_DATA.expected, _next_item)
_SKIPPED_DATA = Callback(SCREENING_DATA.name, SCREENING_DATA.expected, _skipped_item)
