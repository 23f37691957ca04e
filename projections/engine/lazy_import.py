"""Imports a library on first use, without the optional libraries it would import itself.

For a heavy library that most commands never need: the time a command takes is mostly the time of its imports.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType


def lazy_import(name: str, without: Sequence[str] = ()) -> ModuleType:
    """Return a module whose code runs when one of its attributes is first accessed, or the module already imported.

    Args:
        name: the module.
        without: optional dependencies of the module. Unless they are imported already, it does not find them.

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
    """Wraps a loader and hides some libraries while it loads."""

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
    """Make libraries that are not imported yet look as if they were not installed."""
    hidden = [name for name in names if name not in sys.modules]
    # None is Python's marker for a module that does not exist.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # typeshed does not know this
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
