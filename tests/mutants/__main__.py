"""Breaks promises on purpose, one at a time, and checks that the tests notice.

python -m tests.mutants                     # all
python -m tests.mutants NAME NAME           # these
python -m tests.mutants --some 6 --seed X   # six of them, chosen by X
python -m tests.mutants --by-simulation 60  # those of the core, by the simulation alone: its kept seeds, and 60
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import click
import trio

from ..simulation.scenes import KEPT
from .catalogue import ROOT, Mutant, all_mutants

#: Seconds that the tests of one mutant may take. One that makes them hang is noticed.
PATIENCE_SECONDS = 240.0
#: Seconds that one seed of the simulation may take on a busy machine.
SEED_PATIENCE_SECONDS = 30.0
#: The first seed of the simulations: always the same ones, so that two figures can be compared.
FIRST_SEED = 1000
#: Share of the core mutants that the simulation has to notice alone.
SIMULATION_FLOOR = 0.8
CORE = "core/"
#: Where Python finds the package in a copy of the tree.
PACKAGE_LINK = ".typing"
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?)(?:\[.*)?(?: - .*)?$", re.MULTILINE)
#: Exit codes of pytest.
ALL_PASSED, SOME_FAILED = 0, 1


def copy_tree(target: Path) -> None:
    """Copy what git knows and what is not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, copy = ROOT / name, target / name
        if source.is_symlink() or source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)


@contextmanager
def copies(count: int) -> Iterator[list[Path]]:
    """Give copies of the tree, and remove them."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        trees = [Path(scratch) / str(number) for number in range(count)]
        for tree in trees:
            copy_tree(tree)
        yield trees


async def run(tree: Path, arguments: list[str], patience: float) -> tuple[int | None, str]:
    """Run a Python module in a copy of the tree; return its exit code, None if it hangs, and its output."""
    environment = {**os.environ, "PYTHONPATH": str(tree / PACKAGE_LINK), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile() as output:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", *arguments],
            cwd=tree,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code: int | None = None
        try:
            with trio.move_on_after(patience):
                code = await process.wait()
        finally:
            if code is None:
                os.killpg(process.pid, 9)
        output.seek(0)
        return code, output.read().decode(errors="replace")


async def run_tests(tree: Path, tests: list[str], patience: float = PATIENCE_SECONDS) -> tuple[int | None, str]:
    """Run tests in a copy of the tree; return pytest's exit code, None if they hang, and their output."""
    options = ["-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", "-p", "no:randomly"]
    return await run(tree, ["pytest", *options, *tests], patience)


async def by_tests(mutant: Mutant, tree: Path) -> str | None:
    """Run the tests that a mutant names; return what is wrong, None if all of them noticed."""
    return verdict(mutant, *await run_tests(tree, list(mutant.tests)))


async def by_simulation(tree: Path, seeds: int) -> str | None:
    """Run simulations in a copy of the tree; return None if one of them does not pass."""
    arguments = ["tests.simulation", str(seeds), str(FIRST_SEED), "--violations", "1", "--kept"]
    code, output = await run(tree, arguments, (seeds + len(KEPT)) * SEED_PATIENCE_SECONDS)
    if code is None or "VIOLATION" in output:
        return None
    return "UNNOTICED" if code == 0 else f"the simulation cannot be run:\n{output[-2000:]}"


def verdict(mutant: Mutant, code: int | None, output: str) -> str | None:
    """Return what is wrong with a mutant's result; None if every named test noticed."""
    if code is None:
        return None
    if code == ALL_PASSED:
        return "SURVIVED: no test noticed"
    if code != SOME_FAILED:
        return f"its tests cannot be run:\n{output[-2000:]}"
    failed = set(_FAILED.findall(output))
    silent = [test for test in mutant.tests if test not in failed]
    return f"SURVIVED {', '.join(silent)}" if silent else None


class Bench:
    """Runs mutants in copies of the tree, several at a time.

    Attributes:
        faults: what is wrong, by the mutant's name.
    """

    def __init__(self, trees: list[Path], judge: Callable[[Mutant, Path], Awaitable[str | None]]) -> None:
        self._judge = judge
        self.faults: dict[str, str] = {}
        self._sender, self._free = trio.open_memory_channel[Path](len(trees))
        for tree in trees:
            self._sender.send_nowait(tree)

    async def run_all(self, mutants: list[Mutant]) -> None:
        """Run mutants, and print each result."""
        async with trio.open_nursery() as nursery:
            for mutant in mutants:
                tree = await self._free.receive()
                nursery.start_soon(self._run, mutant, tree)

    async def _run(self, mutant: Mutant, tree: Path) -> None:
        began = trio.current_time()
        kept = (tree / mutant.file).read_bytes()
        mutant.apply(tree)
        try:
            fault = await self._judge(mutant, tree)
        finally:
            (tree / mutant.file).write_bytes(kept)
        if fault is not None:
            self.faults[mutant.name] = fault
        click.echo(f"{fault or 'noticed'}  {mutant.name}  {trio.current_time() - began:.1f} s")
        self._sender.send_nowait(tree)


async def check(mutants: list[Mutant], jobs: int, *, baseline: bool) -> int:
    """Run the tests of mutants; return the exit code."""
    with copies(jobs) as trees:
        if baseline:
            tests = sorted({test for mutant in mutants for test in mutant.tests})
            code, output = await run_tests(trees[0], tests, PATIENCE_SECONDS * len(mutants))
            if code != ALL_PASSED:
                click.echo(f"the tests fail without any mutant (exit code {code}):\n{output[-4000:]}")
                return 2
        bench = Bench(trees, by_tests)
        await bench.run_all(mutants)
    click.echo(f"{len(mutants) - len(bench.faults)} of {len(mutants)} mutants were noticed")
    return 1 if bench.faults else 0


async def check_simulation(mutants: list[Mutant], jobs: int, seeds: int) -> int:
    """Run simulations of mutants of the core; return the exit code."""
    core = [mutant for mutant in mutants if mutant.file.startswith(CORE)]
    mutants = [mutant for mutant in core if not mutant.unsimulated]
    for mutant in core:
        if mutant.unsimulated:
            click.echo(f"not tried  {mutant.name}: {mutant.unsimulated}")
    with copies(jobs) as trees:
        if await by_simulation(trees[0], seeds) is None:
            click.echo("the simulation fails without any mutant")
            return 2
        bench = Bench(trees, lambda _, tree: by_simulation(tree, seeds))
        await bench.run_all(mutants)
    noticed = len(mutants) - len(bench.faults)
    click.echo(
        f"{len(KEPT)} kept seeds and {seeds} others noticed {noticed} of {len(mutants)} mutants of the core "
        f"that they can notice ({noticed / max(len(mutants), 1):.0%}), of {len(core)} in all"
    )
    return 0 if noticed >= SIMULATION_FLOOR * len(mutants) else 1


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description="Break promises on purpose, and check that the tests notice.")
    parser.add_argument("names", nargs="*", help="Mutants; by default all.")
    parser.add_argument("--some", type=int, help="Run this many, chosen by the seed, without checking the tests first.")
    parser.add_argument(
        "--by-simulation",
        type=int,
        metavar="SEEDS",
        help="Run simulations instead of tests: the seeds that are kept, and these.",
    )
    parser.add_argument("--seed", default="0")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="Mutants at a time.")
    asked = parser.parse_args()
    mutants = [mutant for mutant in all_mutants() if not asked.names or mutant.name in asked.names]
    if asked.some is not None:
        mutants = Random(asked.seed).sample(mutants, min(asked.some, len(mutants)))
    jobs = min(asked.jobs, len(mutants))
    if asked.by_simulation is not None:
        return trio.run(check_simulation, mutants, jobs, asked.by_simulation)
    return trio.run(partial(check, mutants, jobs, baseline=asked.some is None))


if __name__ == "__main__":
    sys.exit(main())
