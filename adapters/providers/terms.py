"""Fees, minimum pay and deadlines of the sites, each with its source and the day on which it was read.

A site's own answer is better where there is one: Prolific calculates a study's cost and tells its rates, Connect gives
a quote. These figures are for a first estimate and for limits that hold until a site has answered.
"""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from ...core.decisions.settlement import CrowdSite

#: Older figures are to be read again.
MAX_AGE = timedelta(days=180)


class SiteTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one site."""

    site: CrowdSite
    #: Fees on each payment in percent, from the lowest account to the highest; None: only the site knows.
    fee_percent: tuple[int, int] | None
    #: Cents an hour below which the site refuses, by currency.
    minimum_hourly_cents: dict[str, int]
    #: Cents an hour that the site recommends, by currency.
    recommended_hourly_cents: dict[str, int]
    #: Days after which the site approves unreviewed work; None: it never does.
    auto_approval_days: int | None
    read_on: date
    source: str

    def is_old(self, today: date) -> bool:
        """Return True if the figures should be read again before money depends on them."""
        return today - self.read_on > MAX_AGE

    def most_with_fee_cents(self, cents: int) -> int | None:
        """Return the most that a payment can cost with the fee, in whole cents; None: only the site knows.

        Args:
            cents: what the person gets.
        """
        if self.fee_percent is None:
            return None
        return -(-cents * (100 + self.fee_percent[1]) // 100)

    def hourly_cents(self, cents: int, minutes: float) -> float:
        """Return the hourly pay of a reward for work of some minutes.

        Raises:
            ValueError: the minutes are not positive.
        """
        if not minutes > 0:
            raise ValueError("work takes more than no time")
        return cents * 60 / minutes


_READ_ON = date(2026, 11, 29)
#: The terms of each site that pays or credits people by itself.
TERMS = {
    CrowdSite.PROLIFIC: SiteTerms(
        site=CrowdSite.PROLIFIC,
        # By account and contract, with tax on the fee in some countries: the site calculates a study's cost.
        fee_percent=None,
        minimum_hourly_cents={"USD": 800, "GBP": 600},
        recommended_hourly_cents={"USD": 1200, "GBP": 900},
        auto_approval_days=21,
        read_on=_READ_ON,
        source="researcher-help.prolific.com, Prolific's payment principles",
    ),
    CrowdSite.CONNECT: SiteTerms(
        site=CrowdSite.CONNECT,
        fee_percent=(25, 40),
        minimum_hourly_cents={"USD": 750},
        recommended_hourly_cents={"USD": 1000},
        auto_approval_days=14,
        read_on=_READ_ON,
        source="connect-researcher-help.cloudresearch.com",
    ),
    CrowdSite.SONA: SiteTerms(
        site=CrowdSite.SONA,
        fee_percent=(0, 0),
        minimum_hourly_cents={},
        recommended_hourly_cents={},
        auto_approval_days=None,
        read_on=_READ_ON,
        source="sona-systems.com/researcher",
    ),
}


def old_terms(today: date) -> list[SiteTerms]:
    """Return the terms that should be read again."""
    return [terms for terms in TERMS.values() if terms.is_old(today)]


def terms_table() -> str:
    """Return the terms as a table for people."""
    lines = [
        "| site | fee | minimum an hour | recommended an hour | approved by the site after | read on | source |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for terms in TERMS.values():
        fee = "by account; the site calculates it"
        if terms.fee_percent is not None:
            lowest, highest = terms.fee_percent
            fee = f"{lowest} to {highest} %" if highest else "none"
        days = "never" if terms.auto_approval_days is None else f"{terms.auto_approval_days} days"
        pay = (_money(terms.minimum_hourly_cents), _money(terms.recommended_hourly_cents))
        lines.append(
            f"| {terms.site.value} | {fee} | {pay[0]} | {pay[1]} | {days} | {terms.read_on} | {terms.source} |"
        )
    return "\n".join(lines)


def _money(amounts: dict[str, int]) -> str:
    return ", ".join(f"{cents / 100:.2f} {currency}" for currency, cents in amounts.items()) or "none"
