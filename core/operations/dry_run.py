"""Does everything that a launch does except publish: nothing is recorded, no server is started, nobody is paid."""

from __future__ import annotations

from pathlib import Path

import trio

from ...events.ids import TaskRunId
from ..abstractions.blueprint import AssignmentData
from ..abstractions.resources import Resources
from ..abstractions.work_data import InitializationData
from ..errors import LaunchError, MephistoError, leaves
from .launching.assignment_data import DATA_STEP, data_error, encoded_item, send_all
from .logger_core import get_logger
from .operator import Operator
from .run.live_task_run import LiveTaskRun
from .run.plan import RunEnding, RunPlan
from .run.server import launch_step, write_site

#: Stands for the id of a run that was not made.
DRY_RUN = "dry-run"
#: Items that are taken from the data; generators may make more of them than anybody wants in a dry run.
ITEMS_READ = 10
#: Seconds in which the data must give so many.
ITEMS_SECONDS = 60.0

logger = get_logger(__name__)


class DryRunEndError(MephistoError):
    """A script looks at the runs that it launched, which a dry run does not make. Not a failure."""


class DryRunOperator(Operator):
    """Checks each launch, builds the page and reads the first items, then drops everything.

    A launch returns `DRY_RUN`, and there are no runs to wait for. A script that looks at its running runs has nothing
    more to try: `DryRunEndError` ends its `main`.
    """

    def get_running_task_runs(self) -> dict[str, LiveTaskRun]:
        """End the script's `main`: there are no runs that it could look at.

        Raises:
            DryRunEndError: always.
        """
        raise DryRunEndError

    async def _launch(self, plan: RunPlan, previous: TaskRunId | None, ending: RunEnding | None = None) -> str:  # noqa: ARG002 - nothing is resumed
        static_dir = self._runs_dir / DRY_RUN
        static_dir.mkdir(parents=True, exist_ok=True)
        blueprint = plan.blueprint_class(plan.config, plan.shared_state)
        resources = Resources(self.ledger, self._ids, TaskRunId(0))
        with launch_step("prepare"):
            provider = plan.provider_class(plan.config, plan.shared_state, resources)
            write_site(blueprint, provider, plan.settings, static_dir)
        items = await _read_some(blueprint.get_initialization_data(), plan.settings.max_item_bytes)
        logger.info(
            f"dry run of {plan.task_name!r}: everything is in order; nothing was recorded or published",
            page_files=_count_files(static_dir),
            first_items_read=items,
        )
        return DRY_RUN


async def _read_some(data: AssignmentData, max_item_bytes: int) -> int:
    """Read and check the first items; return how many.

    Raises:
        LaunchError: the data's own code raised or takes too long, there is none, or an item cannot be used.
    """
    items: list[InitializationData] = []
    sender, receiver = trio.open_memory_channel[InitializationData](0)
    with trio.move_on_after(ITEMS_SECONDS) as timeout:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send_and_close, data, sender)
                async for item in receiver:
                    items.append(item)
                    if len(items) == ITEMS_READ:
                        nursery.cancel_scope.cancel()
        except ExceptionGroup as group:
            error, *_ = leaves(group)
            raise data_error(error, len(items)) from error
    if timeout.cancelled_caught:
        raise LaunchError(DATA_STEP, f"the data gave only {len(items)} items within {ITEMS_SECONDS:g} seconds")
    if not items:
        raise LaunchError(DATA_STEP, "the data gave no items")
    for number, item in enumerate(items, start=1):
        encoded_item(item, number, max_item_bytes)
    return len(items)


async def _send_and_close(data: AssignmentData, sender: trio.MemorySendChannel[InitializationData]) -> None:
    async with sender:
        await send_all(data, sender)


def _count_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))
