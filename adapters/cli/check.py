"""`mephisto-es check`: is everything there that runs need?"""

from __future__ import annotations

import sys

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from ..diagnostics.checks import CheckResult, State, check_up
from .common.output import ILLEGAL, as_json_option, console, print_json

_STYLES = {State.OK: "green", State.MISSING: "yellow", State.WRONG: "red"}


class Checked(msgspec.Struct, frozen=True):
    """What was found."""

    ok: bool
    findings: list[CheckResult]


@click.command("check")
@as_json_option
def check_command(as_json: bool) -> None:
    """Look at what runs need: settings, data folder, log, plugins, the tools of some architects.

    Exit code 0: runs can be launched; what is missing only some of them need. 1: something must be put right first.

    \b
    Example:
      mephisto-es check
    """
    findings = list(check_up())
    is_ok = all(finding.state is not State.WRONG for finding in findings)
    if as_json:
        print_json(Checked(is_ok, findings))
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
        table.add_row(f"[{style}]{finding.state.value}[/]", finding.what, escape(finding.said) + hint)
    return table
