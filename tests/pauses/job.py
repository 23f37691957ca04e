"""The operator of a pass: `python -m mephisto_es.tests.pauses.job DATA_DIR SCENE ROUTER PATIENCE`.

It launches the scene's run or resumes it, prints its address, and ends when the run has ended or is paused.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mephisto_es.adapters.composition.operator import run_operator
from mephisto_es.adapters.crowd.torture_job import CHAT, RATING, TortureJob, configuration, shared_state
from mephisto_es.core.errors import LaunchError
from mephisto_es.core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from mephisto_es.core.operations.operator import Operator

SENTENCES = 6
CHATS = 3


async def operate(operator: Operator, scene: str, router: str, patience: str) -> None:
    job = TortureJob(sentences=SENTENCES, chats=CHATS, server_type=router)
    task = CHAT if scene == "pair chat" else RATING
    cfg = configuration(job, task).mephisto
    cfg.task.no_submission_patience = int(patience)
    if scene != "onboarding":
        cfg.blueprint.onboarding_qualification = None
    try:
        run = await operator.launch_task_run_or_die(cfg, shared_state(job, task))
    except LaunchError:
        if operator.runs.is_leaving:
            return
        raise
    click.echo(f"Open {operator.get_running_task_runs()[run].url}")
    await operator.wait_for_runs_then_shutdown(log_rate=None)


def main() -> None:
    data_dir, *words = sys.argv[1:]
    set_mephisto_log_format()
    set_mephisto_log_level(level="warning")

    async def job(operator: Operator) -> None:
        await operate(operator, *words)

    run_operator(job, Path(data_dir))


if __name__ == "__main__":
    main()
