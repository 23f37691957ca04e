"""Launches the runs of a rehearsal: with the script's configuration, except that nobody outside is reached."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import cast

import trio
from omegaconf import DictConfig, OmegaConf

from ...core.abstractions.blueprint import AssignmentData, Blueprint
from ...core.abstractions.shared_task_state import SharedTaskState
from ...core.abstractions.work.agent_data import work_kind
from ...core.abstractions.work_data import InitializationData, WorkKind
from ...core.ledger import Ledger
from ...core.operations.configuration.task_config import RunConfig, complete_run_config
from ...core.operations.control.own_page_requests import OwnPageServices
from ...core.operations.launching.incomplete_runs import Ask
from ...core.operations.operator import ApproveQuote, Operator
from ...core.operations.run.awaited_calls import must_be_awaited
from ...core.operations.run.plan import RunEnding, RunPlan
from ...core.operations.run.quote import quote_of
from ...core.ports import Ids, WallClock
from ...events.ids import TaskRunId
from ..architects.local import LocalArchitect, LocalArchitectArgs
from ..providers.mock import MockProvider, MockProviderArgs
from .settings import LaunchedRun, RehearsalSettings

#: Seconds that a simulated worker has for a unit, so that somebody's time can run out.
UNIT_SECONDS = 15
#: Seconds after which the router takes a silent page for gone; pages send a heartbeat every 6.
HEARTBEAT_LIMIT_SECONDS = 8.0
#: Requests for work that may come from one address, or for one worker: all simulated workers have the same address.
REQUESTS = 1_000_000


class RehearsalOperator(Operator):
    """An operator whose runs have a local server, the mock provider, and as many units as a rehearsal needs."""

    def __init__(
        self,
        ledger: Ledger,
        ids: Ids,
        clock: WallClock,
        runs_dir: Path,
        nursery: trio.Nursery,
        ask: Ask | None = None,
        approve_quote: ApproveQuote | None = None,
        own_pages: OwnPageServices | None = None,
        *,
        rehearsal: RehearsalSettings,
        on_launched: Callable[[LaunchedRun], None],
    ) -> None:
        """Keep the parts; nothing is started.

        Args:
            ledger, ids, clock, runs_dir, nursery, ask, approve_quote, own_pages: as `Operator`.
            rehearsal: the number of units, and the data folder.
            on_launched: called with each run once workers can come.
        """
        super().__init__(ledger, ids, clock, runs_dir, nursery, ask, approve_quote, own_pages)
        self._rehearsal = rehearsal
        self._on_launched = on_launched

    @must_be_awaited
    async def launch_task_run_or_die(self, run_config: RunConfig, shared_state: SharedTaskState | None = None) -> str:
        """Launch a run of the rehearsal; see `Operator.launch_task_run_or_die`."""
        config = rehearsed_config(complete_run_config(run_config), self._rehearsal.data_dir)
        return str(await super().launch_task_run_or_die(config, shared_state))

    async def _launch(self, plan: RunPlan, previous: TaskRunId | None, ending: RunEnding | None = None) -> str:
        quote = quote_of(plan)
        limited = replace(plan, blueprint_class=with_units(plan.blueprint_class, self._rehearsal.units))
        run = await super()._launch(limited, previous, ending)
        live_run, settings = self.get_running_task_runs()[run], plan.config.blueprint
        self._on_launched(
            LaunchedRun(
                task_run=live_run.task_run,
                task_name=plan.task_name,
                url=live_run.url,
                has_own_page=settings.get("task_source") is not None,
                is_chat=work_kind(limited.blueprint_class.BLUEPRINT_TYPE) is WorkKind.CHAT,
                chat_messages=settings.get("messages_per_worker") or 0,
                reward_cents=quote.reward_cents,
                cost_of_unit_cents=quote.cost_of_unit_cents,
                planned_units=quote.all_units,
                planned_cents=quote.total_cents,
            )
        )
        return run


def rehearsed_config(run_config: DictConfig, data_dir: Path) -> DictConfig:
    """Return a run's configuration with a local server, the mock provider, short times and another data folder."""
    config = run_config.copy()
    OmegaConf.set_readonly(config, False)
    if config.architect.get("_architect_type") != LocalArchitect.ARCHITECT_TYPE:
        config.architect = OmegaConf.structured(LocalArchitectArgs)
        config.architect._architect_type = LocalArchitect.ARCHITECT_TYPE
    config.architect.hostname, config.architect.port, config.architect.public_url = "127.0.0.1", 0, None
    config.architect.heartbeat_limit_seconds = HEARTBEAT_LIMIT_SECONDS
    for limit in ("max_requests_per_address", "max_requests_per_worker"):
        config.architect[limit] = REQUESTS
    for limit in ("requests_per_second_per_address", "requests_per_second_per_worker"):
        config.architect[limit] = float(REQUESTS)
    if config.provider.get("_provider_type") != MockProvider.PROVIDER_TYPE:
        requester = config.provider.get("requester_name")
        config.provider = OmegaConf.structured(MockProviderArgs)
        config.provider._provider_type = MockProvider.PROVIDER_TYPE
        config.provider.requester_name = requester
    config.database.data_dir = str(data_dir)
    config.task.resume_incomplete_run = False
    for setting in ("assignment_duration_in_seconds", "submission_timeout"):
        config.task[setting] = min(config.task[setting], UNIT_SECONDS)
    return config


def with_units(blueprint_class: type[Blueprint], units: int) -> type[Blueprint]:
    """Return a blueprint whose data has about so many units: items are left out, or come again if there are too few."""

    def get_initialization_data(blueprint: Blueprint) -> AssignmentData:
        return some_units(blueprint_class.get_initialization_data(blueprint), units)

    def count_units(_: Blueprint) -> None:
        return None

    methods = {"get_initialization_data": get_initialization_data, "count_units": count_units}
    return cast("type[Blueprint]", type(blueprint_class.__name__, (blueprint_class,), methods))


def some_units(data: AssignmentData, units: int) -> AssignmentData:
    """Return data of about so many units, read one item at a time."""
    return _some_async(data, units) if isinstance(data, AsyncIterable) else _some(data, units)


def _some(data: Iterable[InitializationData], units: int) -> Iterator[InitializationData]:
    items: list[InitializationData] = []
    for item in data:
        items.append(item)
        units -= len(item.unit_data)
        yield item
        if units <= 0:
            return
    yield from _repeated(items, units)


async def _some_async(data: AsyncIterable[InitializationData], units: int) -> AsyncIterator[InitializationData]:
    items: list[InitializationData] = []
    async for item in data:
        items.append(item)
        units -= len(item.unit_data)
        yield item
        if units <= 0:
            return
    for item in _repeated(items, units):
        yield item


def _repeated(items: Sequence[InitializationData], units: int) -> Iterator[InitializationData]:
    for item in cycle(items):
        units -= len(item.unit_data)
        yield item
        if units <= 0:
            return
