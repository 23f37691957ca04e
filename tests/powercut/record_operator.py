"""An operator that keeps its decision state beside the log again and again, to be recorded.

Usage: python -m tests.powercut.record_operator FOLDER UNITS

Each line of the file `told` is a position: `log 7` once that event is durable, `state 7` once a state of that position
has been kept.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import trio

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.state_file import read_state
from mephisto_es.adapters.log.state_keeper import KeepLimits, StateKeeper
from mephisto_es.core.operations.operator import Operator
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import TaskRunId

from ..core.operations.operator_harness import HarnessTaskState, config, items, work
from .record_log import TOLD

#: Few events, so that the file is replaced many times, also while the log is written to.
LIMITS = KeepLimits(always=16, idle=6, idle_seconds=0.02, at_close=1)
WORKERS = ("ann", "bob", "cleo")
#: Most of the state is a text, in which a sector of zeros is seen by nothing but a checksum.
LONG_NAME = "a long name " * 2_000


class Witness:
    """Writes down what is durable, and keeps the state of an operator's ledger."""

    def __init__(self, told: int, operator: Operator) -> None:
        """Watch an operator, and write to an open file."""
        self._told = told
        # Without a shared log, the operator's is a file.
        self._log = cast(SqliteLog, operator.ledger.log)
        operator.ledger.subscribe(self._on_committed)
        kept = self._log.head().seq
        self.keeper = StateKeeper(self._log.path, operator.ledger, self._log, kept, self._keep, LIMITS)

    def close(self) -> None:
        """Keep the state for the last time."""
        self.keeper.keep_at_close()
        self._tell_kept()

    async def _keep(self, write: Callable[[], None]) -> None:
        await trio.to_thread.run_sync(write)
        self._tell_kept()

    def _tell_kept(self) -> None:
        kept = read_state(self._log.path, self._log)
        assert kept is not None
        self._tell(f"state {kept.seq}")

    def _on_committed(self, events: Sequence[RecordedEvent]) -> None:
        self._tell(f"log {events[-1].seq}")

    def _tell(self, line: str) -> None:
        os.write(self._told, f"{line}\n".encode())


async def run(folder: Path, units: int) -> None:
    """Open an operator twice; each time a run is launched and worked on to its end."""
    told = os.open(folder / TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        async with open_operator(folder / "data") as operator:
            witness = Witness(told, operator)
            async with trio.open_nursery() as keeping:
                keeping.start_soon(witness.keeper.run)
                cfg, shared = config(task_name=LONG_NAME), HarnessTaskState(data=items(units))
                await operator.launch_task_run_or_die(cfg, shared)
                async with trio.open_nursery() as nursery:
                    for worker in WORKERS:
                        nursery.start_soon(work, MemoryArchitect.routers[TaskRunId(number)], worker, units, 0.01)
                keeping.cancel_scope.cancel()
            witness.close()


if __name__ == "__main__":
    trio.run(run, Path(sys.argv[1]), int(sys.argv[2]))
