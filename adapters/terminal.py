"""The only way to the terminal: whatever is printed, text from strangers cannot act on it.

Names of workers, answers, file names and the contents of damaged files end up in tables, reports and errors. All of it
passes through `echo` or a console of this module, so that no verb has to think of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ..core.printable import printable_lines

#: Columns of a table that is not printed to a terminal.
PIPED_WIDTH = 160


def echo(text: str, *, nl: bool = True, err: bool = False) -> None:
    """Print text.

    Args:
        text: one line or several.
        nl: whether to end the last line.
        err: print to standard error instead of standard output.
    """
    click.echo(printable_lines(text), nl=nl, err=err)


class TerminalConsole(Console):
    """A console that prints its own colours and cursor movements, but none that stand in the text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a renderable; their text is printable."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable_lines(segment.text), segment.style)


def make_console(*, stderr: bool = False, width: int | None = None, file: IO[str] | None = None) -> TerminalConsole:
    """Return a console that never breaks lines, so that its output can be pasted and searched.

    Args:
        stderr: print to standard error instead of standard output.
        width: the number of columns; by default that of the terminal, or `PIPED_WIDTH`.
        file: print there instead.
    """
    if width is None and file is None:
        width = None if (sys.stderr if stderr else sys.stdout).isatty() else PIPED_WIDTH
    return TerminalConsole(stderr=stderr, width=width, file=file, highlight=False, soft_wrap=True, emoji=False)
