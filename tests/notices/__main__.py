"""Kills operators that send notices: `python -m tests.notices [KILLS [SEED]]`; the exit code is 1 if one was lost."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import trio

from .kills import kill_again_and_again

KILLS, SEED = 20, 1


def main() -> int:
    """Kill so many operators, and print what arrived; returns 1 if that is not what the log is worth."""
    numbers = [int(word) for word in sys.argv[1:]]
    kills, seed = [*numbers, *(KILLS, SEED)[len(numbers) :]]
    with tempfile.TemporaryDirectory() as folder:
        verdict = trio.run(kill_again_and_again, Path(folder) / "data", kills, seed)
    for kind, number in sorted(verdict.kinds.items()):
        click.echo(f"{number:5} {kind}")
    problems = [*verdict.problems, *(f"no notice of the kind {kind}" for kind in verdict.absent)]
    for problem in problems:
        click.echo(f"WRONG  {problem}")
    taken = sum(verdict.kinds.values())
    outcome = "something is wrong" if problems else "each notice arrived, once for each id"
    click.echo(f"{kills} kills, {taken} notices, {verdict.repeated} sent again with the same id: {outcome}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
