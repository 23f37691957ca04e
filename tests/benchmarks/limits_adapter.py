"""This project's log for benchmarks of others that take an adapter by name, such as `--adapter MODULE:MephistoLog`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from mephisto_es.adapters.log.commit_thread import commit_in_thread, run_writer
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.ports import NewEvent
from mephisto_es.tests.benchmarks.clients import Clock
from mephisto_es.tests.benchmarks.peers import Ours, our_event
from mephisto_es.tests.benchmarks.workload import Fact
from mephisto_es.tests.commands import TEST_DECISIONS, append


class MephistoLog(Ours):
    """`append_one`, `append_batch` and `replay` as of `Ours`, and durable appends by many tasks at once."""

    _ledger: Ledger

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the writer task around appends."""
        self._ledger = Ledger(self._log, Clock(), commit_in_thread, TEST_DECISIONS)
        async with trio.open_nursery() as nursery:
            await nursery.start(run_writer, self._ledger)
            yield
            nursery.cancel_scope.cancel()

    async def append_async(self, fact: Fact) -> None:
        """Append and wait until it is durable."""
        stream = f"unit/1/{int(fact.stream[5:])}"
        event = our_event(fact)
        await self._ledger.execute(append(f"{fact.stream}-{fact.version}", NewEvent(stream, event), actor=fact.actor))
