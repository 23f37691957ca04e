"""The `task` part of a configuration, read once: typed, in range, and with money in cents."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ...errors import ConfigError
from ..hydra_config import TaskRunArgs
from .config_errors import explained
from .money import cents

_Limit = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[int, msgspec.Meta(gt=0)]
_PREFIX = "mephisto.task"
#: The most that `max_item_bytes` may be: an item travels to its page in one message, which routers take up to 16 MiB.
MAX_ITEM_BYTES = 15 * 1024 * 1024
#: Settings that are money; read, they are in cents and called so.
_AMOUNTS = ("task_reward", "budget", "bonus_limit")


class TaskSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `TaskRunArgs` say, found good. The names are the same, but for amounts of money."""

    task_name: str | None
    task_title: Annotated[str, msgspec.Meta(min_length=1)]
    task_description: str
    task_reward_cents: _Limit
    #: None: no limit.
    budget_cents: int | None
    provider_fee_percent: _Limit
    bonus_limit_cents: _Limit
    task_tags: str
    task_lifetime_in_seconds: _Seconds
    assignment_duration_in_seconds: _Seconds
    no_submission_patience: _Seconds
    #: 0: no limit, here and in the two that follow.
    allowed_concurrent: _Limit
    maximum_units_per_worker: _Limit
    max_num_concurrent_units: _Limit
    max_item_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_ITEM_BYTES)]
    submission_timeout: _Seconds
    post_install_script: str
    force_rebuild: bool
    resume_incomplete_run: bool


def read_task_settings(task: DictConfig) -> TaskSettings:
    """Read the `task` part of a run's configuration; what it leaves out has its default.

    Raises:
        ConfigError: naming the setting that is missing, unknown, of the wrong type or out of range.
    """
    found = _with_defaults(task)
    for name, value in found.items():
        if value == MISSING:
            about = TaskRunArgs.__dataclass_fields__[name].metadata["help"]
            raise ConfigError(f"{_PREFIX}.{name} is not set", key=f"{_PREFIX}.{name}", hint=about)
    for name in _AMOUNTS:
        amount = found.pop(name)
        found[f"{name}_cents"] = None if amount is None else cents(str(amount), key=f"{_PREFIX}.{name}")
    try:
        return msgspec.convert(found, TaskSettings)
    except msgspec.ValidationError as error:
        wanted, _, name = str(error).replace("`", "").partition(" - at $.")
        key = f"{_PREFIX}.{name}"
        raise ConfigError(f"{key} is {found[name]!r}, which is out of range: {wanted}", key=key) from error


def _with_defaults(task: DictConfig) -> dict[str, object]:
    """The settings by name, interpolations resolved, each of the type that `TaskRunArgs` says."""
    # Below its full name, so that OmegaConf's errors give that.
    known = OmegaConf.create({"mephisto": {"task": TaskRunArgs}})
    try:
        given = {"mephisto": {"task": OmegaConf.to_container(task, resolve=True)}}
        merged = OmegaConf.merge(known, given).mephisto.task
    except OmegaConfBaseException as error:
        raise explained(error) from error
    return cast("dict[str, object]", OmegaConf.to_container(merged))  # a DictConfig always becomes a dict
