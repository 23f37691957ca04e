"""Plans a run before its launch: checks the configuration and chooses the plugins; nothing is recorded yet."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple, cast

import msgspec
from omegaconf import DictConfig, OmegaConf

from ....events.task_run import TaskRunCreated
from ...abstractions.architect import Architect
from ...abstractions.blueprint import Blueprint, SharedTaskState
from ...abstractions.callbacks import check_callbacks
from ...abstractions.crowd_provider import CrowdProvider
from ...abstractions.qualifications import QualificationRule, rules_for_provider
from ...abstractions.work_data import to_plain
from ...errors import ConfigError
from ...state.budget import Budget
from ..configuration.money import amount
from ..configuration.remarks import remarks_on
from ..configuration.task_config import check_run_config
from ..configuration.task_settings import TaskSettings
from ..hydra_config import MephistoConfig, NotifyArgs
from ..logger_core import get_logger
from ..registry import (
    get_architect_from_type,
    get_blueprint_from_type,
    get_crowd_provider_from_type,
    get_valid_provider_types,
)

logger = get_logger(__name__)


class RunEnding(NamedTuple):
    """A request to end a run, with its author."""

    reason: str
    author: str
    #: True to take their work from the people at work, instead of waiting for them.
    at_once: bool


@dataclass(frozen=True)
class RunPlan:
    """Everything needed to launch a run."""

    config: DictConfig
    settings: TaskSettings
    shared_state: SharedTaskState
    blueprint_class: type[Blueprint]
    architect_class: type[Architect]
    provider_class: type[CrowdProvider]
    qualifications: tuple[QualificationRule, ...]
    #: Number of runs of the task when a launch was decided on, which is called off if there are more; None: never.
    known_runs: int | None = None

    @property
    def task_name(self) -> str:
        """Name of the task, which all its runs share."""
        return task_name(self.config)

    @property
    def given_by_script(self) -> tuple[str, ...]:
        """Names of the fields of the shared state that the launch script has set."""
        unset = type(self.shared_state)()
        return tuple(
            field.name
            for field in fields(self.shared_state)
            if not _is_same(getattr(self.shared_state, field.name), getattr(unset, field.name))
        )


def task_name(config: DictConfig) -> str:
    """Return the name of a configuration's task: the one that is set, or else the blueprint's type."""
    return str(config.task.task_name or config.blueprint._blueprint_type)


def stored_config(created: TaskRunCreated) -> DictConfig:
    """Return the configuration that a run was launched with, without its secrets.

    Raises:
        ConfigError: a plugin of the run is no longer installed.
    """
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    stored = OmegaConf.create(created.config)
    config.blueprint = get_blueprint_from_type(created.blueprint_type).ArgsClass
    config.architect = get_architect_from_type(created.architect_type).ArgsClass
    config.provider = get_crowd_provider_from_type(created.provider_type).ArgsClass
    config.merge_with(stored)
    return config


def stored_notify_args(config: str) -> NotifyArgs:
    """Return the settings of notices that a run was launched with.

    Args:
        config: its recorded configuration, as JSON.
    """
    args = OmegaConf.merge(
        OmegaConf.structured(NotifyArgs), msgspec.json.decode(config, type=dict[str, object]).get("notify", {})
    )
    return cast("NotifyArgs", OmegaConf.to_object(args))


def plan_run(
    config: DictConfig, shared_state: SharedTaskState | None, *, resumes: bool = False, ends: bool = False
) -> RunPlan:
    """Check a configuration as far as it can be checked before anything exists.

    Args:
        config: the `mephisto` section of a configuration.
        shared_state: the state that the script passes; None if it passes none.
        resumes: True to resume a run, whose server may exist already.
        ends: True to resume it only to end it: it takes no work, so it needs neither data nor the script's callbacks.

    Raises:
        ConfigError: a setting is wrong; the error names it, and a remedy.
    """
    settings = check_run_config(config)
    for remark in remarks_on(config):
        logger.warning(str(remark))
    blueprint_class = get_blueprint_from_type(config.blueprint._blueprint_type)
    architect_class = get_architect_from_type(config.architect._architect_type)
    provider_class = get_crowd_provider_from_type(config.provider._provider_type)
    shared_state = blueprint_class.SharedStateClass() if shared_state is None else shared_state
    if not isinstance(shared_state, blueprint_class.SharedStateClass):
        raise ConfigError(
            f"the blueprint {blueprint_class.BLUEPRINT_TYPE!r} takes a {blueprint_class.SharedStateClass.__name__}, "
            f"not a {type(shared_state).__name__}",
            key="shared_state",
        )
    check_callbacks(shared_state)
    _check_json(shared_state)
    if not resumes:
        _check_budget(settings)
    if not ends:
        blueprint_class.assert_task_args(config, shared_state)
    provider_class.assert_task_args(config, shared_state)
    if not resumes:
        architect_class.assert_task_args(config, shared_state)
    written = [*shared_state.qualifications, *blueprint_class.get_required_qualifications(config, shared_state)]
    rules = rules_for_provider(written, provider_class.PROVIDER_TYPE, get_valid_provider_types)
    return RunPlan(config, settings, shared_state, blueprint_class, architect_class, provider_class, rules)


def _check_json(shared_state: SharedTaskState) -> None:
    """Check that pages can get what the script passes for them.

    Raises:
        ConfigError: JSON has no form for a value in it.
    """
    for name in ("task_config", "onboarding_data"):
        try:
            msgspec.json.encode(getattr(shared_state, name, None), enc_hook=to_plain)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            hint = "Pass text, numbers, lists and dicts with text as keys"
            raise ConfigError(f"{name} cannot be sent to a page: {error}", key=name, hint=hint) from error


def _check_budget(settings: TaskSettings) -> None:
    """Check that a run's budget covers at least one unit.

    Raises:
        ConfigError: it does not; the message has the amounts.
    """
    budget = Budget(settings.budget_cents, settings.provider_fee_percent, settings.bonus_limit_cents)
    cost = budget.cost_of_unit(settings.task_reward_cents)
    if budget.limit_cents is not None and not budget.fits(cost):
        raise ConfigError(
            f"mephisto.task.budget is {amount(budget.limit_cents)}, and one unit may cost {amount(cost)}: "
            f"{amount(settings.task_reward_cents)} pay and up to {amount(settings.bonus_limit_cents)} bonus, "
            f"with {settings.provider_fee_percent} % fee on each",
            key="mephisto.task.budget",
            hint="Raise it, or lower task_reward or bonus_limit",
        )


def _is_same(value: object, default: object) -> bool:
    # A script may pass values of any type, even one that cannot be compared with others.
    return value is default or (type(value) is type(default) and value == default)
