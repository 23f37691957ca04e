"""Implements `mephisto-es pay`: pay what a run owes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import trio
from rich.markup import escape
from rich.table import Table

from ...core.entity_ref import EntityRef
from ...core.errors import UnknownEntityError
from ...core.lifecycles.payment import BONUS, PAY, UNPAID_STATUSES, PaymentStatus
from ...core.operations.configuration.money import amount
from ...core.operations.control.requests import PayRequest, SettleRequest
from ...core.state.budget import Budget
from ...events import streams
from ...events.ids import PaymentId, TaskRunId, WorkerId
from ...events.task_run import TaskRunCreated
from ...projections.queries.money.pay_ledger import PayLedger, Payment, pay_ledger
from ...projections.queries.worker_names import worker_names
from ..composition.provider import paying_provider
from ..control.client import open_control
from ..control.protocol import author_of
from ..log.sqlite.as_of import open_as_of
from ..terminal import echo
from ..text import count_of, format_worker
from .common.arguments import LogCommand, author_option, log_argument, pseudonyms_option, run_argument, script_option
from .common.output import ILLEGAL, as_json_option, console, print_json, waiting_for
from .common.payment_lines import print_advice, print_payments
from .common.settlements import PaymentDecision, read_decisions, recorded_text, settled_before, write_payments

_UNPAID = frozenset(status.value for status in UNPAID_STATUSES)


class PayReport(msgspec.Struct, frozen=True):
    """The payments of a run, before they are made or after."""

    #: Whether they were ordered; False: they are only shown.
    paid: bool
    #: Those that are not paid.
    to_pay: tuple[Payment, ...]
    ledger: PayLedger


class PaymentType(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """The id of a payment: `7` or `payment-7`."""

    name = "payment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> PaymentId:
        """Return the id."""
        number = str(value).removeprefix("payment-")
        if not number.isdecimal():
            self.fail(f"{value!r} is not the id of a payment; write payment-7.", param, ctx)
        return PaymentId(int(number))


class AmountsDue(NamedTuple):
    """A run, its pay ledger, and the payments that are due."""

    created: TaskRunCreated
    ledger: PayLedger
    #: Names of workers at the provider; empty if they are not to be shown.
    names: Mapping[WorkerId, str]

    @property
    def payments(self) -> tuple[Payment, ...]:
        """The payments that are not paid yet."""
        return tuple(payment for payment in self.ledger.payments if payment.status in _UNPAID)

    def label_of(self, worker: int) -> str:
        """Return a worker's id, with the name at the provider if it is to be shown."""
        return format_worker(worker, self.names.get(WorkerId(worker)))

    @property
    def confirmed_cents(self) -> int:
        """The amount that the workers are known to have."""
        return self.ledger.cents.get(PaymentStatus.CONFIRMED.value, 0)

    @property
    def fees_cents(self) -> int:
        """The provider's fees for them."""
        budget = Budget(fee_percent=self.created.fee_percent)
        return sum(budget.with_fee(one.amount_cents) - one.amount_cents for one in self.payments)


@click.command("pay", cls=LogCommand)
@log_argument
@run_argument
@click.option("--dry-run", is_flag=True, help="Only show what would be paid.")
@click.option("--yes", is_flag=True, help="Pay without asking.")
@click.option(
    "--settle",
    nargs=2,
    type=(PaymentType(), click.Choice(("paid", "unpaid"))),
    metavar="PAYMENT paid|unpaid",
    help="Pay nothing: record your decision on one payment.",
)
@click.option(
    "--settle-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Pay nothing: record the decisions of a CSV file (columns payment, status, and if wanted amount, reason).",
)
@click.option(
    "--list",
    "list_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Pay nothing: write what is to be paid to a CSV file, for --settle-file.",
)
@click.option("--reason", help="With --settle: how you know. `mephisto-es ledger` shows it.")
@click.option(
    "--at-site/--elsewhere",
    default=None,
    help="With --settle PAYMENT paid: the provider has paid it, or you have by other means. Otherwise it counts as "
    "paid by other means if the provider had refused it, or was never asked.",
)
@script_option
@author_option
@pseudonyms_option
@as_json_option
def pay_command(
    database: Path,
    run: EntityRef,
    dry_run: bool,
    yes: bool,
    settle: tuple[PaymentId, str] | None,
    settle_file: Path | None,
    list_file: Path | None,
    reason: str | None,
    at_site: bool | None,
    author: str | None,
    pseudonyms: bool,
    as_json: bool,
) -> None:
    """Pay what RUN owes, through the crowd provider of its workers, after showing the payments and asking.

    Each payment is recorded before the provider is asked for it. So if this is interrupted at any point, the next call
    continues, and nobody is paid twice. A payment whose answer was lost is in doubt: it is looked up before it is
    requested again. The status of payments that were sent earlier is updated.

    Where the provider cannot tell, look at its pages and record what you found with --settle. If you pay by other
    means, write the payments with --list, set their status to paid, and record them with --settle-file. A wrong
    decision is corrected by another one; `unpaid` needs a --reason then, and that the site does not show the payment.

    With --json nothing is asked: without --yes the payments are only shown. This works while a run is live, too.

    \b
    Examples:
      mephisto-es pay mephisto_data 1 --dry-run
      mephisto-es pay mephisto_data 1 --yes
      mephisto-es pay mephisto_data 1 --settle payment-7 paid --reason "seen in the account"
      mephisto-es pay mephisto_data 1 --settle-file transfers.csv

    Exit code 0: everything is paid, or payments were only shown. 1: something is not paid, or not settled as you say.
    """
    _check_settling(settle, settle_file, reason, at_site)
    due = _due(database, run, pseudonyms=pseudonyms)
    if settle is not None or settle_file is not None:
        _record_decisions(database, run, _decisions(due, settle, reason, settle_file), at_site, author_of(author))
        return
    if list_file is not None:
        write_payments(database, list_file, due.payments)
    is_preview = dry_run or list_file is not None or (as_json and not yes)
    if not is_preview:
        paying_provider(due.created)
    if not as_json:
        _print_due(due, is_preview=is_preview)
    if not is_preview and due.payments and not yes:
        click.confirm("Pay this?", abort=True)
    confirmed_before = due.confirmed_cents
    if not is_preview:
        with waiting_for(_about_paying(due), is_quiet=as_json or not due.payments):
            trio.run(_pay, database, due, author_of(author))
        due = _due(database, run, pseudonyms=pseudonyms)
    if as_json:
        print_json(PayReport(not is_preview, due.payments, due.ledger))
    elif not is_preview:
        _print_paid(due, confirmed_before)
    if not is_preview and due.payments:
        raise click.exceptions.Exit(ILLEGAL)


def _check_settling(
    settle: tuple[PaymentId, str] | None, file: Path | None, reason: str | None, at_site: bool | None
) -> None:
    """Refuse options of a decision that do not belong to it.

    Raises:
        UsageError: one does not.
    """
    if at_site is not None and settle is not None and settle[1] == "unpaid":
        raise click.UsageError("--at-site and --elsewhere say how a payment was made: they do not go with unpaid.")
    if at_site is not None and settle is None and file is None:
        raise click.UsageError("--at-site and --elsewhere go with --settle and --settle-file.")
    if reason is not None and settle is None:
        raise click.UsageError("--reason goes with --settle; a file for --settle-file has a column for it.")


def _due(database: Path, run: EntityRef, *, pseudonyms: bool) -> AmountsDue:
    number = TaskRunId(run.number)
    with open_as_of(database) as moment:
        ledger = pay_ledger(moment, number, with_notes=not pseudonyms)
        names = {} if pseudonyms else worker_names(moment.db, (one.worker for one in ledger.accounts))
        created = moment.stream(streams.task_run(number))[0].envelope.event
    if not isinstance(created, TaskRunCreated):
        raise LookupError("only being created can happen first to a run: a table has a wrong row")
    return AmountsDue(created, ledger, names)


def _decisions(
    due: AmountsDue, settle: tuple[PaymentId, str] | None, reason: str | None, file: Path | None
) -> list[PaymentDecision]:
    """Return the decisions on payments that a person has taken.

    Raises:
        UnknownEntityError: the run has no such payment.
        ConfigError: a line of the file cannot be meant.
    """
    decisions = [] if file is None else read_decisions(file, due.ledger.payments)
    if settle is not None:
        payment, decision = settle
        if payment not in {one.payment for one in due.ledger.payments}:
            raise UnknownEntityError(f"payment-{payment} in {due.ledger.run}")
        decisions.append(PaymentDecision(payment, decision == "paid", reason))
    return decisions


def _record_decisions(
    database: Path, run: EntityRef, decisions: Sequence[PaymentDecision], at_site: bool | None, author: str
) -> None:
    """Record decisions on payments, and print what they are settled as.

    Raises:
        CommandRefusedError: one was refused; those after it were not tried.
        Exit: one asks for what nobody can decide.
    """
    due = _due(database, run, pseudonyms=False)
    before = {PaymentId(one.payment): one for one in due.ledger.payments}
    wanted: list[PaymentDecision] = []
    is_refused = False
    for one in decisions:
        found = settled_before(before[one.payment], one, at_site)
        if found is None:
            wanted.append(one)
        else:
            echo(found.text)
            is_refused |= found.is_contrary
    done: list[PaymentId] = []
    try:
        trio.run(_settle, database, due, wanted, at_site, author, done)
    finally:
        if done:
            after = {PaymentId(one.payment): one for one in _due(database, run, pseudonyms=False).ledger.payments}
            for payment in done:
                echo(recorded_text(before[payment], after[payment]))
    if is_refused:
        raise click.exceptions.Exit(ILLEGAL)


async def _settle(
    database: Path,
    due: AmountsDue,
    decisions: Sequence[PaymentDecision],
    at_site: bool | None,
    author: str,
    done: list[PaymentId],
) -> None:
    if not decisions:
        return
    run = due.created.task_run
    async with open_control(database, author) as control:
        for payment, is_paid, reason in decisions:
            request = SettleRequest(
                task_run=run,
                payment=payment,
                is_paid=is_paid,
                at_site=at_site if is_paid else None,
                reason=reason,
                corrects=any(one.is_settled for one in due.ledger.payments if one.payment == payment),
            )
            await control.execute(request)
            done.append(payment)


async def _pay(database: Path, due: AmountsDue, author: str) -> None:
    """Pay what was shown, and nothing that became owed since."""
    shown = tuple(PaymentId(one.payment) for one in due.payments)
    async with open_control(database, author) as control:
        await control.execute(PayRequest(task_run=due.created.task_run, payments=shown))


def _about_paying(due: AmountsDue) -> str:
    said = f"paying: {due.created.provider_type} is asked for {count_of(len(due.payments), 'payment')}"
    return f"{said}, and an answer that is lost is waited for"


def _print_due(due: AmountsDue, *, is_preview: bool) -> None:
    if not due.payments:
        echo(f"{due.ledger.run} has paid everything it owes")
        return
    by_worker: defaultdict[int, list[Payment]] = defaultdict(list)
    for payment in due.payments:
        by_worker[payment.worker].append(payment)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("worker")
    for heading in ("payments", PAY, BONUS, "total"):
        table.add_column(heading, justify="right")
    for worker, payments in sorted(by_worker.items()):
        table.add_row(escape(due.label_of(worker)), *_sums(payments))
    table.add_row("[bold]all[/]", *_sums(due.payments))
    console().print(table)
    fees = f", and {amount(due.fees_cents)} in fees" if due.fees_cents else ""
    echo(f"by {due.created.provider_type}{fees}")
    held_up = [one for one in due.payments if one.failure]
    if is_preview:
        print_payments(held_up, due.label_of, shows_all=False)
    elif held_up:
        # What becomes of them is printed afterwards.
        echo(f"{count_of(len(held_up), 'payment')} of these did not succeed before: `mephisto-es ledger` says why")


def _sums(payments: Sequence[Payment]) -> tuple[str, str, str, str]:
    cents = {purpose: sum(one.amount_cents for one in payments if one.purpose == purpose) for purpose in (PAY, BONUS)}
    return f"{len(payments):,}", amount(cents[PAY]), amount(cents[BONUS]), amount(sum(cents.values()))


def _print_paid(due: AmountsDue, confirmed_before: int) -> None:
    sent, confirmed = due.ledger.cents.get(PaymentStatus.SENT.value, 0), due.confirmed_cents
    now = f"{amount(confirmed - confirmed_before)} confirmed"
    echo(f"{now}{f' now ({amount(confirmed)} in all)' if confirmed_before else ''}, {amount(sent)} sent")
    print_payments(due.payments, due.label_of, shows_all=True)
    print_advice(due.created.task_run, due.payments)
