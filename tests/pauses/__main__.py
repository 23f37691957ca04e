"""The whole matrix: `python -m tests.pauses [WORD ...]`, only the cells with all of the words if some are given."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click
import trio

from .matrix import Cell, every_cell, run_cell


def main() -> int:
    """Run the passes one after the other; returns 1 if any fails."""
    cells = [cell for cell in every_cell() if all(word in str(cell) for word in sys.argv[1:])]
    failed: list[Cell] = []
    for cell in cells:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                trio.run(run_cell, cell, Path(folder) / "data")
            except (AssertionError, ExceptionGroup, trio.TooSlowError) as error:
                failed.append(cell)
                click.echo(f"FAILED  {cell}: {error!r}")
            else:
                click.echo(f"{time.monotonic() - began:5.1f} s  {cell}")
    click.echo(f"{len(cells) - len(failed)} of {len(cells)} passes ended as they have to")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
