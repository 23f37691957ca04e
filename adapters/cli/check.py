"""Implements `mephisto-es check`: check that this machine has everything that runs need."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import click
import msgspec
import trio
from rich.markup import escape
from rich.table import Table

from ..diagnostics.accounts import check_accounts, check_terms
from ..diagnostics.checks import CheckResult, CheckState, check_all
from .common.output import ILLEGAL, as_json_option, console, print_json

_STYLES = {CheckState.OK: "green", CheckState.MISSING: "yellow", CheckState.WRONG: "red"}


class CheckReport(msgspec.Struct, frozen=True):
    """The results of all checks."""

    ok: bool
    findings: list[CheckResult]


@click.command("check")
@click.option("--live", is_flag=True, help="Ask the crowd sites about your accounts, too. Nothing is changed there.")
@as_json_option
def check_command(live: bool, as_json: bool) -> None:
    """Check what runs need: settings, data folder, log, plugins, and the tools of some architects.

    With --live each registered account is checked at its crowd site: whether the key is accepted, and the money it has.

    Exit code 0: runs can be launched; anything missing is needed only by some of them. 1: something must be fixed
    first.

    \b
    Example:
      mephisto-es check
      mephisto-es check --live
    """
    findings = [*check_all(), *check_terms(datetime.now(UTC).date())]
    if live:
        findings += trio.run(_ask_sites)
    is_ok = all(finding.state is not CheckState.WRONG for finding in findings)
    if as_json:
        print_json(CheckReport(is_ok, findings))
    else:
        console().print(_table(findings))
    sys.exit(0 if is_ok else ILLEGAL)


async def _ask_sites() -> list[CheckResult]:
    return [result async for result in check_accounts()]


def _table(findings: list[CheckResult]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        style = _STYLES[finding.state]
        hint = "" if finding.hint is None else f". [bold]{escape(finding.hint)}[/]"
        table.add_row(f"[{style}]{finding.state.value}[/]", finding.what, escape(finding.text) + hint)
    return table
