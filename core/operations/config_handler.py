"""The user's own settings for all of Mephisto: `~/.mephisto/config.yml`, sections of keys with any value.

The environment variable `MEPHISTO_CONFIG` names another file. Writing replaces the file in one step, so a reader or a
crash sees the old settings or the new ones, never half of them. Of two programs that write at once the later wins.
A file that cannot be read as settings is never touched: it may hold credentials that only need a comma.
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

#: The file holds credentials: nobody else may read a new one.
_PRIVATE = 0o600


def config_file() -> Path:
    """Where the settings are kept."""
    return Path(os.environ.get(CONFIG_FILE_VARIABLE) or DEFAULT_CONFIG_FILE).expanduser()


def get_raw_config() -> str:
    """The settings file as it stands; empty if there is none.

    Raises:
        ConfigError: it cannot be read.
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
    """All settings: section -> key -> value.

    Raises:
        ConfigError: the file cannot be read as sections of keys; it is left as it is.
    """
    path = config_file()
    try:
        # The text is not quoted in any error below, as it may be a secret.
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
        ConfigError: a value cannot be written as YAML, the file cannot be written, or what stands there now cannot be
            read and would be lost. The file is then as it was.
    """
    get_config()
    path = config_file()
    plain = {section: dict(keys) for section, keys in config_data.items()}
    try:
        # In ASCII, as PyYAML writes some other signs (U+0085) so that it reads back different ones.
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
    """Make a settings file with an empty core section, unless there is one.

    Raises:
        ConfigError: it cannot be made.
    """
    if not config_file().exists():
        write_config({CORE_SECTION: {}})


def add_config_arg(section: str, key: str, value: object) -> None:
    """Set one value, and leave the others as they are.

    Raises:
        ConfigError: as `get_config` and `write_config`.
    """
    config = get_config()
    config.setdefault(section, {})[key] = value
    write_config(config)


def get_config_arg(section: str, key: str) -> object | None:
    """One value, or None if it is not set.

    Raises:
        ConfigError: as `get_config`.
    """
    return get_config().get(section, {}).get(key)


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} cannot be used: {why}; it was left as it is",
        key=str(path),
        hint=f"Correct it, or move it away, or name another file in {CONFIG_FILE_VARIABLE}",
    )


def _replace(path: Path, text: str) -> None:
    """Write a file beside the old one and put it in its place; a link keeps pointing to it."""
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
