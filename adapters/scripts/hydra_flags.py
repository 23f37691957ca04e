"""Implements what launch scripts take over from Hydra's own command line: config names, sweeps, reports."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf

from ...core.errors import ConfigError
from ...core.operations.configuration.task_config import HYDRA_VERSION, composing
from ...core.operations.hydra_config import AbstractionType
from ...core.operations.registry import get_valid_types
from ...core.suggestions import did_you_mean

#: The folder of configuration files from which scripts choose one by name, inside their folder of configurations.
CONF = "conf"
#: The most runs that one sweep makes: a typing error must not launch thousands.
MAX_SWEEP = 100


def with_config_name(config_dir: Path, default_name: str, wanted: str | None) -> tuple[str, list[str]]:
    """Find the configuration that `--config-name` names.

    Args:
        config_dir: the script's folder of configurations.
        default_name: the script's own configuration.
        wanted: the name given on the command line; None if there was none.

    Returns:
        The configuration to start from, and the overrides that choose a file in `conf/` with it.

    Raises:
        ConfigError: there is no configuration of that name.
    """
    if wanted is None:
        return default_name, []
    stem = wanted.removesuffix(".yaml")
    if f"{stem}.yaml" in ConfigStore.instance().repo or (config_dir / f"{stem}.yaml").is_file():
        return stem, []
    known = sorted(file.stem for file in (config_dir / CONF).glob("*.yaml"))
    if stem not in known:
        raise ConfigError(
            f"there is no configuration {wanted!r} in {config_dir}", key="--config-name", hint=did_you_mean(stem, known)
        )
    return default_name, [f"{CONF}={stem}"]


def sweep(config_dir: Path, overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of each run of a sweep: `a=1,2 b=3,4` makes four.

    Raises:
        ConfigError: an override cannot be read, or there are too many runs.
    """
    with composing(config_dir):
        choices = [
            [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
            if one.is_sweep_override()
            else [str(one.input_line)]
            for one in OverridesParser.create().parse_overrides(list(overrides))
        ]
    runs = [list(one) for one in product(*choices)]
    if len(runs) > MAX_SWEEP:
        raise ConfigError(f"this sweep has {len(runs):,} runs", key="--multirun", hint=f"At most {MAX_SWEEP} are made")
    return runs


def hydra_settings(config_dir: Path, config_name: str, overrides: Sequence[str]) -> object:
    """Return Hydra's own settings for a configuration, with references between them as they are written.

    Raises:
        ConfigError: it cannot be composed.
    """
    with composing(config_dir), initialize_config_dir(str(config_dir), version_base=HYDRA_VERSION):
        config = compose(config_name, overrides=list(overrides), return_hydra_config=True)
    return OmegaConf.to_container(config.hydra, resolve=False, enum_to_str=True)


def described(config_dir: Path, config_name: str, overrides: Sequence[str]) -> str:
    """Return what a configuration is composed of, and what it can be composed of.

    Raises:
        ConfigError: it cannot be composed.
    """
    with composing(config_dir), initialize_config_dir(str(config_dir), version_base=HYDRA_VERSION):
        loader = GlobalHydra.instance().config_loader()
        found = loader.compute_defaults_list(config_name, list(overrides), RunMode.RUN)
    lines = [f"configurations are in {config_dir}", "", "composed of, the later ones win:"]
    lines += [
        f"  {one.config_path} (at {one.package or 'the top'})"
        for one in found.defaults
        if one.config_path is not None and not one.config_path.startswith("hydra/")
    ]
    lines += ["", "to choose from:"]
    lines += [f"  {kind.group}: {', '.join(get_valid_types(kind))}" for kind in AbstractionType]
    lines.append(f"  {CONF}: {', '.join(sorted(file.stem for file in (config_dir / CONF).glob('*.yaml')))}")
    return "\n".join(lines)
