"""Which modules stand in the reference: all of a folder, so that none is forgotten."""

from __future__ import annotations

import importlib
import pkgutil

_PACKAGE = "mephisto_es"


def module_references(folder: str, *only: str) -> str:
    """A reference of each module of a folder.

    Args:
        folder: from the package's root on, for instance `core/operations`.
        only: the modules that are meant, in this order; all, unless given.
    """
    package = importlib.import_module(f"{_PACKAGE}.{folder.replace('/', '.')}")
    there = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.name != "__main__")
    missing = set(only).difference(there)
    if missing:
        raise LookupError(f"{folder} has no module {', '.join(sorted(missing))}")
    return "\n\n".join(f"::: {package.__name__}.{name}" for name in only or there)
