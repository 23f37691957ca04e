"""Implements `mephisto-es ledger`: show what a run owes and has paid."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ...core.entity_ref import EntityRef
from ...core.lifecycles.payment import PaymentStatus
from ...core.operations.configuration.money import amount
from ...core.operations.control.round_report import BooksReport
from ...events.ids import TaskRunId, WorkerId
from ...projections.queries.money.budget_check import find_overspending
from ...projections.queries.money.pay_ledger import PayLedger, find_untraced, pay_ledger
from ...projections.queries.worker_names import worker_names
from ..advice import advised
from ..terminal import echo
from ..text import count_of, format_spending, format_worker
from .common.arguments import (
    AsOfOption,
    LogCommand,
    as_of_options,
    is_id,
    log_argument,
    pseudonyms_option,
    run_argument,
    script_option,
)
from .common.output import ILLEGAL, as_json_option, console, print_json, waiting_for
from .common.payment_lines import print_advice, print_payments, print_settled

VERIFY = "verify"
_STATUSES = tuple(status.value for status in PaymentStatus)


class LedgerCommand(LogCommand):
    """The verb with its check, which may follow the database without a run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; stand in for what was omitted before `verify`."""
        if VERIFY in args:
            others = [one for one in args if one != VERIFY]
            given, _, _ = self.make_parser(ctx).parse_args(list(others))
            first, run = given.get("database"), given.get("run")
            if not isinstance(first, str):
                args = ["", "", *others, VERIFY]
            elif not isinstance(run, str) and not is_id(first):
                args = [*others, "", VERIFY]
        return super().parse_args(ctx, args)


class LedgerReport(msgspec.Struct, frozen=True):
    """A pay ledger, and what is wrong with it."""

    ledger: PayLedger
    #: Empty unless it was verified.
    faults: tuple[str, ...]
    #: Pieces of work that were compared with the site; left out unless they were.
    compared: int | msgspec.UnsetType = msgspec.UNSET


@click.command("ledger", cls=LedgerCommand)
@log_argument
@run_argument
@click.argument("check", type=click.Choice([VERIFY]), required=False)
@click.option("--provider", "asks_provider", is_flag=True, help="With verify: compare with the site's books, too.")
@click.option("--payments", "lists_payments", is_flag=True, help="List each payment, the confirmed ones too.")
@script_option
@pseudonyms_option
@as_of_options
@as_json_option
def ledger_command(
    database: Path,
    run: EntityRef,
    check: str | None,
    asks_provider: bool,
    lists_payments: bool,
    pseudonyms: bool,
    as_of: AsOfOption,
    as_json: bool,
) -> None:
    """Show what is owed and paid to each worker of RUN. With `verify`, trace every cent to the verdict behind it.

    A verdict makes money owed. It is approved once `mephisto-es pay` is to pay it, sent once the provider took the
    order, and confirmed once it has arrived. Payments that are not confirmed are listed with their numbers, and with
    what keeps them from being paid. Amounts are in the currency's main unit; with --json, in cents. `verify`
    also checks that the owed and reserved amounts of a run never exceeded its budget. With --provider it reads the
    books of the crowd provider's site and compares each piece of work; nothing is changed there.

    \b
    Examples:
      mephisto-es ledger mephisto_data 1
      mephisto-es ledger mephisto_data 1 verify
      mephisto-es ledger mephisto_data 1 verify --provider

    What a person has settled with `mephisto-es pay --settle` is listed with the reason.

    Exit code of verify: 0: every cent is traced and the budget was kept. 1: something is not, and is named.
    """
    if asks_provider and check is None:
        raise click.UsageError("--provider compares books with `verify`: add that word.")
    with as_of.open(database) as moment:
        number = TaskRunId(run.number)
        found = pay_ledger(moment, number, with_notes=not pseudonyms)
        faults = [*find_untraced(moment, number), *find_overspending(moment, number)] if check else []
        names = {} if pseudonyms else worker_names(moment.db, (one.worker for one in found.accounts))
    with waiting_for(f"reading the site's books of {run}", is_quiet=as_json or not asks_provider):
        books = _compare_books(database, number) if asks_provider else None
    if books is not None:
        faults += books.faults
    if as_json:
        print_json(LedgerReport(found, tuple(faults), msgspec.UNSET if books is None else books.compared))
    else:
        _print(found, names, lists_payments=lists_payments)
        for fault in faults:
            echo(f"✗ {fault}")
        if books is not None and books.faults:
            _print_next_steps(books, number)
        if check and not faults:
            echo(f"every cent of {count_of(len(found.payments), 'payment')} is traced to a decision{_kept(found)}")
        if books is not None:
            _print_books(books)
    sys.exit(ILLEGAL if faults else 0)


def _print_books(books: BooksReport) -> None:
    for line in books.settled:
        echo(f"settled: {line}")
    if not books.faults:
        which = "all" if not books.settled else "the other"
        echo(f"the site shows the same for {which} {count_of(books.compared - len(books.settled), 'piece')} of work")


def _print_next_steps(books: BooksReport, run: TaskRunId) -> None:
    for step in books.next_steps:
        echo(advised(step))
    advice = f"`mephisto-es reconcile {run}` says what to do about work"
    echo(advised(f"{advice}, and `mephisto-es pay {run}` looks for what is not paid"))


def _compare_books(database: Path, run: TaskRunId) -> BooksReport:
    # Loaded when it is asked for: the rest of this verb answers faster than that loads.
    found: BooksReport = import_module(".common.site_books", __package__).site_books(database, run)
    return found


def _kept(ledger: PayLedger) -> str:
    return ", and the budget was kept at every event" if ledger.spending else ""


def _print(ledger: PayLedger, names: Mapping[WorkerId, str], *, lists_payments: bool) -> None:
    if not ledger.payments:
        echo(f"nothing is owed in {ledger.run}")
    else:
        _print_accounts(ledger, names)

        def label_of(worker: int) -> str:
            return format_worker(worker, names.get(WorkerId(worker)))

        print_payments(ledger.payments, label_of, shows_all=lists_payments)
        print_settled(ledger.payments)
        print_advice(int(ledger.run.removeprefix("run-")), ledger.payments)
    if ledger.spending is not None:
        echo(f"budget: {format_spending(ledger.spending)}")


def _print_accounts(ledger: PayLedger, names: Mapping[WorkerId, str]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("worker")
    for status in _STATUSES:
        table.add_column(status, justify="right")
    for account in ledger.accounts:
        worker = WorkerId(account.worker)
        table.add_row(escape(format_worker(worker, names.get(worker))), *_amounts(account.cents))
    table.add_row("[bold]all[/]", *_amounts(ledger.cents))
    console().print(table)


def _amounts(cents: dict[str, int]) -> list[str]:
    return [amount(cents[status]) if status in cents else "" for status in _STATUSES]
