"""An operator's figures, shown for as long as it runs."""

from __future__ import annotations

from functools import partial

import trio

from ...core.ledger import Ledger
from ..log.sqlite.log import SqliteLog
from .exposition import serve_figures
from .figures import Figures


async def show_figures(
    figures: Figures,
    ledger: Ledger,
    log: SqliteLog,
    host: str,
    port: int,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Fill the figures and answer those who ask for them, until cancelled.

    Args:
        figures: measured the ledger's commits from the start.
        ledger: where events come from; no command has been posted yet.
        log: the log below.
        host: the address to listen on.
        port: the port; 0: any free one. The task has started with the one that it is.
        task_status: trio's.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    figures.follow(ledger)
    figures.watch_projections(partial(_lags, log))
    await serve_figures(figures.registry, host, port, task_status=task_status)


def _lags(log: SqliteLog) -> dict[str, int]:
    # Positions first, so that a commit in between cannot make a projection look ahead of the log.
    positions = log.projection_positions()
    head = log.head().seq
    return {name: head - seq for name, seq in positions.items()}
