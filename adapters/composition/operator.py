"""The composition root: chooses and connects the adapters, for launch scripts and the command line."""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, cast

import trio
from omegaconf import DictConfig

from ...core.errors import LogError
from ...core.ledger import Ledger
from ...core.operations.configuration.task_config import check_run_config
from ...core.operations.dry_run import DryRunEndError, DryRunOperator
from ...core.operations.hydra_config import MetricsArgs, NotifyArgs, TaskConfig
from ...core.operations.launching.incomplete_runs import Ask
from ...core.operations.logger_core import set_mephisto_log_level
from ...core.operations.operator import ApproveQuote, Operator
from ...core.operations.registry import fill_registries
from ...core.operations.task_code.loop_watchdog import watching_the_loop
from ...core.operations.task_code.timings import measure_with
from ...core.payloads import RUNS_FOLDER
from ...core.ports import Offload, WallClock
from ...projections.mephisto_db.projection import MephistoDbProjection
from ...projections.mephisto_db.reader import MephistoDB
from ..advice import log_lines_naming
from ..control.client import open_gate_for_operator
from ..control.server import serve_control
from ..facade.local_db import LocalMephistoDB
from ..facade.plain_operator import PlainMain, run_plain_main
from ..log.commit_thread import commit_in_thread, run_writer
from ..log.opening import OpeningGate
from ..log.sqlite.log import SqliteLog
from ..log.state_keeper import StateKeeper
from ..metrics.endpoint import serve_metrics
from ..metrics.latencies import Latencies
from ..metrics.operator_metrics import OperatorMetrics
from ..notify.service import Notifier, notifier_of
from ..scripts.command import AsyncMain, ScriptMain, ask_on_terminal, script_decorator
from ..scripts.launch_quote import LaunchQuote
from ..scripts.progress_bars import progress_bars
from .clock_and_ids import SystemClock
from .data_dir import DATABASE_FILE, data_dir, make_data_dir
from .ledger import ledger_of, seal_ended
from .log_choice import open_log
from .operator_override import OperatorFactory, operator_override
from .requests import own_page_services, request_executor, unwrapped_nursery
from .sharing import joined

#: The interval at which the anchor file is brought up to date with the log.
ANCHOR_SECONDS = 1.0
#: Seconds in which runs must be paused when a script fails or is interrupted.
PAUSE_SECONDS = 2.5
#: Seconds in which notices of the last events may still be taken.
NOTICE_SECONDS = 1.0


@asynccontextmanager
async def open_operator(
    data_dir: Path,
    clock: WallClock | None = None,
    ask: Ask | None = None,
    metrics: MetricsArgs | None = None,
    approve_quote: ApproveQuote | None = None,
    operator_class: OperatorFactory = Operator,
    notify: NotifyArgs | None = None,
) -> AsyncIterator[Operator]:
    """Open the log of a data folder and run an operator on it.

    When the block ends, its runs end too: no more work is given out, and people at work may finish. When it raises, is
    cancelled or interrupted, its runs are paused: they can be resumed.

    Args:
        data_dir: the folder, created if missing.
        clock: by default the machine's.
        ask: asks whether to resume a run that did not end; None if nobody can be asked.
        metrics: the address to serve metrics at; None to serve none.
        approve_quote: shows the cost of each new run and decides whether to launch it; None launches every run.
        operator_class: `DryRunOperator`, to publish nothing.
        notify: who is notified of what; None: nobody.

    Raises:
        ConfigError: the folder cannot be created, the port for metrics is taken, or a setting of notices is wrong.
        UnusableLogError, DamagedLogError: as `SqliteLog.create_or_open`.
    """
    if (override := operator_override()) is not None:
        data_dir, operator_class = override.data_dir, override.make_operator
        ask = metrics = approve_quote = notify = None
    fill_registries()
    make_data_dir(data_dir)
    clock, operator_metrics = clock or SystemClock(), OperatorMetrics()
    offload = operator_metrics.timed(commit_in_thread) if metrics and metrics.port is not None else commit_in_thread
    async with (
        _open_log(data_dir / DATABASE_FILE, operator_class, clock, offload) as (log, gate, ledger, keeper),
        joined(log, ledger) as (ids, ownership),
        unwrapped_nursery() as nursery,
    ):
        # Cancelled last, so that a run that is cancelled can still record that it is paused.
        writing = trio.CancelScope(shield=True)
        nursery.start_soon(_write_within, writing, ledger)
        try:
            for task in (partial(_keep_anchored, log), keeper.run, _watch_loop):
                nursery.start_soon(task)
            parts = ledger, ids, clock, data_dir / RUNS_FOLDER, nursery, ask, approve_quote
            # Other classes only try something out, in a log of their own.
            shared = (ownership,) if operator_class is Operator else ()
            operator = operator_class(*parts, own_page_services(log.path, ledger, ids), *shared)
            if metrics is not None and metrics.port is not None:
                await _start_metrics(nursery, metrics.host, metrics.port, operator_metrics, operator, log, clock)
            notifier = notifier_of(notify or NotifyArgs(), log, ledger, data_dir, clock)
            await nursery.start(serve_control, log.path, request_executor(log.path, ledger, ids, operator))
            gate.release()
            async with _notifying(notifier), _ending_in_order(operator):
                yield operator
        finally:
            log.lock_attempts = 0
            writing.cancel()
        nursery.cancel_scope.cancel()


class _OpenLog(NamedTuple):
    """A log that is open for an operator."""

    log: SqliteLog
    #: To be released once others can reach the operator.
    gate: OpeningGate
    ledger: Ledger
    keeper: StateKeeper


@asynccontextmanager
async def _open_log(
    database: Path, operator_class: OperatorFactory, clock: WallClock, offload: Offload
) -> AsyncIterator[_OpenLog]:
    """Open a log for an operator.

    Args:
        database: the file in the data folder.
        operator_class: the class of the operator; what another one than `Operator` does is only tried out.
        clock: the wall clock.
        offload: makes the blocking call of each commit.

    Raises:
        UnusableLogError: the database is not a log, or another operator has it open.
        DamagedLogError: the log was modified from outside.
    """
    gate = await open_gate_for_operator(database)
    try:
        # What is only tried out is never in the log on a server.
        choose = open_log if operator_class is Operator else SqliteLog.create_or_open
        log = choose(database, [MephistoDbProjection()])
        try:
            ledger, keeper = ledger_of(log, clock, offload)
            try:
                async with log_lines_naming(database):
                    yield _OpenLog(log, gate, ledger, keeper)
            finally:
                keeper.keep_at_close()
        except BaseException:
            with suppress(LogError):  # the first error says more
                log.close()
            raise
        log.close()
        await seal_ended(database, ledger)
    finally:
        gate.release()


async def _start_metrics(
    nursery: trio.Nursery,
    host: str,
    port: int,
    shown: OperatorMetrics,
    operator: Operator,
    log: SqliteLog,
    clock: WallClock,
) -> None:
    """Serve metrics in a nursery. Raises ConfigError if the port is taken."""
    measure_with(Latencies(shown.registry, clock))
    show_refusals = partial(_show_refusals, operator, shown)
    await nursery.start(serve_metrics, shown, operator.ledger, log, host, port, show_refusals)


async def _show_refusals(operator: Operator, metrics: OperatorMetrics) -> None:
    """Show what all live runs have refused or discarded."""
    totals: Counter[str] = Counter()
    for run in tuple(operator.runs.live):
        totals.update(await operator.runs.refusals(run))
    metrics.show_refusals(totals)


@asynccontextmanager
async def _ending_in_order(operator: Operator) -> AsyncIterator[None]:
    """Shut an operator down at the end of a block; if the block raises or is cancelled, pause its runs instead."""
    try:
        yield
        await operator.shutdown()
    except BaseException as error:
        with trio.move_on_after(PAUSE_SECONDS) as pausing:
            pausing.shield = True
            await operator.pause(f"the launch script ended with {type(error).__name__}")
        raise


@asynccontextmanager
async def _notifying(notifier: Notifier) -> AsyncIterator[None]:
    """Send notices during a block, and those of its last events after it, however it ends."""
    async with unwrapped_nursery() as nursery:
        sending = trio.CancelScope(shield=True)
        nursery.start_soon(_send_within, sending, notifier)
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                await notifier.wait_caught_up(NOTICE_SECONDS)
            sending.cancel()


async def _send_within(scope: trio.CancelScope, notifier: Notifier) -> None:
    """Send notices until the scope is cancelled."""
    with scope:
        await notifier.run()


async def _write_within(scope: trio.CancelScope, ledger: Ledger) -> None:
    """Run the writer task of a ledger until the scope is cancelled.

    Nobody waits until it has started: `nursery.start` would wait forever if the start is cancelled.
    """
    with scope:
        await run_writer(ledger)


async def _watch_loop() -> None:
    """Log whatever blocks the event loop, until cancelled."""
    with watching_the_loop():
        await trio.sleep_forever()


async def _keep_anchored(log: SqliteLog) -> None:
    """Keep the head of the chain outside the database, so that a lost tail is noticed."""
    while True:
        await trio.sleep(ANCHOR_SECONDS)
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(log.write_anchor)


def run_operator(
    job: Callable[[Operator], Awaitable[None]],
    data_dir: Path,
    ask: Ask | None = None,
    metrics: MetricsArgs | None = None,
    approve_quote: ApproveQuote | None = None,
    operator_class: OperatorFactory = Operator,
    notify: NotifyArgs | None = None,
) -> None:
    """Run an operator for the duration of a job, with progress bars and with handling of Ctrl-C from the start.

    Args:
        job: the code that uses the operator; runs that are live at its end are shut down.
        data_dir: as `open_operator`.
        ask: as `open_operator`.
        metrics: as `open_operator`.
        approve_quote: as `open_operator`.
        operator_class: as `open_operator`.
        notify: as `open_operator`.

    Raises:
        ConfigError, LaunchError, UnusableLogError: errors that the user must act on.
        KeyboardInterrupt: the third Ctrl-C.
    """

    async def run() -> None:
        opened = open_operator(
            data_dir,
            ask=ask,
            metrics=metrics,
            approve_quote=approve_quote,
            operator_class=operator_class,
            notify=notify,
        )
        async with opened as operator, unwrapped_nursery() as nursery:
            await nursery.start(operator.runs.watch_signals)
            with progress_bars(operator):
                await job(operator)
            await operator.shutdown()
            nursery.cancel_scope.cancel()

    trio.run(run)


def run_script(main: ScriptMain, cfg: DictConfig, *, dry_run: bool) -> None:
    """Run a launch script's `main(operator, cfg)` until it ends.

    Args:
        main: the function; a plain one runs in a thread, with an operator whose methods block.
        cfg: the checked configuration.
        dry_run: do everything except publish; the log is not opened.

    Raises:
        ConfigError, LaunchError, UnusableLogError: errors that the user must act on.
        KeyboardInterrupt: the third Ctrl-C.
    """

    ask = ask_on_terminal if sys.stdin.isatty() else None
    folder = data_dir_of(cfg)
    quote = LaunchQuote(folder / DATABASE_FILE, asks=ask is not None and not dry_run)
    if dry_run:
        with TemporaryDirectory(prefix="mephisto-dry-run-") as nowhere:
            job = partial(_run_main, main, cfg, Path(nowhere))
            run_operator(job, Path(nowhere), approve_quote=quote.approve, operator_class=DryRunOperator)
    else:
        job = partial(_run_main, main, cfg, folder)
        run_operator(
            job,
            folder,
            ask=ask,
            metrics=cfg.mephisto.metrics,
            approve_quote=quote.approve,
            notify=cfg.mephisto.notify,
        )


async def _run_main(main: ScriptMain, cfg: DictConfig, folder: Path, operator: Operator) -> None:
    """Run a script's main to its end, and check that it did what it seems to do.

    Raises:
        ConfigError, LaunchError: a call was not awaited, or a launch failed.
    """
    with suppress(DryRunEndError):
        if inspect.iscoroutinefunction(inspect.unwrap(main)):
            await cast("AsyncMain", main)(operator, cfg)
        else:
            await run_plain_main(cast("PlainMain", main), operator, cfg, partial(LocalMephistoDB, folder))
    operator.calls.check()
    if operator.failed_launches:
        raise operator.failed_launches[0]


@asynccontextmanager
async def process_config_and_get_operator(cfg: DictConfig) -> AsyncIterator[tuple[Operator, DictConfig]]:
    """Open an operator for a configuration that was composed elsewhere: by `hydra.main`, in a notebook or a test.

    Use it as `async with process_config_and_get_operator(cfg) as (operator, cfg)`. It ends as `open_operator` does.
    Scripts with `task_script` do not need it.

    Args:
        cfg: a whole configuration, with everything below `mephisto`.

    Raises:
        ConfigError: a setting is unknown, wrong or missing; or as `open_operator`.
        UnusableLogError, DamagedLogError: as `open_operator`.
    """
    fill_registries()
    check_run_config(cfg.mephisto)
    set_mephisto_log_level(level=cfg.mephisto.log_level)
    async with open_operator(data_dir_of(cfg), metrics=cfg.mephisto.metrics, notify=cfg.mephisto.notify) as operator:
        yield operator, cfg


def load_db_and_process_config(cfg: DictConfig) -> tuple[MephistoDB, DictConfig]:
    """Open the database of a configuration for reading, even while an operator writes it.

    Raises:
        UnusableLogError: there is none, because nothing was launched into this folder.
    """
    return MephistoDB(data_dir_of(cfg) / DATABASE_FILE), cfg


def data_dir_of(cfg: DictConfig) -> Path:
    """Return the data folder of a configuration, by default the one in config.yml or `mephisto_data`."""
    override = operator_override()
    if override is not None:
        return override.data_dir
    return data_dir(cfg.mephisto.database.data_dir)


def task_script(
    config: type[TaskConfig] | None = None,
    default_config_file: str | None = None,
    config_path: str = "hydra_configs",
) -> Callable[[ScriptMain], Callable[[], None]]:
    """Turn a launch script's `main(operator, cfg)` into a command with Hydra's overrides.

    An `async def` awaits the operator's methods. A plain `def` calls them as they are: it runs in a thread.

    Args:
        config: the script's config class; or
        default_config_file: the name of the file in `conf/` to start from, without `.yaml`.
        config_path: the folder of configuration files, relative to the script.
    """
    return script_decorator(run_script, config=config, default_config_file=default_config_file, config_path=config_path)
