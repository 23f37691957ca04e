"""Mixins for blueprints that ask something of workers before, or between, their ordinary units.

A blueprint that extends a mixin adds the mixin's settings to its `ArgsClass` and its callbacks to its
`SharedStateClass`. Mixins can be combined, and each step happens only if its setting is given. A worker passes the
steps in this order: qualifications, onboarding, screening, gold, unit.

This module has the onboarding mixin, and the base of the mixins for screening units (`screen_task_required`) and gold
units (`use_gold_unit`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from omegaconf import DictConfig

from ..errors import ConfigError
from .agent import Unit
from .blueprint import Blueprint
from .callbacks import check_callback
from .shared_task_state import OnboardingSharedState, SharedTaskState


@dataclass
class OnboardingRequiredArgs:
    """Settings of an onboarding."""

    onboarding_qualification: str | None = field(
        default=None,
        metadata={"help": "Workers without this qualification are onboarded first; it is granted 1, or 0 on failure."},
    )


class OnboardingRequired(Blueprint):
    """Mixin for blueprints that can onboard workers before their first unit in any run with the same qualification."""

    shared_state: OnboardingSharedState

    @property
    def onboarding_qualification(self) -> str | None:
        """Name of the qualification that marks onboarded workers; None if there is no onboarding."""
        name: str | None = self.args.blueprint.onboarding_qualification
        return name


#: Evaluates a submitted unit: True if it was done well, False if not, None if that cannot be said.
ScreenUnit = Callable[[Unit], bool | Awaitable[bool | None] | None]
Validation = Callable[[Unit], bool | Awaitable[bool | None] | None]


class EvaluatingBlueprint(Blueprint):
    """Base of the mixins whose units evaluate the workers who do them."""

    @classmethod
    def create_validation_function(cls, args: DictConfig, screen_unit: ScreenUnit) -> Validation:  # noqa: ARG003
        """Return a callback for `on_unit_submitted` that calls `screen_unit` for units that evaluate a worker.

        Args:
            args: ignored; Mephisto's scripts pass the run's configuration.
            screen_unit: evaluates a submission (`unit.get_assigned_agent().state.get_data()`).

        Raises:
            ConfigError: `screen_unit` cannot be called with a unit.
        """
        check_callback("screen_unit", screen_unit, ("unit",))
        return _validation(screen_unit)

    @classmethod
    def get_mixin_qualifications(cls, args: DictConfig, shared_state: SharedTaskState) -> list[Mapping[str, object]]:
        """Return the rules that the run has in any case, for Mephisto's scripts, which add them to `qualifications`."""
        return cls.get_required_qualifications(args, shared_state)


def _validation(screen_unit: ScreenUnit) -> Validation:

    async def avalidate(unit: Unit) -> bool | None:
        verdict = screen_unit(unit) if unit.is_evaluation else None
        return await verdict if inspect.isawaitable(verdict) else verdict

    def validate(unit: Unit) -> bool | Awaitable[bool | None] | None:
        return screen_unit(unit) if unit.is_evaluation else None

    return avalidate if inspect.iscoroutinefunction(screen_unit) else validate


def require(args: DictConfig, needed_by: str, *names: str) -> None:
    """Check that settings of the blueprint are set.

    Args:
        args: the run's whole configuration.
        needed_by: the setting that needs them.
        names: the settings.

    Raises:
        ConfigError: one of them is not set.
    """
    for name in names:
        if args.blueprint[name] is None:
            key = f"mephisto.blueprint.{name}"
            raise ConfigError(f"{key} is not set", key=key, hint=f"mephisto.blueprint.{needed_by} needs it")


def require_validation(shared_state: SharedTaskState, needed_by: str) -> None:
    """Check that a callback evaluates submissions.

    Args:
        shared_state: the state that the launch script passes.
        needed_by: the setting that needs it.

    Raises:
        ConfigError: there is no callback, so no worker would ever pass.
    """
    if shared_state.on_unit_submitted is None:
        raise ConfigError(
            f"mephisto.blueprint.{needed_by} is set, and no callback evaluates submissions",
            key="on_unit_submitted",
            hint="Pass on_unit_submitted=create_validation_function(cfg.mephisto, screen_unit) in the shared state",
        )
