from __future__ import annotations

import trio
import trio.testing

from mephisto_es.adapters.composition.clock_and_ids import SystemIds
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.lifecycles.resource import ResourceStatus
from mephisto_es.events import streams

from ..test_ledger import RUN, GatedLog, running


async def test_a_caller_that_is_cancelled_while_it_records_still_gets_the_number() -> None:
    log = GatedLog()
    numbers: list[int] = []
    async with running(log) as ledger:
        resources = Resources(ledger, SystemIds({}, 1), RUN)

        async def acquire(*, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
            with trio.CancelScope() as scope:
                task_status.started(scope)
                numbers.append(await resources.intend("server", {}))
                await resources.acquired(numbers[0], {})
                await trio.sleep_forever()

        async with trio.open_nursery() as nursery:
            scope = await nursery.start(acquire)
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            log.gate.set()
        assert ledger.state.resources[streams.resource(RUN, numbers[0])].status is ResourceStatus.ACQUIRED
