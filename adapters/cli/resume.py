"""`mephisto-es resume`: goes on with a run whose operator has died."""

from __future__ import annotations

from pathlib import Path

import click

from ...core.errors import ConfigError
from ...core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from ...core.operations.operator import Operator
from ...events.ids import TaskRunId
from ...projections.mephisto_db import MephistoDB
from ...projections.queries.entity_ref import EntityRef, stream_of
from ..composition.data_dir import DATABASE_FILE
from ..composition.operator import run_operator
from .common.arguments import LogCommand, log_argument, run_argument


@click.command("resume", cls=LogCommand)
@log_argument
@run_argument
def resume_command(database: Path, run: EntityRef) -> None:
    """Go on with RUN, with the configuration it was launched with, and see it to its end.

    Its server is taken up where it still runs, and started again at the same address where it does not. Workers keep
    their work, and what they handed in meanwhile arrives. Ctrl-C: as for a launch script.

    A run that was given data or code by its script goes on with that script: start it again with
    mephisto.task.resume_incomplete_run=true.

    \b
    Example:
      mephisto-es resume mephisto_data 1
    """
    if database.name != DATABASE_FILE:
        raise ConfigError(
            f"{database} is no data folder's database", hint=f"Name the run's data folder, which has a {DATABASE_FILE}"
        )
    with MephistoDB(database) as db:
        stream_of(db, run)  # opening it for writing leaves a trace, which is not for a mistyped number
    set_mephisto_log_format()
    set_mephisto_log_level(level="info")

    async def go_on(operator: Operator) -> None:
        run_id = TaskRunId(run.number)
        await operator.launch_from_incomplete_run(run_id)
        click.echo(f"Open {operator.get_running_task_runs()[str(run_id)].worker_url}")
        await operator.wait_for_runs_then_shutdown()

    run_operator(go_on, database.parent)
