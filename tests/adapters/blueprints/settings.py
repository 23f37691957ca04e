"""Configurations of a run with one blueprint."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from mephisto_es.core.abstractions.blueprint import Blueprint
from mephisto_es.core.operations.hydra_config import MephistoConfig


def run_config(blueprint: type[Blueprint], **settings: object) -> DictConfig:
    """Return the `mephisto` part of a configuration with a blueprint's settings."""
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.blueprint = OmegaConf.structured(blueprint.ArgsClass(_blueprint_type=blueprint.BLUEPRINT_TYPE))
    for name, value in settings.items():
        config.blueprint[name] = value
    config.task.task_title = "Rate"
    config.task.task_description = "Say what you think."
    return config
