"""The account that offers the work has the money for it, and the budget knows its fee."""

from __future__ import annotations

import pytest

from mephisto_es.core.abstractions.crowd.site_work import SiteAccount
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.run.site_terms import check_money, fee_percent


@pytest.mark.parametrize(
    ("reward", "cost", "percent"),
    [(150, 201, 34), (100, 125, 25), (100, 100, 0), (100, 90, 0), (0, 5, 0), (100, None, 0)],
)
def test_a_fee_is_rounded_up(reward: int, cost: int | None, percent: int) -> None:
    assert fee_percent(SiteAccount(name="a", cost_cents=cost), reward) == percent


def test_a_launch_without_the_money_is_refused() -> None:
    account = SiteAccount(name="workspace 'lab'", currency="GBP", available_cents=999, cost_cents=1000)
    with pytest.raises(ConfigError, match=r"the workspace 'lab' has 9\.99 GBP, and 5 units cost 10\.00 with fees"):
        check_money(account, 5)
    for enough in (SiteAccount(name="a"), SiteAccount(name="a", available_cents=1000, cost_cents=1000)):
        check_money(enough, 5)
