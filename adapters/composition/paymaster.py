"""Pays what a run owes through the crowd provider that it was launched with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from ...core.abstractions.blueprint import SharedTaskState
from ...core.abstractions.crowd.payments import PaymentProvider, PaymentSite, payer_of
from ...core.abstractions.crowd_provider import CrowdProvider
from ...core.abstractions.resources import Resources
from ...core.errors import ConfigError, UnknownEntityError
from ...core.ledger import Ledger
from ...core.operations.control.executor import OpenPaymaster
from ...core.operations.hydra_config import MephistoConfig
from ...core.operations.registry import get_crowd_provider_from_type
from ...core.operations.services.paymaster import ACTOR as PAYMASTER
from ...core.operations.services.paymaster import Paymaster
from ...core.ports import Ids
from ...events import streams
from ...events.ids import TaskRunId
from ...events.task_run import TaskRunCreated
from .ledger import open_ledger


def paying_provider(created: TaskRunCreated) -> type[CrowdProvider]:
    """Return the crowd provider of a run, which can pay.

    Raises:
        ConfigError: it is not installed, or does not pay.
    """
    provider = get_crowd_provider_from_type(created.provider_type)
    if not issubclass(provider, PaymentProvider | PaymentSite):
        raise ConfigError(
            f"run-{created.task_run} has its workers from {created.provider_type!r}, which cannot pay them",
            hint="Pay what `mephisto-es ledger` shows by other means",
        )
    return provider


def paymaster_opener(database: Path, ledger: Ledger, ids: Ids) -> OpenPaymaster:
    """Return what opens the paymaster of any run of an open log.

    Args:
        database: the log's file; providers are told its folder.
        ledger: executes the commands.
        ids: source of command ids.
    """

    @asynccontextmanager
    async def open_for(run: TaskRunId, author: str) -> AsyncIterator[Paymaster]:
        history = ledger.log.history(streams.task_run(run))
        created = history[0].envelope.event if history else None
        if not isinstance(created, TaskRunCreated):
            raise UnknownEntityError(f"run-{run}")
        provider_class = paying_provider(created)
        resources = Resources(ledger, ids, run)
        provider = provider_class(_config(database, created, provider_class), SharedTaskState(), resources)
        yield Paymaster(ledger, ids, payer_of(provider), author)

    return open_for


@asynccontextmanager
async def open_paymaster(database: Path, created: TaskRunCreated) -> AsyncIterator[Paymaster]:
    """Open a log for writing, and pay from it what a run owes.

    Args:
        database: the log's file; the provider is told of the folder that it is in.
        created: the run.

    Raises:
        ConfigError: the run's provider is not installed, or does not pay.
        UnusableLogError: there is no such log, or another process writes it.
        DamagedLogError: the log was changed from outside.
    """
    paying_provider(created)
    async with (
        open_ledger(database) as (ledger, ids),
        paymaster_opener(database, ledger, ids)(created.task_run, PAYMASTER) as paymaster,
    ):
        yield paymaster


def _config(database: Path, created: TaskRunCreated, provider: type[CrowdProvider]) -> DictConfig:
    """Return the part of a run's configuration that its provider needs; the blueprint's code may be elsewhere."""
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.provider = provider.ArgsClass
    stored = OmegaConf.create(created.config)
    if isinstance(stored, DictConfig) and "provider" in stored:
        config.provider.merge_with(stored.provider)
    config.database.data_dir = str(database.absolute().parent)
    return config
