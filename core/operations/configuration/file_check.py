"""Checks configuration files without a launch script: which run as they are, and what the others lack."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, assert_never, cast

import msgspec
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

from ...errors import ConfigError
from ..hydra_config import (
    AbstractionType,
    DatabaseArgs,
    MephistoConfig,
    MetricsArgs,
    NotifyArgs,
    TaskConfig,
    TaskRunArgs,
    register_script_config,
)
from ..registry import (
    fill_registries,
    get_architect_from_type,
    get_blueprint_from_type,
    get_crowd_provider_from_type,
    get_valid_types,
)
from .config_errors import COMPOSITION_ERRORS, explained, unknown_setting
from .remarks import remarks_on
from .task_config import HYDRA_VERSION, check_run_config, complete_run_config, composing

_CHECKED = "checked_config"
#: The value of a task's setting that only its script knows, for the check of the others: a text, and a number.
_STAND_IN = "1"
_HEADER = re.compile(r"\A(?:\s*(?:#[^\n]*)?\n|---[^\n]*\n)*?\s*#\s*@package\s+_global_", re.MULTILINE)


#: Names of settings that hold the path of a file or folder.
_PATHS = re.compile(r"_source$|_file$|_dir$|_bundle$|^data_|^context_")
#: The plugins that scripts choose most often, the most frequent first.
_USUAL = {
    AbstractionType.BLUEPRINT: ("static_task", "static_react_task", "remote_procedure", "parlai_chat", "mock"),
    AbstractionType.ARCHITECT: ("local",),
    AbstractionType.PROVIDER: ("mock",),
}
_SECTIONS: dict[str, type] = {
    "task": TaskRunArgs,
    "database": DatabaseArgs,
    "metrics": MetricsArgs,
    "notify": NotifyArgs,
}
_KNOWN_AT_TOP = {known.name for known in fields(TaskConfig)} | {"hydra"}


class FileVerdict(Enum):
    """The outcome of the check of a file."""

    RUNS = "runs"
    RUNS_WITH_REMARKS = "runs with remarks"
    DOES_NOT_RUN = "does not run"


class FileReport(msgspec.Struct, frozen=True):
    """The outcome of the check of a file, with reasons."""

    file: str
    verdict: FileVerdict
    #: What is missing or wrong; empty if the file runs.
    problems: tuple[str, ...]
    #: What happens otherwise than in Mephisto, or depends on something else.
    remarks: tuple[str, ...]


def check_config_file(file: Path) -> FileReport | None:
    """Check a YAML file as the configuration of a run.

    Returns:
        The report; None if the file is not the configuration of a run.
    """
    fill_registries()
    remarks: list[str] = []
    try:
        text = file.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return _report(file, [str(explained(error, file.parent))], remarks)
    if not isinstance(content, dict) or not _is_of_run(content):
        return None
    chosen = dict(_choices(content))
    if not chosen and (assumed := _assumed(content)):
        # As before Mephisto 1.0: the script's own defaults choose the plugins.
        chosen = assumed
        names = ", ".join(f"{kind.value} {name}" for kind, name in assumed.items())
        remarks.append(f"the file chooses no plugins: checked with {names}; the launch script has to choose them")
    problems = list(dict.fromkeys(_problems(text, content, chosen)))
    remarks += [f"{name}: the launch script's own config class has to define it" for name in _own_settings(content)]
    if not problems:
        problems += _composed(file, remarks, {} if any(_choices(content)) else chosen)
    return _report(file, problems, remarks)


def _report(file: Path, problems: list[str], remarks: list[str]) -> FileReport:
    verdict = FileVerdict.RUNS_WITH_REMARKS if remarks else FileVerdict.RUNS
    return FileReport(str(file), FileVerdict.DOES_NOT_RUN if problems else verdict, tuple(problems), tuple(remarks))


def _is_of_run(content: dict[object, object]) -> bool:
    return isinstance(content.get("mephisto"), dict) or any(_choices(content))


def _own_settings(content: dict[object, object]) -> list[str]:
    return [str(name) for name in content if name not in _KNOWN_AT_TOP]


def _choices(content: dict[object, object]) -> Iterator[tuple[AbstractionType, str]]:
    """Yield the plugins that a file's defaults list chooses."""
    defaults = content.get("defaults")
    for entry in defaults if isinstance(defaults, list) else ():
        for group, name in entry.items() if isinstance(entry, dict) else ():
            for kind in AbstractionType:
                if str(group).removeprefix("override ").strip().lstrip("/").partition("@")[0] == kind.group:
                    yield kind, str(name)


def _assumed(content: dict[object, object]) -> dict[AbstractionType, str]:
    """Return plugins that have all the settings in a file that chooses none; nothing if there are none."""
    mephisto = content.get("mephisto")
    found: dict[AbstractionType, str] = {}
    for kind, preferred in _USUAL.items():
        settings = mephisto.get(kind.value) if isinstance(mephisto, dict) else None
        wanted = set(map(str, settings)) if isinstance(settings, dict) else set()
        names = dict.fromkeys((*preferred, *get_valid_types(kind)))
        fits = [name for name in names if wanted <= {one.name for one in fields(_args_class(kind, name))}]
        if not fits:
            return {}
        found[kind] = fits[0]
    return found


def _args_class(kind: AbstractionType, name: str) -> type:
    """Return the settings class of a plugin.

    Raises:
        ConfigError: there is no such plugin.
    """
    match kind:
        case AbstractionType.BLUEPRINT:
            return get_blueprint_from_type(name).ArgsClass
        case AbstractionType.ARCHITECT:
            return get_architect_from_type(name).ArgsClass
        case AbstractionType.PROVIDER:
            return get_crowd_provider_from_type(name).ArgsClass
        case _:
            assert_never(kind)


def _problems(text: str, content: dict[object, object], chosen: Mapping[AbstractionType, str]) -> Iterator[str]:
    """Yield what is wrong with the settings that a file has, all at once."""
    if _HEADER.match(text) is None:
        yield "the first line must be: #@package _global_"
    owners: dict[str, type | None] = dict(_SECTIONS)
    for kind, name in chosen.items():
        try:
            owners[kind.value] = _args_class(kind, name)
        except ConfigError as error:
            owners[kind.value] = None
            yield str(error)
    mephisto = content.get("mephisto")
    if not isinstance(mephisto, dict):
        return
    for section, settings in mephisto.items():
        if section not in {known.name for known in fields(MephistoConfig)}:
            yield str(unknown_setting(f"mephisto.{section}", MephistoConfig))
        elif isinstance(settings, dict) and (owner := owners.get(str(section))) is not None:
            yield from _problems_of(str(section), owner, settings)


def _problems_of(section: str, owner: type, settings: dict[object, object]) -> Iterator[str]:
    known = {one.name for one in fields(owner)} if is_dataclass(owner) else set()
    schema = OmegaConf.create({"mephisto": {section: OmegaConf.structured(owner)}})
    for name, value in settings.items():
        key = f"mephisto.{section}.{name}"
        if name not in known:
            yield str(unknown_setting(key, owner, name=str(name)))
            continue
        try:
            OmegaConf.merge(schema, {"mephisto": {section: {name: value}}})
        except COMPOSITION_ERRORS as error:
            yield str(explained(error))


def _composed(file: Path, remarks: list[str], chosen: Mapping[AbstractionType, str]) -> list[str]:
    """Compose a file as a launch script would, which chooses some plugins; return what is missing, and add remarks."""
    folder, group = file.absolute().parent.parent, file.absolute().parent.name
    node: dict[str, Any] = {
        **{known.name: known.default for known in fields(TaskConfig) if known.name == "num_tasks"},
        "mephisto": OmegaConf.structured(MephistoConfig),
        "task_dir": str(folder.parent),
        "defaults": ["_self_", *({kind.group: name} for kind, name in chosen.items()), {group: file.stem}],
    }
    # A plain mapping, unlike the class of a script, takes whatever settings the file has beside `mephisto`.
    register_script_config(_CHECKED, cast("type[TaskConfig]", node))
    try:
        with composing(folder), initialize_config_dir(str(folder), version_base=HYDRA_VERSION):
            config = compose(_CHECKED)
        known = len(remarks)
        _resolve(config, remarks)
        check_run_config(config.mephisto)
        has_stand_ins = len(remarks) > known
        _check_blueprint(config.mephisto)
        _check_provider(config.mephisto, remarks if has_stand_ins else None)
    except ConfigError as error:
        return [str(error)]
    finally:
        ConfigStore.instance().repo.pop(f"{_CHECKED}.yaml", None)
    remarks += map(str, remarks_on(config.mephisto))
    problems: list[str] = []
    for name, value in _missing_files(config.mephisto.blueprint):
        said = f"mephisto.blueprint.{name}: there is no {value}"
        if _is_data(name, value):
            problems.append(said)
        else:
            remarks.append(f"{said} yet")  # a script may build it
    return problems


def _check_blueprint(run_config: DictConfig) -> None:
    """Check what the blueprint can check of the settings alone; those that a script has to give are left to the launch.

    Raises:
        ConfigError: a setting is wrong.
    """
    complete = complete_run_config(run_config)
    blueprint = get_blueprint_from_type(str(complete.blueprint[AbstractionType.BLUEPRINT.type_field]))
    try:
        blueprint.check_settings(complete)
    except (MissingMandatoryValue, InterpolationResolutionError):
        return


def _check_provider(run_config: DictConfig, remarks: list[str] | None) -> None:
    """Check what the provider can check of the settings alone; those that a script has to give are left to the launch.

    Args:
        run_config: the `mephisto` section of a configuration.
        remarks: what is wrong is added to these; None: it is raised.

    Raises:
        ConfigError: a setting is wrong.
    """
    complete = complete_run_config(run_config)
    provider = get_crowd_provider_from_type(str(complete.provider[AbstractionType.PROVIDER.type_field]))
    try:
        provider.check_settings(complete)
    except MissingMandatoryValue:
        return
    except ConfigError as error:
        if remarks is None:
            raise
        remarks.append(str(error))


def _resolve(config: DictConfig, remarks: list[str]) -> None:
    """Resolve references between settings; those to settings of the launch script are only remarked.

    Raises:
        ConfigError: a setting refers to something else that does not exist.
    """
    try:
        OmegaConf.to_container(config, resolve=True)
    except InterpolationResolutionError:
        for section, name, error in list(_unresolved(config)):
            remarks.append(f"{explained(error)}: the launch script's own config class has to define it")
            if OmegaConf.get_type(section) is TaskRunArgs:
                section[name] = _STAND_IN
    except COMPOSITION_ERRORS as error:
        raise explained(error) from error


def _unresolved(config: DictConfig) -> Iterator[tuple[DictConfig, str, InterpolationResolutionError]]:
    """Yield the settings that refer to something that does not exist, with the section that each is in."""
    for name in map(str, config):
        if OmegaConf.is_missing(config, name):
            continue
        try:
            value = config[name]
        except InterpolationResolutionError as error:
            yield config, name, error
        else:
            if isinstance(value, DictConfig):
                yield from _unresolved(value)


def _is_data(name: str, value: str) -> bool:
    """Return whether a setting names data at a path that does not depend on where a script is started."""
    return name.startswith(("data_", "context_")) and Path(value).expanduser().is_absolute()


def _missing_files(blueprint: DictConfig) -> Iterator[tuple[str, str]]:
    """Yield the settings that name a file or folder that is not there, with its path."""
    for name in map(str, blueprint):
        if _PATHS.search(name) is None or OmegaConf.is_missing(blueprint, name):
            continue
        try:
            value = blueprint[name]
        except InterpolationResolutionError:
            continue
        if isinstance(value, str) and not Path(value).expanduser().exists():
            yield name, value
