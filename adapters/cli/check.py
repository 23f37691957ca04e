"""Implements `mephisto-es check`: check that this machine has everything that runs need."""

from __future__ import annotations

import sys

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ..diagnostics.checks import CheckResult, CheckState, check_all
from .common.output import ILLEGAL, as_json_option, console, print_json

_STYLES = {CheckState.OK: "green", CheckState.MISSING: "yellow", CheckState.WRONG: "red"}


class CheckReport(msgspec.Struct, frozen=True):
    """The results of all checks."""

    ok: bool
    findings: list[CheckResult]


@click.command("check")
@as_json_option
def check_command(as_json: bool) -> None:
    """Check what runs need: settings, data folder, log, plugins, and the tools of some architects.

    Exit code 0: runs can be launched; anything missing is needed only by some of them. 1: something must be fixed
    first.

    \b
    Example:
      mephisto-es check
    """
    findings = list(check_all())
    is_ok = all(finding.state is not CheckState.WRONG for finding in findings)
    if as_json:
        print_json(CheckReport(is_ok, findings))
    else:
        console().print(_table(findings))
    sys.exit(0 if is_ok else ILLEGAL)


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
