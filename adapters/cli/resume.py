"""Implements `mephisto-es resume`: continue a run whose operator died."""

from __future__ import annotations

from pathlib import Path

import click

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ...core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from ...core.operations.operator import Operator
from ...core.operations.run.plan import stored_notify_args
from ...events.ids import TaskRunId
from ...projections.mephisto_db import MephistoDB
from ...projections.queries.entity_ref import stream_of
from ..composition.data_dir import DATABASE_FILE
from ..composition.operator import run_operator
from ..terminal import echo
from .common.arguments import LogCommand, log_argument, run_argument


@click.command("resume", cls=LogCommand)
@log_argument
@run_argument
def resume_command(database: Path, run: EntityRef) -> None:
    """Continue RUN with the configuration it was launched with, until it ends.

    Its server is used again if it still runs, and restarted at the same address if not. Workers keep their work, and
    submissions made in the meantime arrive. Ctrl-C works as in a launch script.

    If the run's script passes data or code, run the script again instead, with
    mephisto.task.resume_incomplete_run=true.

    \b
    Example:
      mephisto-es resume mephisto_data 1
    """
    if database.name != DATABASE_FILE:
        raise ConfigError(
            f"{database} is not the database of a data folder",
            hint=f"Name the run's data folder, which contains {DATABASE_FILE}",
        )
    with MephistoDB(database) as db:
        stream_of(db, run)  # opening the log for writing leaves a trace; a mistyped number must not
        notify = stored_notify_args(db.get_task_run(run.number).init_params)
    set_mephisto_log_format()
    set_mephisto_log_level(level="info")

    async def resume(operator: Operator) -> None:
        run_id = TaskRunId(run.number)
        await operator.launch_from_incomplete_run(run_id)
        echo(f"Open {operator.get_running_task_runs()[str(run_id)].worker_url}")
        await operator.wait_for_runs_then_shutdown()

    run_operator(resume, database.parent, notify=notify)
