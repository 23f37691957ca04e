"""Fingerprints the code of a projection: tables with another fingerprint have to be rebuilt."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .projection import Projection

#: An import from this package; all of them are relative and at the top of the module.
_IMPORT = re.compile(
    r"^from (?P<dots>\.+)(?P<module>[\w.]*) import (?:\((?P<several>[^)]*)\)|(?P<one>.*))$", re.MULTILINE
)
#: A name after `import`, without the one it is given by `as`.
_NAME = re.compile(r"(\w+)(?: as \w+)?")


def code_fingerprint(projection: Projection) -> str:
    """Return a hex digest of everything that a projection's tables depend on besides the log.

    That is the source of its module and of all modules of the package it imports, directly or indirectly. For the
    MephistoDB view these are its handlers, its rows, the lifecycles and the events, but not its readers.
    """
    return source_fingerprint(Path(str(sys.modules[type(projection).__module__].__file__)))


@cache
def source_fingerprint(source: Path) -> str:
    """Return a hex digest of a module and of all modules of the package that it imports, directly or indirectly."""
    digest = hashlib.sha256()
    for module in sorted(sources(source)):
        digest.update(module.read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def sources(source: Path) -> set[Path]:
    """Return a module and all modules of the package that it imports, directly or indirectly."""
    found: set[Path] = set()
    waiting = [source]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imported(module)
    return found


def _imported(source: Path) -> Iterator[Path]:
    for match in _IMPORT.finditer(source.read_text("utf-8")):
        folder = source.parents[len(match["dots"]) - 1]
        module = folder.joinpath(*match["module"].split("."))
        if (file := module.with_suffix(".py")).is_file():
            yield file
        else:
            names = _NAME.findall(match["several"] or match["one"])
            files = [file for name in names if (file := module / f"{name}.py").is_file()]
            yield from files if len(files) == len(names) else [*files, module / "__init__.py"]
