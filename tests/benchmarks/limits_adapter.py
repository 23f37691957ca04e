"""This project's log for benchmarks of others that take an adapter by name, such as `--adapter MODULE:MephistoLog`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from mephisto_es.core.ledger import Command, Ledger
from mephisto_es.core.ports import NewEvent
from mephisto_es.tests.benchmarks.clients import Clock
from mephisto_es.tests.benchmarks.peers import Ours, our_event
from mephisto_es.tests.benchmarks.workload import Fact


class MephistoLog(Ours):
    """`append_one`, `append_batch` and `replay` as of `Ours`, and durable appends by many tasks at once."""

    _ledger: Ledger

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the writer task around appends."""
        self._ledger = Ledger(self._log, Clock())
        async with trio.open_nursery() as nursery:
            await nursery.start(self._ledger.run)
            yield
            nursery.cancel_scope.cancel()

    async def append_async(self, fact: Fact) -> None:
        """Append and wait until it is durable."""
        stream = f"unit/1/{int(fact.stream[5:])}"
        event = our_event(fact)
        await self._ledger.execute(
            Command(f"{fact.stream}-{fact.version}", fact.actor, lambda _: (NewEvent(stream, event),))
        )
