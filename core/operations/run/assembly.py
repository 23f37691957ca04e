"""Puts the parts of a live run together."""

from __future__ import annotations

from collections.abc import Callable

from ...abstractions.blueprint import AssignmentData
from ...ledger import Ledger
from ...ports import Ids, WallClock
from ..agent_pages import AgentPages
from ..client_io_handler import ClientIOHandler
from ..control.own_page_requests import OwnPageServices
from ..run_context import RunContext
from ..task_launcher import TaskLauncher
from ..uploads import UploadFetcher
from ..worker_pool import WorkerPool
from .live_task_run import LiveTaskRun
from .site_loop import site_loop_of


def assemble_live_run(
    context: RunContext,
    url: str,
    data: AssignmentData,
    ledger: Ledger,
    ids: Ids,
    clock: WallClock,
    *,
    on_change: Callable[[], None],
    on_channel_lost: Callable[[str], None],
    own_pages: OwnPageServices,
) -> LiveTaskRun:
    """Construct all parts of a run whose server is up; nothing is started.

    Args:
        context: the run.
        url: base URL of its server.
        data: its data.
        ledger: takes the commands.
        ids: source of ids and salts.
        clock: the wall clock.
        on_change: called when people or submissions may have stopped waiting without an event.
        on_channel_lost: called with the id of a channel that has given up for good.
        own_pages: what workers may do on their own pages.
    """
    launcher = TaskLauncher(
        ledger,
        ids,
        context.task_run,
        data,
        pay_cents=context.settings.task_reward_cents,
        max_num_concurrent_units=context.settings.max_num_concurrent_units,
        max_repeats=context.task_runner.max_repeats,
        max_item_bytes=context.settings.max_item_bytes,
        concurrent=context.task_runner.is_concurrent,
        label_plan=context.blueprint.label_plan,
        on_change=on_change,
    )
    offers_receipts = own_pages.make_receipt is not None
    pages = AgentPages(context.task_run, ledger, context.texts, offers_receipts=offers_receipts, on_gone=on_change)
    uploads = UploadFetcher(context, ledger, ids)
    pool = WorkerPool(context, ledger, ids, clock, launcher, pages, uploads, on_change)
    site = site_loop_of(context, ledger, ids, clock)
    client_io = ClientIOHandler(context, ledger, ids, pool, pages, on_channel_lost, own_pages, site.observe_soon)
    return LiveTaskRun(context, url, launcher, pool, pages, client_io, uploads, site)
