"""Ports the `main` of Mephisto's older scripts, which make their operator themselves: `operator = Operator(db)`."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple

from .edits import SourceText

#: The function that older scripts call before they make an operator, and that `task_script` replaces.
LOAD_DB = "load_db_and_process_config"
_HYDRA_MAIN = "hydra.main"
_DEFAULT_PATH = "hydra_configs"

_Report = Callable[[ast.expr | ast.stmt, str], None]


class _Own(NamedTuple):
    """The statements of a function that make an operator, and the name of the database they use."""

    statements: list[ast.Assign]
    db: str | None


class OldMains:
    """The functions of a script that make an operator.

    Attributes:
        needs_task_script: True if a function is decorated with `task_script` afterwards.
    """

    def __init__(self, tree: ast.Module, source: SourceText, report: _Report) -> None:
        self._tree = tree
        self._source = source
        self._report = report
        self._mains = {
            function: own
            for function in ast.walk(tree)
            if isinstance(function, ast.FunctionDef) and (own := _own_statements(function)) is not None
        }
        self.needs_task_script = any(_hydra_main(function) for function in self._mains)

    def __bool__(self) -> bool:
        return bool(self._mains)

    def change(self) -> None:
        """Let `task_script` make the operator, and remove the statements that made it."""
        for function, own in self._mains.items():
            for statement in own.statements:
                self._source.remove_line(statement)
            decorator = _hydra_main(function)
            if decorator is not None:
                self._change_decorator(function, decorator)
            elif not function.args.args or function.args.args[0].arg != "operator":
                self._report(function, f"{function.name} has to take the operator that task_script makes")
            if own.db is not None and (use := _use_of(function, own)) is not None:
                self._report(use, f"{own.db}: in an async main, read with MephistoDB(...) from mephisto_es instead")

    def _change_decorator(self, function: ast.FunctionDef, decorator: ast.Call) -> None:
        settings = {one.arg: one.value for one in decorator.keywords if one.arg is not None}
        name = _text(settings.get("config_name"))
        config = _registered(self._tree).get(name or "")
        if config is None:
            self._report(decorator, f"hydra.main: write @task_script(config=...) with the class registered as {name!r}")
            return
        path = _text(settings.get("config_path")) or _DEFAULT_PATH
        where = "" if path == _DEFAULT_PATH else f', config_path="{path}"'
        start, end = self._source.start_of(decorator), self._source.end_of(decorator)
        self._source.replace(start, end, f"task_script(config={config}{where})")
        first = function.args.args[0]
        self._source.insert(self._source.position(first.lineno, first.col_offset), "operator: Operator, ")


def _own_statements(function: ast.FunctionDef) -> _Own | None:
    """Return the statements that make an operator; None if the function makes none."""
    statements: list[ast.Assign] = []
    db: str | None = None
    makes_operator = False
    for statement in function.body:
        match statement:
            case ast.Assign(
                targets=[ast.Tuple(elts=[ast.Name(id=name), *_])], value=ast.Call(func=ast.Name(id=called))
            ):
                if called == LOAD_DB:
                    statements.append(statement)
                    db = name
            case ast.Assign(targets=[ast.Name(id="operator")], value=ast.Call(func=ast.Name(id="Operator"), args=[_])):
                statements.append(statement)
                makes_operator = True
            case _:
                pass
    return _Own(statements, db) if makes_operator else None


def _use_of(function: ast.FunctionDef, own: _Own) -> ast.Name | None:
    """Return where a function uses its database beside the statements that are removed; None if nowhere."""
    removed = {node for statement in own.statements for node in ast.walk(statement)}
    used = (node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == own.db)
    return next((node for node in used if node not in removed), None)


def _hydra_main(function: ast.FunctionDef) -> ast.Call | None:
    calls = (one for one in function.decorator_list if isinstance(one, ast.Call))
    return next((call for call in calls if ast.unparse(call.func) == _HYDRA_MAIN), None)


def _registered(tree: ast.Module) -> dict[str, str]:
    """Return the config classes of a script by the names under which it registers them."""
    found: dict[str, str] = {}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        if ast.unparse(call.func).rpartition(".")[2] == "register_script_config":
            given = [*call.args, *(one.value for one in sorted(call.keywords, key=lambda one: one.arg == "module"))]
            name = _text(given[0]) if given else None
            if name is not None and len(given) > 1:
                found[name] = ast.unparse(given[1])
    return found


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
