"""The operator that is killed: `python -m mephisto_es.tests.notices.job DATA_DIR WEBHOOK DEAD UNITS FAILS LIMIT`.

It launches a run of so many units or resumes it, works on them as its only crowd, reviews what is submitted, and ends
when the run has ended. After `LIMIT` submissions it waits to be killed.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from itertools import count
from pathlib import Path

import trio
from omegaconf import DictConfig

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter, PageGoneError
from mephisto_es.adapters.composition.operator import run_operator
from mephisto_es.core.abstractions.agent import Unit
from mephisto_es.core.errors import LaunchError
from mephisto_es.core.operations.hydra_config import NotifyArgs
from mephisto_es.core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from mephisto_es.core.operations.operator import Operator
from mephisto_es.events import streams
from mephisto_es.events.ids import AgentId, TaskRunId

from ..core.operations.operator_harness import HarnessTaskState, ask, config, items

#: All kinds that this job causes, and one event by its own name.
KINDS = ("paused", "completed", "admission", "budget", "callbacks", "appeals", "unit_completed")
#: Where the address of a receiver that never answers is kept.
DEAD_VARIABLE = "DEAD_RECEIVER"
#: Seconds until a page that was refused asks again.
PAUSE_SECONDS = 0.02


def run_config(units: int) -> DictConfig:
    cfg = config(budget=f"{units / 10:.2f}")
    cfg.task.resume_incomplete_run = True
    return cfg


async def work(operator: Operator, router: MemoryRouter, limit: int, *, rejects: bool) -> None:
    """Work on units, one worker each; the first one is rejected if that is wanted, and its worker objects."""
    submitted = 0
    for visit in count():
        if submitted == limit:
            await trio.sleep_forever()
        details = await ask(router, f"worker-{os.getpid()}-{visit}")
        if details["agent_id"] is None:
            await trio.sleep(PAUSE_SECONDS)
            continue
        token = details["agent_id"]
        page = router.connect(token)
        router.submit_task(token, {"answer": visit})
        submitted += 1
        while (await page.receive())["data"].get("status") != "completed":
            pass
        await review(operator, router, token, is_good=not rejects or submitted > 1)


async def review(operator: Operator, router: MemoryRouter, token: str, *, is_good: bool) -> None:
    state = operator.ledger.state
    [record] = [found for run in state.runs if (found := state.agent_by_token(run, token))]
    agent = AgentId(int(record.agent))
    if is_good:
        await operator.reviewer().approve_work(agent)
    else:
        await operator.reviewer().reject_work(agent, "not what was asked")
        router.submit_appeal(token, "It was.")


async def operate(operator: Operator, units: int, *, fails: bool, limit: int) -> None:
    async def on_unit_submitted(unit: Unit) -> None:
        await trio.lowlevel.checkpoint()
        if fails:
            raise ValueError(f"unit {unit.unit_id}")

    shared = HarnessTaskState(data=items(units), on_unit_submitted=on_unit_submitted)
    try:
        run = await operator.launch_task_run_or_die(run_config(units), shared)
    except LaunchError:
        if operator.runs.is_leaving:
            return
        raise
    router = MemoryArchitect.routers[int(run)]
    # The pages of those at work were in the process that was killed.
    for left in list(operator.ledger.state.runs[TaskRunId(int(run))].live_agents):
        router.disconnect(operator.ledger.state.agents[streams.agent(TaskRunId(int(run)), left)].token)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(work_until_gone, operator, router, limit, rejects=not fails))
        await operator.wait_for_runs_then_shutdown(log_rate=None)
        nursery.cancel_scope.cancel()


async def work_until_gone(operator: Operator, router: MemoryRouter, limit: int, *, rejects: bool) -> None:
    try:
        await work(operator, router, limit, rejects=rejects)
    except PageGoneError:
        return


def main() -> None:
    data_dir, webhook, dead, units, fails, limit = sys.argv[1:]
    set_mephisto_log_format()
    set_mephisto_log_level(level="critical")
    os.environ[DEAD_VARIABLE] = dead

    async def job(operator: Operator) -> None:
        await operate(operator, int(units), fails=fails == "fails", limit=int(limit))

    notify = NotifyArgs(events=list(KINDS), webhook_url=webhook, slack_url_from=DEAD_VARIABLE)
    run_operator(job, Path(data_dir), notify=notify)


if __name__ == "__main__":
    main()
