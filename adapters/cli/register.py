"""Implements `mephisto-es register`: register an account at a crowd provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import Field, fields

import click
import trio
from omegaconf import MISSING
from rich.markup import escape

from ...core.errors import ConfigError
from ...core.operations.config_handler import add_config_arg, config_file
from ...core.operations.control.requests import RegisterRequest
from ...core.operations.registry import get_crowd_provider_from_type, get_valid_provider_types
from ...core.suggestions import did_you_mean
from ..composition.data_dir import DATABASE_FILE, data_dir
from ..composition.ledger import make_log
from ..control.client import open_control
from ..control.protocol import author_of
from ..diagnostics.accounts import check_account
from ..diagnostics.checks import CheckState
from ..terminal import echo
from .common.arguments import author_option, read_value
from .common.output import ILLEGAL, console, facts


@click.command("register")
@click.argument("provider", required=False)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--data-dir", "folder", type=click.Path(file_okay=False), help="The data folder, if not the default one.")
@author_option
def register_command(provider: str | None, settings: tuple[str, ...], folder: str | None, author: str | None) -> None:
    """Register an account at PROVIDER, so that runs can be launched under its name.

    Without settings, list the provider's settings; without a provider, list the providers. Credentials are stored only
    in config.yml. For the value `-` you are prompted, or it is read from standard input: do not put secrets on a
    command line.

    \b
    Example:
      mephisto-es register mock name=my_account
    """
    if provider is None:
        echo("\n".join(get_valid_provider_types()))
        return
    args_class = get_crowd_provider_from_type(provider).RequesterArgsClass
    if not settings:
        _explain(provider, args_class)
        return
    given = _given(args_class, provider, settings)
    name = given.pop("name")
    database = data_dir(folder) / DATABASE_FILE
    make_log(database)

    async def register() -> bool:
        async with open_control(database, author_of(author)) as control:
            reply = await control.execute(RegisterRequest(requester=name, provider_type=provider))
            return not reply.repeated

    is_new = trio.run(register)
    if given:
        add_config_arg(provider, name, given)
        echo(f"The credentials of {name!r} are stored in {config_file()}")
    echo(f"{name!r} is {'registered' if is_new else 'already known'} as a requester of {provider} in {database}")
    if given:
        _check(provider, name)


def _check(provider: str, name: str) -> None:
    """Ask the provider's site about a new account, so that a wrong key is noticed now."""
    found = trio.run(check_account, provider, name)
    if found is None:
        return
    echo(f"{provider} says: {found.text}")
    if found.state is CheckState.WRONG:
        raise click.exceptions.Exit(ILLEGAL)


def _given(args_class: type, provider: str, settings: Sequence[str]) -> dict[str, str]:
    """Return the settings by name, checked against those of the provider."""
    known: dict[str, Field[object]] = {field.name: field for field in fields(args_class)}
    given: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise click.UsageError(f"{setting!r} is not a setting; write KEY=VALUE.")
        if name not in known:
            raise ConfigError(f"{provider} has no setting {name!r}", key=name, hint=did_you_mean(name, known))
        given[name] = read_value(name, value)
    missing = [name for name, field in known.items() if _is_required(field) and not given.get(name)]
    if missing:
        raise ConfigError(f"{provider} needs {', '.join(f'{name}=...' for name in missing)}", key=missing[0])
    return given


def _is_required(field: Field[object]) -> bool:
    return field.default in (NO_DEFAULT, MISSING) and field.default_factory is NO_DEFAULT


def _explain(provider: str, args_class: type) -> None:
    table = facts()
    for field in fields(args_class):
        needed = "required" if _is_required(field) else f"default: {field.default}"
        table.add_row(f"{field.name}=", f"{escape(field.metadata.get('help', ''))} ({needed})")
    echo(f"mephisto-es register {provider} takes:")
    console().print(table)
