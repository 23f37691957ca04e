"""Checks the registered accounts of crowd sites by asking the sites; nothing is changed there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import date

from omegaconf import DictConfig, OmegaConf

from ...core.abstractions.crowd.site_work import SiteAccount
from ...core.errors import ConfigError, MephistoError
from ...core.operations.config_handler import get_config
from ...core.operations.configuration.money import amount
from ...core.operations.hydra_config import MephistoConfig
from ...core.operations.registry import get_crowd_provider_from_type, get_valid_provider_types
from ..providers.terms import old_terms
from .checks import CheckResult, CheckState


def check_terms(today: date) -> Iterator[CheckResult]:
    """Yield a result for each site whose fees and minimum pay were read too long ago.

    Args:
        today: the date.
    """
    for terms in old_terms(today):
        text = f"fees and minimum pay of {terms.site.value} were read on {terms.read_on}"
        yield CheckResult("terms", CheckState.MISSING, text, f"Compare them with {terms.source}")


async def check_accounts() -> AsyncIterator[CheckResult]:
    """Yield the result for each registered account: what its site says about it.

    Raises:
        ConfigError: the settings file cannot be read.
    """
    known = set(get_valid_provider_types())
    for provider, accounts in get_config().items():
        for name, values in accounts.items() if provider in known else ():
            if isinstance(values, dict):
                result = await check_account(provider, name)
                if result is not None:
                    yield result


async def check_account(provider: str, name: str) -> CheckResult | None:
    """Return what a site says about a registered account; None: there is no site that can be asked.

    Args:
        provider: the provider's type.
        name: the account's name in the settings file.
    """
    what = f"{provider} {name}"
    provider_class = get_crowd_provider_from_type(provider)
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.provider = provider_class.ArgsClass
    config.provider.requester_name = name
    try:
        account = await provider_class.read_account(config, 0, 0)
    except ConfigError as error:
        return CheckResult(what, CheckState.WRONG, str(error))
    except MephistoError as error:
        return CheckResult(what, CheckState.WRONG, str(error))
    return None if account is None else CheckResult(what, CheckState.OK, _described(account))


def _described(account: SiteAccount) -> str:
    parts = [account.name]
    if account.available_cents is not None:
        parts.append(f"{amount(account.available_cents)} {account.currency or ''} available".replace("  ", " "))
    if account.minimum_hourly_cents is not None:
        parts.append(f"at least {amount(account.minimum_hourly_cents)} an hour is paid")
    return ", ".join(parts)
