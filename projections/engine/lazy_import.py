"""Loading a library when something of it is first used, and not all that it would like to have beside it.

For one that brings much with it and that most programs over a log never need: a question in a terminal is answered in
the time that imports take.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType


def deferred(name: str, without: Sequence[str] = ()) -> ModuleType:
    """A module whose code runs when one of its names is first asked for; that of an import, where there was one.

    Args:
        name: the module.
        without: libraries that it does without where they are not installed. Unless they are loaded already, it finds
            them missing.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    spec.loader = LazyLoader(_LoaderWithout(spec.loader, without))
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _LoaderWithout(Loader):
    """Loads as another does, while some libraries cannot be found."""

    def __init__(self, loader: Loader, without: Sequence[str]) -> None:
        self._loader = loader
        self._without = without

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _hidden(self._without):
            self._loader.exec_module(module)


@contextmanager
def _hidden(names: Sequence[str]) -> Iterator[None]:
    """Let libraries that are not loaded look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    # None is Python's own word for "there is no such module".
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # typeshed does not know of it
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
