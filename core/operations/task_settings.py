"""The `task` part of a configuration, read once: typed, in range, and with the reward in cents."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, cast

import msgspec
from omegaconf import MISSING, DictConfig, OmegaConf

from ..errors import ConfigError
from .hydra_config import TaskRunArgs
from .money import cents

_Limit = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[int, msgspec.Meta(gt=0)]
_PREFIX = "mephisto.task"


class TaskSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `TaskRunArgs` say, found good. The names are the same, but for the reward."""

    task_name: str | None
    task_title: Annotated[str, msgspec.Meta(min_length=1)]
    task_description: str
    task_reward_cents: _Limit
    task_tags: str
    task_lifetime_in_seconds: _Seconds
    assignment_duration_in_seconds: _Seconds
    no_submission_patience: _Seconds
    #: 0: no limit, here and in the two that follow.
    allowed_concurrent: _Limit
    maximum_units_per_worker: _Limit
    max_num_concurrent_units: _Limit
    submission_timeout: _Seconds
    post_install_script: str
    force_rebuild: bool
    resume_incomplete_run: bool


def read_task_settings(task: object) -> TaskSettings:
    """Read the `task` part of a run's configuration.

    Raises:
        ConfigError: a setting without a default is missing, has the wrong type, or is out of range; it is named.
    """
    found = cast("dict[str, object]", OmegaConf.to_container(task, resolve=True))  # a DictConfig always becomes a dict
    for known in fields(TaskRunArgs):
        if found.get(known.name, MISSING) == MISSING:
            raise ConfigError(
                f"{_PREFIX}.{known.name} is not set",
                key=f"{_PREFIX}.{known.name}",
                hint=known.metadata["help"],
            )
    reward = str(found.pop("task_reward"))
    found["task_reward_cents"] = cents(reward, key=f"{_PREFIX}.task_reward")
    try:
        return msgspec.convert(found, TaskSettings)
    except msgspec.ValidationError as error:
        wanted, _, name = str(error).replace("`", "").partition(" - at $.")
        if not name:
            raise ConfigError(f"{_PREFIX} cannot be read: {wanted}", key=_PREFIX) from error
        key = f"{_PREFIX}.{name}"
        raise ConfigError(f"{key} is {found[name]!r}, which is out of range: {wanted}", key=key) from error
