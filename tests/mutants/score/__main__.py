"""Prints how many small changes of the lifecycles and decisions their tests notice.

python -m tests.mutants.score                        # all changes
python -m tests.mutants.score --some 40 --seed X     # forty of them, chosen by X
python -m tests.mutants.score core/decisions/review.py
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from random import Random

import click

from .mutations import Mutation, all_equivalents, files, mutations_of
from .runner import run_all, warm_up

#: Share of the mutations that the tests have to notice.
FLOOR = 0.9


def chosen(names: list[str], some: int | None, seed: str) -> Iterator[Mutation]:
    """Return the mutations to try, without those that are known to change nothing that matters."""
    found = [mutation for file in names or files() for mutation in mutations_of(file)]
    if some is not None:
        Random(seed).shuffle(found)
    equivalents = all_equivalents()
    count = 0
    for mutation in found:
        if count == some:
            return
        if mutation.changes_something and not any(one.is_of(mutation) for one in equivalents):
            count += 1
            yield mutation


def main() -> int:
    """Try mutations, print those that no test noticed and the score; 1 if it is below the floor."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.score", description=__doc__)
    parser.add_argument("files", nargs="*", help="Files to change; by default all.")
    parser.add_argument("--some", type=int, help="Try this many, chosen by the seed.")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="Mutations at a time.")
    parser.add_argument(
        "--floor", type=float, default=FLOOR, help="The lowest score that passes; a few need a lower one."
    )
    asked = parser.parse_args()
    warm_up()
    if [text for _, text in run_all([None], 1)] == [None]:
        click.echo("the tests fail without any mutation")
        return 2
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    for mutation, output in run_all(chosen(asked.files, asked.some, asked.seed), asked.jobs):
        assert mutation is not None
        tried[mutation.file] += 1
        if output is not None:
            survived[mutation.file] += 1
            click.echo(f"SURVIVED\n{mutation.diff}\n")
    for file, count in sorted(tried.items()):
        click.echo(f"{count - survived[file]:5} of {count:5}  {file}")
    noticed, total = tried.total() - survived.total(), tried.total()
    score = noticed / max(total, 1)
    click.echo(f"{noticed} of {total} mutations were noticed: {score:.1%}")
    if score < asked.floor:
        click.echo(f"The score is below its floor, {asked.floor:.0%}.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
