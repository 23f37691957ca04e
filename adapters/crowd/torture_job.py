"""The job of a torture pass: an operator with two runs, sentence rating and paired chats, both with an onboarding.

As a program, this module is that operator: `python -m mephisto_es.adapters.crowd.torture_job DATA_DIR JOB`, with the
job as JSON. It launches or resumes both runs, prints their URLs as one line of JSON, and ends when both have ended. If
SIGTERM pauses them before, it ends with the status `PAUSED`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random

import msgspec
import trio
from omegaconf import DictConfig

from ...core.abstractions.agent import Update
from ...core.errors import CommandRefusedError, LaunchError
from ...core.lifecycles.task_run import TaskRunStatus
from ...core.operations.configuration.task_config import load_task_config
from ...core.operations.hydra_config import build_default_task_config, register_script_config
from ...core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from ...core.operations.operator import Operator
from ...events.envelope import RecordedEvent
from ..blueprints.static_task import SharedStaticTaskState
from ..composition.operator import open_operator
from ..terminal import echo

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
#: The names of the two tasks.
RATING, CHAT = "torture-rating", "torture-chat"
_EXAMPLE_OF = {RATING: "sentence_rating", CHAT: "paired_chat"}
#: Messages that each worker of a chat sends.
CHAT_MESSAGES = 3
#: Exit status of an operator that was asked to end and has paused its runs.
PAUSED = 75


class TortureJob(msgspec.Struct, frozen=True, kw_only=True):
    """The amount of work, and a planned crash."""

    #: Sentences to rate.
    sentences: int
    #: Chats between two workers.
    chats: int
    #: The router: python or node.
    server_type: str
    #: The operator kills itself once the event at this position is durable, before anybody is notified of it.
    dies_at: int | None = None

    @property
    def units(self) -> int:
        """The expected number of submissions."""
        return self.sentences + 2 * self.chats


def rate(_sentence: object, rng: Random) -> object:
    """Return a random rating that no other submission equals."""
    return {"rating": rng.randint(1, 5), "comment": f"{rng.getrandbits(64):016x}"}


def configuration(job: TortureJob, task: str) -> DictConfig:
    """Return an example's configuration with an onboarding and a free port."""
    example = EXAMPLES / _EXAMPLE_OF[task]
    name = task.replace("-", "_")
    register_script_config(name, build_default_task_config(example.name))
    overrides = [
        f"mephisto.task.task_name={task}",
        "mephisto.task.resume_incomplete_run=true",
        "mephisto.architect.port=0",
        f"mephisto.architect.server_type={job.server_type}",
        f"mephisto.blueprint.onboarding_qualification={task}-onboarded",
        "mephisto.blueprint.data_csv=null",  # the shared state takes its place
    ]
    if task == CHAT:
        overrides.append(f"mephisto.blueprint.messages_per_worker={CHAT_MESSAGES}")
    return load_task_config(example / "run_task.py", "hydra_configs", name, overrides)


def shared_state(job: TortureJob, task: str) -> SharedStaticTaskState:
    """Return a task's data, and the callbacks of a launch script."""
    data: Sequence[Update] = (
        [{"sentence": f"Sentence {number} is not like the others."} for number in range(job.sentences)]
        if task == RATING
        else [{"topic": f"Topic {number}"} for number in range(job.chats)]
    )
    return SharedStaticTaskState(static_task_data=data, validate_onboarding=_has_succeeded)


def _has_succeeded(onboarding_data: Update) -> bool:
    outputs = onboarding_data["outputs"]
    return isinstance(outputs, dict) and outputs.get("success") is True


async def operate(data_dir: Path, job: TortureJob) -> int:
    """Run the operator until both runs have ended or are paused, continuing the work of one that was killed.

    Returns:
        The exit status.
    """
    async with open_operator(data_dir) as operator, trio.open_nursery() as nursery:
        await nursery.start(operator.runs.watch_signals)
        if job.dies_at is not None:
            operator.ledger.subscribe(_dying_at(job.dies_at))
        try:
            await _launch_and_wait(operator, job)
        except (LaunchError, CommandRefusedError):
            if not operator.runs.is_leaving:
                raise
        await operator.shutdown()
        nursery.cancel_scope.cancel()
    return 0 if all(_is_completed(operator, task) for task in (RATING, CHAT)) else PAUSED


async def _launch_and_wait(operator: Operator, job: TortureJob) -> None:
    urls: dict[str, str] = {}
    for task in (RATING, CHAT):
        if not _is_completed(operator, task):
            cfg = configuration(job, task)
            run = await operator.launch_task_run_or_die(cfg.mephisto, shared_state(job, task))
            urls[task] = operator.get_running_task_runs()[run].url
    echo(msgspec.json.encode(urls).decode())
    await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=None)


def _dying_at(position: int) -> Callable[[Sequence[RecordedEvent]], None]:
    def die(events: Sequence[RecordedEvent]) -> None:
        if events and events[-1].seq >= position:
            os.kill(os.getpid(), signal.SIGKILL)

    return die


def _is_completed(operator: Operator, task: str) -> bool:
    """Return whether the task's last run is completed.

    Raises:
        LaunchError: it failed.
    """
    state = operator.ledger.state
    number = state.tasks_by_name.get(task)
    statuses = [run.status for run in state.task_runs.values() if run.task == number]
    if statuses and statuses[-1] is TaskRunStatus.FAILED:
        raise LaunchError("resume", f"the last run of {task} has failed")
    return bool(statuses) and statuses[-1] is TaskRunStatus.COMPLETED


def main(arguments: Sequence[str]) -> None:
    """Run the program."""
    data_dir, job = arguments
    set_mephisto_log_format()
    set_mephisto_log_level(level="info")
    sys.exit(trio.run(partial(operate, Path(data_dir), msgspec.json.decode(job, type=TortureJob))))


if __name__ == "__main__":
    main(sys.argv[1:])
