"""Asks a run's crowd site for its terms before the launch: the fee that the budget reserves, the account's money."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from ...abstractions.crowd.site_work import SiteAccount
from ...errors import ConfigError
from ..configuration.money import amount
from .plan import RunPlan
from .quote import quote_of
from .server import launch_step


async def at_site_terms(plan: RunPlan) -> tuple[RunPlan, SiteAccount | None]:
    """Return a plan whose budget reserves at least the site's fee, and the account that offers the work.

    Args:
        plan: the run.

    Returns:
        The plan, and the account; None: the provider has no site that can be asked.

    Raises:
        ConfigError: the account does not have the money for the run, or the pay is below what the site accepts.
        LaunchError: the site refuses, or cannot be asked.
    """
    if plan.provider_class.POLL_SECONDS is None:
        return plan, None
    units, reward = quote_of(plan).all_units, plan.settings.task_reward_cents
    with launch_step("provider"):
        account = await plan.provider_class.read_account(plan.config, reward, units or 1)
    if account is None:
        return plan, None
    fee = fee_percent(account, reward * (units or 1))
    if fee > plan.settings.provider_fee_percent:
        plan = replace(plan, settings=msgspec.structs.replace(plan.settings, provider_fee_percent=fee))
    check_pay(account, reward)
    if units is not None:
        check_money(account, units)
    return plan, account


def fee_percent(account: SiteAccount, reward_cents: int) -> int:
    """Return the site's fee in whole percent, rounded up; 0 if it does not tell.

    Args:
        account: with the cost of an order.
        reward_cents: the rewards of that order, without fees.
    """
    if account.cost_cents is None or reward_cents == 0:
        return 0
    return max(0, -(-(account.cost_cents - reward_cents) * 100 // reward_cents))


def check_pay(account: SiteAccount, reward_cents: int) -> None:
    """Check that the reward is at least the pay that the site accepts.

    Args:
        account: with the least pay, and the estimated time of the work.
        reward_cents: the reward for one piece of work.

    Raises:
        ConfigError: it is not; the message has the amounts.
    """
    minimum, minutes = account.minimum_hourly_cents, account.estimated_minutes
    if minimum is None or not minutes or reward_cents * 60 >= minimum * minutes:
        return
    hourly, currency = amount(reward_cents * 60 // minutes), account.currency or ""
    raise ConfigError(
        f"{amount(reward_cents)} for {minutes} minutes are {hourly} {currency} an hour, and the site demands "
        f"{amount(minimum)}",
        key="mephisto.task.task_reward",
        hint="Raise task_reward, or lower the estimated time of the provider's settings if the work is shorter",
    )


def check_money(account: SiteAccount, units: int) -> None:
    """Check that an account has the money for an order.

    Args:
        account: with the cost of the order.
        units: the number of units that the order is for.

    Raises:
        ConfigError: it does not; the message has the amounts.
    """
    available, cost = account.available_cents, account.cost_cents
    if available is not None and cost is not None and available < cost:
        currency = account.currency or ""
        raise ConfigError(
            f"the {account.name} has {amount(available)} {currency}, and {units} "
            f"{'units cost' if units != 1 else 'unit costs'} {amount(cost)} with fees",
            key="mephisto.provider.requester_name",
            hint="Put money into the account, or offer fewer units",
        )
