"""Checks of launch scripts' callbacks, before a worker would meet one that cannot be called."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from omegaconf import OmegaConf

from mephisto_es.core.abstractions.callbacks import called_with, check_callbacks
from mephisto_es.core.abstractions.screen_task_required import ScreenTaskRequired
from mephisto_es.core.abstractions.shared_task_state import OnboardingSharedState, SharedTaskState
from mephisto_es.core.abstractions.use_gold_unit import GoldUnitSharedState
from mephisto_es.core.errors import ConfigError


class Judge:
    """An object whose method, or which itself, is a callback."""

    def may(self, worker: int, unit: object) -> bool:
        return True

    def __call__(self, worker: int, unit: object) -> bool:
        return True


def _with_reason(reason: str, worker: int, unit: object) -> bool:
    return True


@pytest.mark.parametrize(
    "callback",
    [
        lambda worker, unit: True,
        lambda *everything: True,
        lambda worker, unit, more=None: True,
        Judge().may,
        Judge(),
        functools.partial(_with_reason, "because"),
        max,  # its signature is not known
        None,
    ],
)
def test_what_can_be_called_is_taken(callback: Callable[..., Any] | None) -> None:
    check_callbacks(SharedTaskState(worker_can_do_unit=callback))


@pytest.mark.parametrize("callback", [lambda: True, lambda worker: True, lambda a, b, c: True, Judge.may])
def test_another_number_of_parameters_is_refused(callback: Callable[..., Any]) -> None:
    with pytest.raises(
        ConfigError, match=re.escape("worker_can_do_unit is called with 2 arguments, which test_callbacks")
    ):
        check_callbacks(SharedTaskState(worker_can_do_unit=callback))


def test_a_parameter_that_must_be_named_is_refused() -> None:
    def strictly(unit: object, *, strict: bool) -> None: ...

    told: Any = strictly
    with pytest.raises(ConfigError, match="on_unit_submitted is called with 1 argument"):
        check_callbacks(SharedTaskState(on_unit_submitted=told))


@pytest.mark.parametrize("state", [SharedTaskState, OnboardingSharedState, GoldUnitSharedState])
def test_the_defaults_can_be_called(state: type[SharedTaskState]) -> None:
    check_callbacks(state())


@dataclass
class OwnState(SharedTaskState):
    """A plugin's own callbacks."""

    procedures: Mapping[str, Callable[..., object]] = field(default_factory=dict, metadata=called_with("a", "b"))


def test_each_callback_of_a_mapping_is_checked() -> None:
    check_callbacks(OwnState(procedures={"add": lambda a, b: a + b}))
    with pytest.raises(ConfigError, match=re.escape("negate is called with 2 arguments")):
        check_callbacks(OwnState(procedures={"add": lambda a, b: a + b, "negate": lambda a: -a}))


def test_a_validation_function_is_made_of_what_can_be_called_only() -> None:
    screen_unit: Any = lambda: True  # noqa: E731 - typed as what it is not
    with pytest.raises(ConfigError, match=re.escape("Define it as screen_unit(unit)")):
        ScreenTaskRequired.create_validation_function(OmegaConf.create({}), screen_unit)
