"""Shows what a run will cost before it is launched, and asks if the budget does not cover all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...core.abstractions.crowd.site_work import SiteAccount
from ...core.errors import LogError
from ...core.operations.configuration.money import amount
from ...core.operations.logger_core import LogFormat, get_logger, mephisto_log_format
from ...core.operations.run.quote import Quote
from ...projections.mephisto_db.reader import MephistoDB
from ...projections.queries.runs.durations import Durations, durations_of_task
from ..terminal import echo
from ..text import count_of
from .command import ask_on_terminal

#: Hourly pay below and above which something is likely to be wrong.
LOW_HOURLY_CENTS, ABSURD_HOURLY_CENTS = 100, 20_000
_HOUR = 3600
_MINUTE = 60

logger = get_logger(__name__)


class LaunchQuote:
    """Shows quotes on standard error, as a table or, where log lines are JSON, as one of them."""

    def __init__(self, database: Path, *, asks: bool) -> None:
        """Take where to look and whom to ask.

        Args:
            database: the log, which knows how long earlier units of a task took; need not exist.
            asks: whether somebody sits at the terminal who can be asked.
        """
        self._database = database
        self._asks = asks

    async def approve(self, quote: Quote) -> bool:
        """Show a quote; ask if the budget does not cover everything. With nobody to ask, the run is launched."""
        durations = self._durations(quote.task_name)
        if mephisto_log_format() is LogFormat.JSON:
            logger.info("quote", **dict(lines_of(quote, durations)))
        else:
            echo(as_table(quote, durations), err=True)
        if quote.is_covered or not self._asks:
            return True
        return await ask_on_terminal("The budget does not cover everything. Launch anyway?", default=False)

    def _durations(self, task_name: str) -> Durations | None:
        if not self._database.exists():
            return None
        try:
            with MephistoDB(self._database) as db:
                return durations_of_task(db, task_name)
        except LogError:  # a quote without it is better than none
            return None


def as_table(quote: Quote, durations: Durations | None) -> str:
    """Return a quote as text in two columns."""
    lines = list(lines_of(quote, durations))
    width = max(len(name) for name, _ in lines)
    return "\n".join([f"Cost of {quote.task_name}", *(f"  {name:<{width}}  {text}" for name, text in lines)])


def lines_of(quote: Quote, durations: Durations | None) -> Iterator[tuple[str, str]]:
    """Yield the lines of a quote: a name and a text."""
    if quote.units is None:
        yield "units", "unknown: the script generates the data during the run"
        yield "cost of one unit", f"at most {amount(quote.cost_of_unit_cents)}"
    else:
        more = f", and at most {quote.evaluation_units} for screening and gold" if quote.evaluation_units else ""
        units = (
            f"{quote.units:,}"
            if quote.least_units is None
            else f"{quote.least_units} to {quote.units}, as labels need them"
        )
        yield "units", f"{units}{more}"
        yield "workers", f"at least {quote.min_workers}"
        yield "reward", f"{quote.all_units} x {amount(quote.reward_cents)} = {_amount(quote.pay_cents)}"
        yield "fees", f"{_amount(quote.fee_cents)} ({quote.fee_percent} %)"
        yield "bonuses", f"up to {_amount(quote.bonus_cents)}"
        yield "total", f"at most {_amount(quote.total_cents)}"
    if quote.reward_cents or quote.minimum_hourly_cents:
        yield "hourly pay", _hourly_pay(quote, durations)
    if quote.pay_for_time_cents:
        limit = amount(quote.pay_for_time_limit_cents)
        yield "pay for time", f"{amount(quote.pay_for_time_cents)} a minute of lost work, at most {limit} each time"
    yield "budget", _budget(quote)
    if quote.account is not None:
        yield "account", _account(quote.account)
    if quote.all_units is not None:
        yield "work", _work(quote, durations)


def _account(account: SiteAccount) -> str:
    if account.available_cents is None:
        return account.name
    return f"{account.name} has {amount(account.available_cents)} {account.currency or ''}".rstrip()


def _hourly_pay(quote: Quote, durations: Durations | None) -> str:
    if durations is None:
        hourly = quote.hourly_cents(quote.seconds_allowed)
        text = f"at least {_amount(hourly)} (a worker who takes {_time(quote.seconds_allowed)} for a unit)"
    else:
        hourly = quote.hourly_cents(durations.median_seconds)
        text = f"about {_amount(hourly)}"
    if hourly is not None and hourly > ABSURD_HOURLY_CENTS and durations is None:
        text += "; is the reward right? It is in whole units of the currency, not in cents"
    elif hourly is not None and durations is not None and not LOW_HOURLY_CENTS <= hourly <= ABSURD_HOURLY_CENTS:
        text += f"; were earlier units done by people? They took {_time(durations.median_seconds)}"
    if not quote.minimum_hourly_cents:
        return text
    minimum = amount(quote.minimum_hourly_cents)
    is_enough = hourly is not None and hourly >= quote.minimum_hourly_cents
    return f"{text}; the minimum is {minimum}" + ("" if is_enough else ", and `review --top-up` adds what is missing")


def _budget(quote: Quote) -> str:
    if quote.budget_cents is None:
        return "none set; nothing limits the cost"
    budget = amount(quote.budget_cents)
    if quote.covered_units is None:
        return budget
    if quote.all_units is None:
        return f"{budget} covers {count_of(quote.covered_units, 'unit')}"
    return f"{budget} covers {quote.covered_units} of {quote.all_units} units"


def _work(quote: Quote, durations: Durations | None) -> str:
    if durations is None:
        hours = quote.hours(quote.seconds_allowed) or 0.0
        return f"at most {_time(hours * _HOUR)} (a worker has {_time(quote.seconds_allowed)} for a unit)"
    hours = quote.hours(durations.median_seconds) or 0.0
    measured = f"{count_of(durations.count, 'earlier unit')} took {_time(durations.median_seconds)} (median)"
    return f"about {_time(hours * _HOUR)}: {measured}"


def _amount(cents: int | None) -> str:
    return "unknown" if cents is None else amount(cents)


def _time(seconds: float) -> str:
    if seconds >= _HOUR:
        return f"{seconds / _HOUR:.1f} hours"
    return f"{seconds / _MINUTE:.1f} minutes" if seconds >= _MINUTE else f"{seconds:.0f} seconds"
