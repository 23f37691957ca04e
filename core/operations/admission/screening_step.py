"""The screening step: gives workers who have not passed yet a unit that shows whether they can do the task."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping

import trio

from ....events.engagement import RefusalReason, WorkerRefused
from ....events.ids import SCREENING_UNIT_INDEX, WorkerId
from ...abstractions.agent import Update
from ...abstractions.screen_task_required import Screening, ScreenTaskSharedState
from ...commands.admission import RefuseWorker
from ...decisions.evaluate_worker import SCREENING
from ...errors import ConfigError, UserCodeError
from ...ledger import Ledger
from ..launching.assignment_data import is_usable
from ..logger_core import get_logger
from ..run_context import RunContext
from ..task_code.calls import call
from ..task_code.timings import UserFunction, timings
from .evaluation_step import NextStep, RequiredUnit

logger = get_logger(__name__)


class ScreeningStep:
    """Screens the workers of one run."""

    def __init__(self, context: RunContext, ledger: Ledger, screening: Screening) -> None:
        self._ledger = ledger
        self._run = context.task_run
        self._max_item_bytes = context.settings.max_item_bytes
        self._screening = screening
        self._source = self._open(context.blueprint.shared_state)
        self._reading = trio.Lock()
        #: Data that was read for a worker who then got no unit.
        self._unused: deque[Update] = deque()
        #: Number of items that an earlier process of the run has used.
        self._to_skip = 0
        if isinstance(self._source, AsyncGenerator):
            context.nursery.start_soon(self._close_at_end, self._source)

    def resume(self) -> None:
        """Skip the data that an earlier process of the run has used."""
        self._to_skip = self._ledger.state.runs[self._run].evaluations_made.get(SCREENING_UNIT_INDEX, 0)

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

    @staticmethod
    def _open(shared_state: object) -> Iterator[Update] | AsyncIterator[Update] | None:
        if not isinstance(shared_state, ScreenTaskSharedState):
            raise ConfigError("a screening takes a ScreenTaskSharedState", key="shared_state")
        data = shared_state.screening_data_factory
        if data is False:
            return None
        return iter(data) if not isinstance(data, AsyncIterable) else aiter(data)

    async def next_requirement(self, worker: WorkerId, granted: Mapping[str, int]) -> NextStep:
        """Return the screening unit that a worker has to do first, if it has not passed yet."""
        if self._screening.passed_qualification in granted:
            return None
        if self._source is None:
            return RequiredUnit(SCREENING, None, 0, required=True)
        data = await self._next_data()
        if data is None:
            refused = WorkerRefused(rule="screening_data", inputs={"left": 0}, reason=RefusalReason.NO_AVAILABLE_UNITS)
            return RefuseWorker(task_run=self._run, worker=worker, refusal=refused)
        return RequiredUnit(SCREENING, data, self._screening.max_units, required=True)

    def return_data(self, data: Update) -> None:
        """Keep data that came to no unit, for the next worker."""
        self._unused.append(data)

    async def _next_data(self) -> Update | None:
        """Return the next item of the screening data; None if there is no more."""
        async with self._reading:
            if self._unused:
                return self._unused.popleft()
            while self._to_skip:
                self._to_skip -= 1
                await self._read()
            return await self._read()

    async def _read(self) -> Update | None:
        try:
            with timings().function(UserFunction.SCREENING_DATA):
                data = await self._next_item()
        except UserCodeError:
            logger.exception("screening_data_factory failed: no more workers are screened")
            return None
        if data is not None and not is_usable(data, self._max_item_bytes):
            logger.error("screening_data_factory returned no JSON object", returned=type(data).__name__)
            return None
        return data

    async def _next_item(self) -> Update | None:
        if isinstance(self._source, Iterator):
            return await call(_next, self._source)
        return None if self._source is None else await call(_anext, self._source)


def _next(iterator: Iterator[Update]) -> Update | None:
    return next(iterator, None)


async def _aclose(generator: AsyncGenerator[Update]) -> None:
    await generator.aclose()


async def _anext(iterator: AsyncIterator[Update]) -> Update | None:
    return await anext(iterator, None)
