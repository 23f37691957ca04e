"""Implements `mephisto-es config`: show or change the user's settings."""

from __future__ import annotations

from typing import cast

import click
import msgspec
import yaml

from ...core.errors import ConfigError
from ...core.operations.config_handler import add_config_arg, config_file, get_config
from ...core.redaction import redacted
from ...core.suggestions import did_you_mean
from ...projections.mephisto_db.queries import JsonValue
from ..terminal import echo
from .common.arguments import read_value
from .common.output import as_json_option, print_json


class ConfigValue(msgspec.Struct, frozen=True):
    """One setting, or the settings of one section."""

    setting: str
    value: JsonValue


class ConfigFile(msgspec.Struct, frozen=True):
    """All settings, without secrets."""

    file: str
    config: dict[str, dict[str, JsonValue]]


@click.command("config")
@click.argument("setting", required=False, metavar="[SECTION[.KEY]]")
@click.argument("value", required=False)
@as_json_option
def config_command(setting: str | None, value: str | None, as_json: bool) -> None:
    """Show all settings in config.yml, or show one, or set it to VALUE.

    For the value `-` you are prompted, or it is read from standard input: do not put secrets on a command line. Secrets
    are not shown, unless you ask for one by its name.

    \b
    Examples:
      mephisto-es config
      mephisto-es config core.main_data_directory ~/mephisto_data
      mephisto-es config mturk.secret_key -
    """
    if setting is None:
        _show_all(as_json)
        return
    section, dot, key = setting.partition(".")
    if value is not None:
        if not (section and key):
            raise click.UsageError(f"{setting!r} is not the name of a setting; write SECTION.KEY.")
        add_config_arg(section, key, read_value(setting, value))
        echo(f"{setting} is set in {config_file()}")
        return
    config = get_config()
    if section not in config or (dot and key not in config[section]):
        known = [*config, *(f"{name}.{each}" for name, keys in config.items() for each in keys)]
        raise ConfigError(f"{setting} is not set", key=setting, hint=did_you_mean(setting, known) if known else None)
    found = config[section][key] if dot else redacted(config[section])
    if as_json:
        print_json(ConfigValue(setting, cast(JsonValue, found)))
    else:
        echo(_as_yaml(found), nl=False)


def _show_all(as_json: bool) -> None:
    file, config = config_file(), redacted(get_config())
    if as_json:
        print_json(ConfigFile(str(file), cast(dict[str, dict[str, JsonValue]], config)))
    elif not config:
        echo(f"{file} has no settings yet.")
    else:
        echo(f"# {file}\n{_as_yaml(config)}", nl=False)


def _as_yaml(value: object) -> str:
    if not isinstance(value, dict | list):
        return f"{value}\n"
    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
