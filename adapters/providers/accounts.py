"""Reads the registered accounts of a crowd site from the user's settings, where `mephisto-es register` stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...core.errors import ConfigError
from ...core.operations.config_handler import config_file, get_config
from ...core.suggestions import did_you_mean


class RegisteredAccount(NamedTuple):
    """An account with its credentials. Its values are secrets: they never reach an event, a log line or an error."""

    name: str
    values: Mapping[str, str]

    def __repr__(self) -> str:
        """Return a text without the credentials."""
        return f"RegisteredAccount({self.name!r})"


def account_name(provider: str, requester_name: str | None) -> str:
    """Return the name of the account that a run uses: the one that is set, or the only one there is.

    Raises:
        ConfigError: none is registered, or several are and none is chosen.
    """
    names = [name for name, values in get_config().get(provider, {}).items() if isinstance(values, dict)]
    if requester_name is not None:
        if requester_name in names:
            return requester_name
        raise ConfigError(
            f"{provider} has no account {requester_name!r} in {config_file()}",
            key="mephisto.provider.requester_name",
            hint=did_you_mean(requester_name, names) if names else _how_to_register(provider),
        )
    if len(names) == 1:
        return names[0]
    if not names:
        raise ConfigError(
            f"no account of {provider} is registered in {config_file()}",
            key="mephisto.provider.requester_name",
            hint=_how_to_register(provider),
        )
    raise ConfigError(
        f"{len(names)} accounts of {provider} are registered",
        key="mephisto.provider.requester_name",
        hint=f"Choose one: mephisto.provider.requester_name={' or '.join(sorted(names))}",
    )


def registered_account(provider: str, requester_name: str | None) -> RegisteredAccount:
    """Return the account that a run uses.

    Raises:
        ConfigError: as `account_name`.
    """
    name = account_name(provider, requester_name)
    values = get_config()[provider][name]
    found = {str(key): str(value) for key, value in values.items()} if isinstance(values, dict) else {}
    return RegisteredAccount(name, found)


def _how_to_register(provider: str) -> str:
    return f"Register one: mephisto-es register {provider} shows the settings"
