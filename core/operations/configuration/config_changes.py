"""Tells which changed settings apply to a run that is resumed, and which do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
from omegaconf import DictConfig

from ....events.task_run import TaskRunCreated
from ...redaction import redacted
from ..logger_core import get_logger

logger = get_logger(__name__)


class SettingChange(NamedTuple):
    """A setting that a run was launched with, and its value now."""

    #: Name below `mephisto`, such as `task.task_reward`.
    key: str
    before: object
    now: object
    #: Whether and to what it applies.
    effect: str

    def __str__(self) -> str:
        return f"mephisto.{self.key} was {self.before!r} and is {self.now!r}: {self.effect}"


_RECORDED = "it does not apply, because it was recorded when the run was launched"
_NEW_SERVER = "it applies only if the run's server has to be started again"
#: What becomes of a change, by the beginning of the setting's name; the first match counts.
_EFFECTS = (
    ("task.resume_incomplete_run", ""),
    ("task.standby", ""),
    ("task.budget", f"{_RECORDED}; `mephisto-es extend RUN --budget AMOUNT` changes it"),
    ("task.provider_fee_percent", _RECORDED),
    ("task.bonus_limit", _RECORDED),
    ("task.allowed_concurrent", _RECORDED),
    ("task.maximum_units_per_worker", _RECORDED),
    ("task.task_reward", "it applies to units that are created from now on; the others keep their pay"),
    ("task.task_title", "it does not apply, because the run is published already"),
    ("task.task_description", "it does not apply, because the run is published already"),
    ("task.task_tags", "it does not apply, because the run is published already"),
    ("task.", "it applies from now on"),
    ("blueprint.data_", "items that were read stay; further ones are read from it, after the same first ones"),
    (
        "blueprint.units_per_assignment",
        "it applies to items that are read from now on; `mephisto-es extend RUN` raises it for all",
    ),
    ("blueprint.overlap", "items that were read keep their units, and the run can only be resumed with the same"),
    (
        "blueprint.stop_when",
        "it applies to decisions from now on, but for `min`, with which the run can only be resumed as it was",
    ),
    ("blueprint.", _NEW_SERVER),
    ("architect.", _NEW_SERVER),
    ("provider.", "it does not apply, because the run is published already"),
)


def setting_changes(created: TaskRunCreated, config: DictConfig) -> list[SettingChange]:
    """Return the settings that have changed since a run was launched, with what becomes of each change.

    Args:
        created: how the run was launched.
        config: the `mephisto` section of the configuration that it is resumed with.
    """
    before = dict(_leaves(msgspec.json.decode(created.config)))
    now = dict(_leaves(msgspec.json.decode(msgspec.json.encode(redacted(config)))))
    changes: list[SettingChange] = []
    for key in sorted(before.keys() | now.keys()):
        effect = next((effect for beginning, effect in _EFFECTS if key.startswith(beginning)), "")
        if effect and before.get(key) != now.get(key):
            changes.append(SettingChange(key, before.get(key), now.get(key), effect))
    return changes


def log_setting_changes(created: TaskRunCreated, config: DictConfig) -> None:
    """Log the settings that have changed since a run was launched, with what becomes of each; see `setting_changes`."""
    for change in setting_changes(created, config):
        logger.warning(str(change), run=created.task_run)


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield the settings below a value with their dotted names; a list is one setting."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value
