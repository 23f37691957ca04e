"""Reads the `task` part of a configuration into typed, checked settings, with money in cents."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Annotated, Literal, cast

import msgspec
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ...decisions.directory import NO_PROJECT_NAMES
from ...errors import ConfigError
from ..hydra_config import TaskRunArgs
from ..texts.catalogue import load_texts
from .config_errors import explained
from .money import cents

_Limit = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[int, msgspec.Meta(gt=0)]
_PREFIX = "mephisto.task"
#: Letters of a version that is made from a text.
VERSION_LETTERS = 12
#: Upper bound of `max_item_bytes`: an item is sent to its page in one message, and routers accept up to 16 MiB.
MAX_ITEM_BYTES = 15 * 1024 * 1024
#: Settings that are amounts of money; here they are in cents, and their names end in `_cents`.
_AMOUNTS = ("task_reward", "budget", "bonus_limit", "pay_for_time", "pay_for_time_limit", "minimum_hourly_pay")


class TaskSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Checked values of `TaskRunArgs`, under the same names except for amounts of money."""

    task_name: str | None
    project_name: str | None
    task_title: Annotated[str, msgspec.Meta(min_length=1)]
    task_description: str
    task_reward_cents: _Limit
    #: None for no limit.
    budget_cents: int | None
    provider_fee_percent: _Limit
    bonus_limit_cents: _Limit
    pay_for_time_cents: _Limit
    #: None for the reward of a unit.
    pay_for_time_limit_cents: int | None
    minimum_hourly_pay_cents: _Limit
    task_tags: str
    task_lifetime_in_seconds: _Seconds
    assignment_duration_in_seconds: _Seconds
    no_submission_patience: _Seconds
    #: 0 for no limit, as in the next two.
    allowed_concurrent: _Limit
    maximum_units_per_worker: _Limit
    maximum_units_scope: Literal["task", "run"]
    max_num_concurrent_units: _Limit
    max_item_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_ITEM_BYTES)]
    max_live_updates: _Limit
    max_live_update_bytes: _Limit
    max_live_updates_in_run: _Limit
    max_live_update_bytes_in_run: _Limit
    language: str
    texts: dict[str, str]
    consent: str | None
    consent_version: str | None
    submission_timeout: _Seconds
    approve_left_partners: bool
    callback_timeout: _Seconds
    post_install_script: str
    force_rebuild: bool
    resume_incomplete_run: bool | None
    standby: bool

    @property
    def time_limit_cents(self) -> int:
        """The most pay for time for one piece of work."""
        limit = self.pay_for_time_limit_cents
        return self.task_reward_cents if limit is None else limit

    @property
    def version_of_consent(self) -> str:
        """The version of the text that workers must agree to; empty if there is none."""
        if not self.consent:
            return ""
        return self.consent_version or sha256(self.consent.encode()).hexdigest()[:VERSION_LETTERS]

    @property
    def consent_for_page(self) -> dict[str, object]:
        """The part of the page's configuration that has the text; nothing if there is none."""
        return {"consent": {"version": self.version_of_consent, "text": self.consent}} if self.consent else {}


def read_task_settings(task: DictConfig) -> TaskSettings:
    """Read the `task` part of a run's configuration, with defaults for missing settings.

    Raises:
        ConfigError: a setting is missing, unknown, of the wrong type or out of range; the error names it.
    """
    settings = _with_defaults(task)
    for name, value in settings.items():
        if value == MISSING:
            meaning = TaskRunArgs.__dataclass_fields__[name].metadata["help"]
            raise ConfigError(f"{_PREFIX}.{name} is not set", key=f"{_PREFIX}.{name}", hint=meaning)
    if isinstance(tags := settings["task_tags"], list):
        settings["task_tags"] = ",".join(map(str, tags))
    elif not isinstance(tags, str):
        settings["task_tags"] = str(tags)
    for name in _AMOUNTS:
        amount = settings.pop(name)
        settings[f"{name}_cents"] = None if amount is None else cents(str(amount), key=f"{_PREFIX}.{name}")
    try:
        read = msgspec.convert(settings, TaskSettings)
        load_texts(read.language, read.texts)
        _check_project(read.project_name)
        return read
    except msgspec.ValidationError as error:
        requirement, _, name = str(error).replace("`", "").partition(" - at $.")
        key = f"{_PREFIX}.{name}"
        raise ConfigError(f"{key} is {settings[name]!r}, which is out of range: {requirement}", key=key) from error


def _check_project(name: str | None) -> None:
    if name in NO_PROJECT_NAMES:
        key = f"{_PREFIX}.project_name"
        raise ConfigError(
            f"{key} is {name!r}, which means no project", key=key, hint="Leave it unset, or name a project"
        )


@cache
def _schema() -> DictConfig:
    """Return the settings of a task with their types and defaults, under the full key: OmegaConf's errors name it."""
    schema: DictConfig = OmegaConf.create({"mephisto": {"task": TaskRunArgs}})
    return schema


def _with_defaults(task: DictConfig) -> dict[str, object]:
    """Return the settings by name, with interpolations resolved and the types of `TaskRunArgs`."""
    try:
        values = {"mephisto": {"task": OmegaConf.to_container(task, resolve=True)}}
        merged = OmegaConf.merge(_schema(), values).mephisto.task
    except OmegaConfBaseException as error:
        raise explained(error) from error
    return cast("dict[str, object]", OmegaConf.to_container(merged))  # a DictConfig always becomes a dict
