"""Output shared by the verbs: the console, tables, JSON, findings, files, and the exit code for a failed check."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click
import msgspec
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ....core.errors import ConfigError
from ....core.printable import printable_json
from ....projections.audit.report import Finding
from ....projections.queries.unit_pages import in_pages
from ...advice import advised
from ...terminal import TerminalConsole, echo, make_console
from ...text import format_author

#: Exit code when the log could be read but a check failed. A file that is not a log ends in exit code 2.
ILLEGAL = 1
#: Findings that are printed; `--json` prints all of them.
SHOWN_FINDINGS = 20

#: Items of a list that are printed together.
PRINTED_TOGETHER = 50

#: A tag of rich with the backslashes before it, or an escaped bracket that begins no tag.
_MARKUP = re.compile(r"(?P<escapes>\\*)(?P<tag>\[[a-z#/@][^[]*?])|\\\[")

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")


def console() -> TerminalConsole:
    """Return the console for standard output."""
    return make_console()


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar on standard error while a block runs, if that is a terminal and there is more than one step.

    Yields:
        A function that advances the bar by one.
    """
    if total < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    # What is printed meanwhile belongs on standard output, also where that is a file.
    is_redirected = sys.stdout.isatty()
    with Progress(console=make_console(stderr=True), transient=True, redirect_stdout=is_redirected) as bars:
        task = bars.add_task(description, total=total)
        yield lambda: bars.advance(task)


@contextmanager
def working(description: str, *, is_quiet: bool = False) -> Iterator[None]:
    """Show on standard error that a block runs, and for how long, if that is a terminal and no program reads along.

    Args:
        description: the work, such as "replaying".
        is_quiet: True to show nothing, because JSON is printed for a program.
    """
    if is_quiet or not sys.stderr.isatty():
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=make_console(stderr=True), transient=True, redirect_stdout=False) as shown:
        shown.add_task(description, total=None)
        yield


@contextmanager
def waiting_for(description: str, *, is_quiet: bool = False) -> Iterator[None]:
    """Say on standard error that a block waits for somebody else, and for how long if that is a terminal.

    Args:
        description: the work and whom it waits for, such as "paying: connect is asked".
        is_quiet: True to show nothing, because JSON is printed for a program.
    """
    if not is_quiet and not sys.stderr.isatty():
        echo(f"{description} ...", err=True)
    with working(description, is_quiet=is_quiet):
        yield


def format_repeated(*, is_repeated: bool, by: str | None) -> str:
    """Return the end of a line about a request that had been executed before.

    Args:
        is_repeated: True if it had been.
        by: author of the earlier request, if it was somebody else's.
    """
    if not is_repeated:
        return ""
    return f"  (recorded before{'' if by is None else f', by {format_author(by)}'})"


def facts() -> Table:
    """Return an empty table of names and values, without lines."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def print_json(value: msgspec.Struct | dict[str, object]) -> None:
    """Print one object, indented so that people can read it too."""
    echo(printable_json(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def print_json_list(
    head: Mapping[str, object], name: str, items: Iterable[msgspec.Struct], tail: Mapping[str, object]
) -> None:
    """Print the object that `print_json` would print, without holding it whole.

    Args:
        head: the fields before the list.
        name: the field with the list.
        items: what is in the list; printed some at a time.
        tail: the fields after the list.
    """
    fields = [f"  {_json(key)}: {_json(value)},\n" for key, value in head.items()]
    echo(f"{{\n{''.join(fields)}  {_json(name)}: [", nl=False)
    is_first = True
    for some in in_pages(items, PRINTED_TOGETHER):
        text = ",\n    ".join(_json(item).replace("\n", "\n  ") for item in some)
        echo(f"{'' if is_first else ','}\n    {text}", nl=False)
        is_first = False
    rest = [f",\n  {_json(key)}: {_json(value)}" for key, value in tail.items()]
    echo(f"{'' if is_first else chr(10) + '  '}]{''.join(rest)}\n}}")


def _json(value: object) -> str:
    """Return a value as JSON text, indented as a field of an object is."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return printable_json(text).replace("\n", "\n  ")


def print_markup(lines: Iterable[str]) -> None:
    """Print lines with markup of rich; to a file or pipe as plain text, which is much faster."""
    text = "\n".join(lines)
    if sys.stdout.isatty():
        console().print(text)
    else:
        echo(without_markup(text))


def without_markup(text: str) -> str:
    """Return what rich would print of a text with markup, in a third of the time that rich takes to render it."""
    return _MARKUP.sub(_printed, text)


def _printed(found: re.Match[str]) -> str:
    """Return what is printed of a tag, of an escaped tag, or of another escaped bracket."""
    if found["tag"] is None:
        return "["
    pairs, is_escaped = divmod(len(found["escapes"]), 2)
    return "\\" * pairs + (found["tag"] if is_escaped else "")


def print_findings(findings: Sequence[Finding], left_out: int = 0, notes: Sequence[str] = ()) -> None:
    """Print findings and notes for people.

    Args:
        findings: the findings that were listed.
        left_out: the number of further findings.
        notes: remarks that are not faults.
    """
    out = console()
    for finding in findings[:SHOWN_FINDINGS]:
        out.print(f"[red]✗[/] {escape(advised(finding.sentence))}")
    hidden = len(findings[SHOWN_FINDINGS:]) + left_out
    if hidden:
        out.print(f"  and {hidden} more; --json lists the first {len(findings)}")
    for note in notes:
        out.print(f"[yellow]note[/] {escape(advised(note))}")


@contextmanager
def opened_output(output: Path | None) -> Iterator[BinaryIO]:
    """Open standard output, or a file that is put in place once it is complete.

    Raises:
        ConfigError: the file cannot be written.
    """
    if output is None:
        yield sys.stdout.buffer
        return
    try:
        descriptor, draft = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror}", key="--output") from error
    try:
        with open(descriptor, "wb") as file:
            yield file
        os.replace(draft, output)
    except BaseException:
        os.unlink(draft)
        raise
