"""What the verbs over a log file share: the argument, `--json`, the exit code of a fault, how findings are told."""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec
from rich.markup import escape

from ...projections.audit.report import Finding
from .database import log_argument as log_argument
from .figures import console

#: Exit code: the file was read, and something in it is not as it must be. A file that is no log ends in 2.
ILLEGAL = 1

#: Findings that are printed for people; `--json` has them all.
SHOWN_FINDINGS = 20

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for programs.")


def print_json(value: msgspec.Struct | dict[str, object]) -> None:
    """Print one object, laid out so that people can read it too."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_findings(findings: Sequence[Finding], left_out: int = 0, notes: Sequence[str] = ()) -> None:
    """Print what is wrong, and what should be known beside it, for people.

    Args:
        findings: those that were listed.
        left_out: how many more there were.
        notes: what is no fault.
    """
    out = console()
    for finding in findings[:SHOWN_FINDINGS]:
        out.print(f"[red]✗[/] {escape(finding.sentence)}")
    hidden = len(findings[SHOWN_FINDINGS:]) + left_out
    if hidden:
        out.print(f"  and {hidden} more; --json lists the first {len(findings)}")
    for note in notes:
        out.print(f"[yellow]note[/] {escape(note)}")
