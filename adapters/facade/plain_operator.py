"""Runs launch scripts whose `main` is a plain function: in a thread, with an operator whose methods block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from omegaconf import DictConfig

from ...core.abstractions.blueprint import SharedTaskState
from ...core.operations.configuration.task_config import RunConfig
from ...core.operations.operator import DEFAULT_LOG_RATE_SECONDS, Operator
from ...core.operations.run.live_task_run import LiveTaskRun
from ...core.operations.task_code.calls import wait_on_loop
from ...events.ids import TaskRunId
from .calls import run_plain
from .local_db import LocalMephistoDB

T = TypeVar("T")


class PlainOperator:
    """An operator for plain functions: the methods of `Operator`, without `await`."""

    def __init__(self, operator: Operator, open_db: Callable[[], LocalMephistoDB]) -> None:
        """Initialize.

        Args:
            operator: the operator; its event loop has started the thread that uses this object.
            open_db: opens its log.
        """
        self._operator = operator
        self._open_db = open_db
        self._db: LocalMephistoDB | None = None

    @property
    def db(self) -> LocalMephistoDB:
        """The operator's database, to read it and to decide about work and workers."""
        if self._db is None:
            self._db = self._open_db()
        return self._db

    def close(self) -> None:
        """Close the database if it was used."""
        if self._db is not None:
            self._db.close()

    def launch_task_run(self, run_config: RunConfig, shared_state: SharedTaskState | None = None) -> str | None:
        """Launch a run; see `Operator.launch_task_run`."""
        return wait_on_loop(self._operator.launch_task_run, run_config, shared_state)

    def launch_task_run_or_die(self, run_config: RunConfig, shared_state: SharedTaskState | None = None) -> str:
        """Launch a run; see `Operator.launch_task_run_or_die`."""
        return wait_on_loop(self._operator.launch_task_run_or_die, run_config, shared_state)

    #: Mephisto's older name.
    validate_and_run_config = launch_task_run
    validate_and_run_config_or_die = launch_task_run_or_die

    def launch_from_incomplete_run(self, task_run: TaskRunId, shared_state: SharedTaskState | None = None) -> str:
        """Resume a run of an earlier process; see `Operator.launch_from_incomplete_run`."""
        return wait_on_loop(self._operator.launch_from_incomplete_run, task_run, shared_state)

    def find_previous_task_run(self, run_config: DictConfig) -> TaskRunId | None:
        """Return the last run of the configured task, if it can be resumed."""
        return _on_loop(partial(self._operator.find_previous_task_run, run_config))

    def get_running_task_runs(self) -> dict[str, LiveTaskRun]:
        """Return the live runs, by id."""
        return _on_loop(self._operator.get_running_task_runs)

    def print_run_details(self) -> None:
        """Log the progress of each live run."""
        _on_loop(self._operator.print_run_details)

    def wait_for_runs_then_shutdown(
        self, skip_input: bool = False, log_rate: float | None = DEFAULT_LOG_RATE_SECONDS
    ) -> None:
        """Wait until all runs have ended or are paused; see `Operator.wait_for_runs_then_shutdown`."""
        wait_on_loop(self._operator.wait_for_runs_then_shutdown, skip_input, log_rate)

    def shutdown(self, skip_input: bool = True) -> None:
        """End all runs; see `Operator.shutdown`."""
        wait_on_loop(self._operator.shutdown, skip_input)

    def force_shutdown(self, timeout: float = 5.0) -> None:
        """End all runs and take the work from the people at it; see `Operator.force_shutdown`."""
        wait_on_loop(self._operator.force_shutdown, timeout)


#: A script's plain `def main(operator, cfg)`.
PlainMain = Callable[[PlainOperator, DictConfig], None]


async def run_plain_main(
    main: PlainMain, operator: Operator, cfg: DictConfig, open_db: Callable[[], LocalMephistoDB]
) -> None:
    """Run a script's plain main in a thread until it returns; whatever it raises is raised here.

    Args:
        main: the function.
        operator: the operator of this event loop.
        cfg: the checked configuration.
        open_db: opens the operator's log.
    """

    def run() -> None:
        plain = PlainOperator(operator, open_db)
        try:
            main(plain, cfg)
        finally:
            plain.close()

    await run_plain(run)


def _on_loop(function: Callable[[], T]) -> T:
    async def call() -> T:
        return function()

    return wait_on_loop(call)
