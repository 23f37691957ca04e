"""Imports a launch script for the plugins that it defines, without launching anything."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

from ...core.errors import ConfigError

#: Name of the module; not `__main__`, so that the script does not launch its task.
MODULE_NAME = "mephisto_es_launch_script"


def import_launch_script(path: Path) -> None:
    """Import a launch script, which registers the providers, architects and blueprints that it defines.

    Its folder is searched for what it imports.

    Raises:
        ConfigError: it would launch its task when it is imported, or cannot be imported.
    """
    try:
        call = _call_on_import(ast.parse(path.read_bytes(), str(path)))
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if call is not None:
        raise ConfigError(
            f"{path} calls {call.name} in line {call.line} whenever it is imported, and might launch its task",
            hint='Put the call under `if __name__ == "__main__":`',
        )
    spec = importlib.util.spec_from_file_location(MODULE_NAME, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file")
    if str(path.parent.resolve()) not in sys.path:
        sys.path.insert(0, str(path.parent.resolve()))
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error


class _FoundCall(NamedTuple):
    """A call that a module makes when it is imported."""

    name: str
    line: int


def _call_on_import(module: ast.Module) -> _FoundCall | None:
    """Return a call of one of a module's own functions as it is imported; None: it makes none."""
    own = {one.name for one in module.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    for statement in module.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            for node in ast.walk(statement.value):
                if isinstance(node, ast.Name) and node.id in own:
                    return _FoundCall(node.id, node.lineno)
    return None
