"""Runs tests with one source file exchanged, each time in a process of its own that is forked from a warm one."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

import hypothesis
import pytest

from ..catalogue import ROOT
from .mutations import Mutation

#: The tests that have to notice.
TESTS = ("tests/core/decisions", "tests/core/lifecycles")
#: Seconds of computing after which a process is killed: the mutation has made something endless, and is noticed.
CPU_SECONDS_LIMIT = 300
PACKAGE = "mephisto_es"
#: Plugins are there before pytest asks for them.
_WARM = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
_OPTIONS = ("-q", "-x", "--tb=short", "-p", "no:cacheprovider", *_WARM)


class MutatedLoader(SourceFileLoader):
    """Loads a module from a text other than its file's."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        """Compile the text; never what was compiled before."""
        return self.source_to_code(self._text.encode(), self.get_filename(fullname))


class MutatedFinder(MetaPathFinder):
    """Finds one module, the mutated one."""

    def __init__(self, mutation: Mutation) -> None:
        self._name = f"{PACKAGE}.{mutation.file.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}"
        self._path = str(ROOT / mutation.file)
        self._text = mutation.mutated

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the mutated module if it is asked for."""
        if fullname != self._name:
            return None
        is_package = [str(Path(self._path).parent)] if self._path.endswith("__init__.py") else None
        loader = MutatedLoader(fullname, self._path, self._text)
        return spec_from_file_location(fullname, self._path, loader=loader, submodule_search_locations=is_package)


class NearestFirst:
    """A pytest plugin that runs the tests of a module first, and those with many examples last."""

    def __init__(self, module: str) -> None:
        self._module = module

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort the tests."""
        items.sort(key=self._distance)

    def _distance(self, item: pytest.Item) -> tuple[bool, bool]:
        is_property = hypothesis.is_hypothesis_test(getattr(item, "obj", None))
        return is_property, self._module not in item.path.stem


def warm_up() -> None:
    """Import what the tests import, so that the processes that are forked from this one need not.

    What is in this repository is forgotten again: it has to be imported with the mutated module in it.
    """
    os.environ["HYPOTHESIS_PROFILE"] = "few"
    before = set(sys.modules)
    with _quiet(os.devnull):
        pytest.main([*_OPTIONS, "--collect-only", *TESTS])
    for name in set(sys.modules) - before:
        source = getattr(sys.modules[name], "__file__", None) or ""
        if name.partition(".")[0] == PACKAGE or (source.startswith(str(ROOT)) and "site-packages" not in source):
            del sys.modules[name]


def run_all(mutations: Iterable[Mutation | None], jobs: int) -> Iterator[tuple[Mutation | None, str | None]]:
    """Run the tests for each mutation, several at a time.

    Returns:
        Each mutation, in the order in which they end, with the output of its tests if all of them passed. None stands
        for the code as it is.
    """
    running: dict[int, tuple[Mutation | None, Path]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, mutation in enumerate(mutations):
            if len(running) >= jobs:
                yield _ended(running)
            output = Path(folder) / str(number)
            running[_forked(mutation, output)] = mutation, output
        while running:
            yield _ended(running)


def _forked(mutation: Mutation | None, output: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_LIMIT, CPU_SECONDS_LIMIT))
        os._exit(_run_tests(mutation, output))
    finally:
        os._exit(pytest.ExitCode.INTERNAL_ERROR)


def _run_tests(mutation: Mutation | None, output: Path) -> int:
    if mutation is not None:
        sys.meta_path.insert(0, MutatedFinder(mutation))
    module = "" if mutation is None else Path(mutation.file).stem
    with _quiet(str(output)):
        return pytest.main([*_OPTIONS, *TESTS], plugins=[NearestFirst(module)])


def _ended(running: dict[int, tuple[Mutation | None, Path]]) -> tuple[Mutation | None, str | None]:
    child, status = os.wait()
    mutation, output = running.pop(child)
    text = output.read_text(errors="replace")
    output.unlink()
    return mutation, text if status == 0 else None


@contextmanager
def _quiet(path: str) -> Iterator[None]:
    """Write to a file what is meant for the terminal."""
    kept = [os.dup(stream) for stream in (1, 2)]
    with open(path, "wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        yield
    finally:
        sys.stdout.flush()
        for stream, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)
