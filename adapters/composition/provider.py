"""Opens the crowd provider of a run without its operator: to pay, and to compare its site with the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.crowd.payments import PaymentProvider, PaymentSite
from ...core.abstractions.crowd_provider import CrowdProvider
from ...core.abstractions.resources import Resources
from ...core.errors import ConfigError, UnknownEntityError
from ...core.ledger import Ledger
from ...core.operations.control.executor import OpenProvider
from ...core.operations.hydra_config import MephistoConfig
from ...core.operations.registry import get_crowd_provider_from_type, get_valid_provider_types
from ...core.ports import Ids
from ...events import streams
from ...events.ids import TaskRunId
from ...events.task_run import TaskRunCreated


def paying_provider(created: TaskRunCreated) -> type[CrowdProvider]:
    """Return the crowd provider of a run, which can pay.

    Raises:
        ConfigError: it is not installed, or does not pay.
    """
    provider = _provider_of(created)
    if not issubclass(provider, PaymentProvider | PaymentSite):
        raise ConfigError(
            f"run-{created.task_run} has its workers from {created.provider_type!r}, which cannot pay them",
            hint="Pay what `mephisto-es ledger` shows by other means",
        )
    return provider


def _provider_of(created: TaskRunCreated) -> type[CrowdProvider]:
    """Return the crowd provider of a run.

    Raises:
        ConfigError: it is neither installed nor defined by a script that was imported.
    """
    if created.provider_type not in get_valid_provider_types():
        raise ConfigError(
            f"run-{created.task_run} has its workers from {created.provider_type!r}, which is not installed here",
            hint="If its launch script defines it, name the script: --script run_task.py",
        )
    return get_crowd_provider_from_type(created.provider_type)


def provider_opener(database: Path, ledger: Ledger, ids: Ids) -> OpenProvider:
    """Return what opens the provider of any run of an open log.

    Args:
        database: the log's file; providers are told its folder.
        ledger: executes the commands.
        ids: source of command ids.
    """

    @asynccontextmanager
    async def open_for(run: TaskRunId) -> AsyncIterator[CrowdProvider]:
        history = ledger.log.history(streams.task_run(run))
        created = history[0].envelope.event if history else None
        if not isinstance(created, TaskRunCreated):
            raise UnknownEntityError(f"run-{run}")
        provider_class = _provider_of(created)
        config = provider_config(database, created, provider_class)
        async with provider_class(config, SharedTaskState(), Resources(ledger, ids, run)) as provider:
            yield provider

    return open_for


def provider_config(database: Path, created: TaskRunCreated, provider: type[CrowdProvider]) -> DictConfig:
    """Return the parts of a run's configuration that its provider needs; the blueprint's code may be elsewhere.

    Args:
        database: the log's file.
        created: the run.
        provider: its provider.
    """
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.provider = provider.ArgsClass
    stored = OmegaConf.create(created.config)
    if isinstance(stored, DictConfig):
        for part in ("provider", "task"):
            if part in stored:
                config[part].merge_with(stored[part])
    config.database.data_dir = str(database.absolute().parent)
    return config
