"""Reads and writes the user's settings: `~/.mephisto/config.yml`, which has sections of keys with any value.

The environment variable `MEPHISTO_CONFIG` names another file. Writing replaces the file in one step, so readers see
either the old or the new settings, even after a crash. If two programs write at the same time, the later one wins. A
file that cannot be read as settings is never changed: it may hold credentials, and lack only a comma.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from ..errors import ConfigError

DEFAULT_CONFIG_FILE = "~/.mephisto/config.yml"
CONFIG_FILE_VARIABLE = "MEPHISTO_CONFIG"
CORE_SECTION = "core"
DATA_STORAGE_KEY = "main_data_directory"

Config = dict[str, dict[str, object]]

#: Mode of a new file: it may hold credentials, so only the user may read it.
_PRIVATE = 0o600


def config_file() -> Path:
    """Return the path of the settings file."""
    return Path(os.environ.get(CONFIG_FILE_VARIABLE) or DEFAULT_CONFIG_FILE).expanduser()


def get_raw_config() -> str:
    """Return the text of the settings file; empty if there is no file.

    Raises:
        ConfigError: the file cannot be read.
    """
    path = config_file()
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise _unusable(path, "it is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", key=str(path)) from error


def get_config() -> Config:
    """Return all settings: section -> key -> value.

    Raises:
        ConfigError: the file cannot be read as sections of keys; it stays unchanged.
    """
    path = config_file()
    try:
        # No error below quotes the text, which may be a secret.
        found = yaml.safe_load(get_raw_config())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _unusable(path, f"line {mark.line + 1} is not YAML" if mark else "it is not YAML") from error
    except yaml.YAMLError as error:
        raise _unusable(path, "it is not YAML") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _unusable(path, "it has no sections")
    config: Config = {}
    for section, keys in found.items():
        if not isinstance(keys, dict | None):
            raise _unusable(path, f"the section {section!r} has no keys")
        config[str(section)] = {str(key): value for key, value in (keys or {}).items()}
    return config


def write_config(config_data: Mapping[str, Mapping[str, object]]) -> None:
    """Replace all settings, in one step.

    Raises:
        ConfigError: a value cannot be written as YAML, the file cannot be written, or its present content cannot be
            read and would be lost. The file stays unchanged.
    """
    get_config()
    path = config_file()
    plain = {section: dict(keys) for section, keys in config_data.items()}
    try:
        # In ASCII, because PyYAML writes some other characters (U+0085) in a form that it reads back differently.
        text = yaml.safe_dump(plain, sort_keys=False)
    except yaml.representer.RepresenterError as error:
        raise ConfigError("a setting has a value that YAML cannot hold", key=str(path)) from error
    try:
        _replace(path, text)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}",
            key=str(path),
            hint=f"Make it writable, or name another file in {CONFIG_FILE_VARIABLE}",
        ) from error


def init_config() -> None:
    """Create a settings file with an empty core section, unless there is a file.

    Raises:
        ConfigError: the file cannot be written.
    """
    if not config_file().exists():
        write_config({CORE_SECTION: {}})


def add_config_arg(section: str, key: str, value: object) -> None:
    """Set one value and keep the others.

    Raises:
        ConfigError: as `get_config` and `write_config`.
    """
    config = get_config()
    config.setdefault(section, {})[key] = value
    write_config(config)


def get_config_arg(section: str, key: str) -> object | None:
    """Return one value, or None if it is not set.

    Raises:
        ConfigError: as `get_config`.
    """
    return get_config().get(section, {}).get(key)


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} cannot be used: {why}; it was not changed",
        key=str(path),
        hint=f"Correct it, move it away, or name another file in {CONFIG_FILE_VARIABLE}",
    )


def _replace(path: Path, text: str) -> None:
    """Write a file next to the old one and rename it over that; a symbolic link stays a link."""
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else _PRIVATE
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(descriptor, "w", encoding="utf-8") as draft:
            draft.write(text)
            draft.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
