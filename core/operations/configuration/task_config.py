"""Composes a checked configuration from a script's configuration files and command line.

Hydra only composes: it does not change the working directory, configure logging, read `sys.argv` or make output
folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from ...errors import ConfigError
from ...suggestions import did_you_mean
from ..hydra_config import AbstractionType, MephistoConfig, initialize_named_configs
from ..logger_core import log_level
from ..registry import fill_registries, get_valid_types, type_of_args
from .config_errors import COMPOSITION_ERRORS, explained, unknown_setting
from .task_settings import TaskSettings, read_task_settings

HYDRA_VERSION = "1.3"
#: The `mephisto` section of a configuration, as Hydra composes it or as a script builds it.
RunConfig = DictConfig | MephistoConfig


def load_task_config(
    script_file: str | Path, config_path: str, config_name: str, overrides: Sequence[str]
) -> DictConfig:
    """Compose the configuration of a launch script, and check it.

    Args:
        script_file: the script; paths are relative to its folder, which is also `${task_dir}`.
        config_path: the folder with the configuration files, including `conf/*.yaml`.
        config_name: a name given to `register_script_config`, or a file in that folder.
        overrides: arguments of the command line, in Hydra's grammar.

    Raises:
        ConfigError: a setting is unknown, wrong or missing, or a file is missing or broken.
    """
    script_dir = Path(script_file).resolve().parent
    with composing(script_dir / config_path) as config_dir:
        with initialize_config_dir(str(config_dir), version_base=HYDRA_VERSION):
            config = compose(config_name, overrides=list(overrides))
        if OmegaConf.is_missing(config, "task_dir"):
            config.task_dir = str(script_dir)
        OmegaConf.to_container(config, resolve=True)
    check_run_config(config.mephisto)
    return config


@contextmanager
def composing(config_dir: Path) -> Iterator[Path]:
    """Prepare Hydra for composing configurations in a block, and explain the errors that it raises.

    Args:
        config_dir: the folder with the configuration files; it is what the block gets.

    Raises:
        ConfigError: there is no such folder, or the block raised an error of Hydra or OmegaConf.
    """
    if not config_dir.is_dir():
        raise ConfigError(
            f"there is no folder {config_dir}", key=str(config_dir), hint="It holds the settings: conf/NAME.yaml"
        )
    initialize_named_configs()
    fill_registries()
    try:
        yield config_dir
    except COMPOSITION_ERRORS as error:
        raise explained(error, config_dir) from error
    except (AssertionError, AttributeError) as error:
        if "NoneType" not in str(error):
            raise
        # OmegaConf has no words for a mapping that is given to a setting without a value.
        raise ConfigError(
            "the command line sets a mapping, or a part of one, that the configuration file does not have",
            hint="Write it in the file, for instance stop_when: {max: 4}; the command line can change its values",
        ) from error


def complete_run_config(run_config: RunConfig) -> DictConfig:
    """Return a configuration with what follows from other settings filled in, in place where it can be.

    A configuration that a script builds from args classes need not name its plugins: each has args of its own. The data
    folder may have Mephisto's older name.

    Args:
        run_config: the `mephisto` section of a configuration, or a `MephistoConfig` made by a script.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(run_config, MephistoConfig):
        run_config = OmegaConf.structured(run_config)
    if not isinstance(run_config, DictConfig):
        raise ConfigError(
            f"the configuration is a {type(run_config).__name__}", hint="Pass cfg.mephisto, or a MephistoConfig"
        )
    for kind in AbstractionType:
        args = run_config.get(kind.value)
        if isinstance(args, DictConfig) and OmegaConf.is_missing(args, kind.type_field):
            name = type_of_args(kind, OmegaConf.get_type(args))
            if name is not None:
                args[kind.type_field] = name
    database = run_config.get("database")
    if isinstance(database, DictConfig) and database.get("data_dir") is None and run_config.get("datapath") is not None:
        database.data_dir = run_config.datapath
    return run_config


def check_run_config(run_config: DictConfig) -> TaskSettings:
    """Check the settings that all runs have, and return those of the task.

    Args:
        run_config: the `mephisto` section of a configuration.

    Raises:
        ConfigError: no blueprint, architect or provider is chosen, or a setting is unknown, wrong or missing.
    """
    run_config = complete_run_config(run_config)
    for kind in AbstractionType:
        args = run_config.get(kind.value)
        if not isinstance(args, DictConfig) or args.get(kind.type_field) is None:
            raise ConfigError(
                f"no {kind.value} is chosen",
                key=kind.group,
                hint=f"Add '- /{kind.group}: NAME' to the file's defaults list. "
                + did_you_mean("", get_valid_types(kind)),
            )
    for key, owner in _unknown_settings(run_config, "mephisto."):
        raise unknown_setting(key, owner)
    log_level(str(run_config.get("log_level") or "info"))
    return read_task_settings(run_config.get("task") or OmegaConf.create({}))


def _unknown_settings(config: DictConfig, prefix: str) -> Iterator[tuple[str, type]]:
    """Find settings that Hydra's `+` has added although the args class has none with that name."""
    owner = OmegaConf.get_type(config)
    known = {field.name for field in fields(owner)} if is_dataclass(owner) else set(config)
    for name in map(str, config):
        if name not in known and owner is not None:
            yield f"{prefix}{name}", owner
        elif not (OmegaConf.is_missing(config, name) or OmegaConf.is_interpolation(config, name)):
            node = config[name]
            if isinstance(node, DictConfig):
                yield from _unknown_settings(node, f"{prefix}{name}.")
