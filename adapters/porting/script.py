"""Ports a launch script or task code of Mephisto: its imports, names, `async` and `await`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from ...core.errors import ConfigError
from .edits import SourceText
from .names import (
    AWAITED_FUNCTIONS,
    AWAITED_METHODS,
    AWAITED_OF_OPERATOR,
    BLOCKING_IN_WORLDS,
    CLASS_ATTRIBUTES,
    CONSTRUCTED,
    RENAMED,
    RENAMED_METHODS,
    RUN_ARGUMENT,
    STANDS_FOR,
    VIEWED,
    WITHOUT_COUNTERPART,
    WITHOUT_COUNTERPART_ON,
    WITHOUT_PARLAI,
    WORLD_FUNCTIONS,
    WORLD_METHODS,
    has_attribute,
    new_name,
    view_of,
)
from .old_main import LOAD_DB, OldMains

_Function = ast.FunctionDef | ast.AsyncFunctionDef
#: The place of a call that nothing can await.
_NOWHERE = None


class Obstacle(NamedTuple):
    """Something that has to be changed by hand."""

    line: int
    problem: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.problem}"


class PortedScript(NamedTuple):
    """A script after its port."""

    text: str
    obstacles: list[Obstacle]


def port_script(text: str, file: str, *, keeps_plain: bool = False) -> PortedScript:
    """Port a script.

    Args:
        text: the script.
        file: its name, for errors.
        keeps_plain: True to leave plain functions plain: only imports and names are changed.

    Raises:
        ConfigError: it is not Python.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ConfigError(f"{file}, line {error.lineno} is not Python: {error.msg}", key=file) from error
    port = _Port(tree, SourceText(text))
    port.change_imports()
    port.change_names()
    port.change_constructors()
    port.change_defaults()
    if not keeps_plain:
        port.add_async()
    return PortedScript(port.source.changed(), sorted(port.obstacles))


class _Port:
    def __init__(self, tree: ast.Module, source: SourceText) -> None:
        self.source = source
        self.obstacles: list[Obstacle] = []
        self._tree = tree
        self._old_mains = OldMains(tree, source, self._report)
        self._parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        #: Names on which `get` is called, or that are called with a database and an id, as classes of Mephisto's model.
        self._read = {
            node.value.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and node.attr == "get" and isinstance(node.value, ast.Name)
        } | {call.func.id for call in self._calls() if isinstance(call.func, ast.Name) and _reads_entity(call)}
        self._used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        #: Names of imported things that have another name here.
        self._renamed: dict[str, str] = {}
        #: The public names of what is imported, by the names under which the script knows it.
        self._imported: dict[str, str] = {}
        #: Everything in classes of worlds, and in functions that make worlds: it runs in threads and stays plain.
        self._in_worlds = {node for part in ast.walk(tree) if _is_of_world(part) for node in ast.walk(part)}
        self._in_runners = {node for part in ast.walk(tree) if _is_runner(part) for node in ast.walk(part)}
        #: Whether agents that are not a task runner's may be those of worlds, which block.
        self._has_worlds = bool(self._in_worlds) or any(_imports_worlds(node) for node in ast.walk(tree))

    # Imports and names ----------------------------------------------------------------------------------------------

    def change_imports(self) -> None:
        """Import from `mephisto_es` what was imported from modules of Mephisto."""
        self._old_mains.change()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "parlai":
                self._report(node, f"from {node.module}: {WITHOUT_PARLAI}")
            elif isinstance(node, ast.ImportFrom) and not node.level and _is_mephisto(node.module or ""):
                self._change_import(node, node.module or "")
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if _is_mephisto(alias.name):
                        self._report(node, f"'import {alias.name}': import the names themselves from mephisto_es")

    def _change_import(self, node: ast.ImportFrom, module: str) -> None:
        imported: list[str] = []
        constants: list[str] = []
        for alias in node.names:
            known_as = alias.asname or alias.name
            if alias.name == LOAD_DB and self._old_mains:
                imported += ["task_script"] if self._old_mains.needs_task_script else []
                continue
            new = new_name(module, alias.name)
            if (view := view_of(alias.name)) is not None and known_as in self._read:
                new = new._replace(public=view)
            if new.public is not None:
                kept = f" as {alias.asname}" if alias.asname else ""
                imported.append(f"{new.public}{kept}")
                self._imported[known_as] = new.public
                if alias.name != new.public and not alias.asname:
                    self._renamed[alias.name] = new.public
            elif new.constant is not None:
                constants.append(f'{known_as} = "{new.constant}"')
            elif known_as in self._used:
                self._report(node, f"{alias.name} has no counterpart: {new.remedy}")
        lines = [f"from mephisto_es import {', '.join(dict.fromkeys(imported))}"] if imported else []
        lines += constants
        indent = "\n" + " " * node.col_offset
        if lines or node.col_offset:
            self.source.replace(self.source.start_of(node), self.source.end_of(node), indent.join(lines) or "pass")
        else:
            self.source.remove_line(node)

    def change_names(self) -> None:
        """Write the new names of what has another name here."""
        renamed = {**RENAMED, **self._renamed}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Name) and self._renamed.get(node.id):
                self.source.replace(self.source.start_of(node), self.source.end_of(node), renamed[node.id])
            elif isinstance(node, ast.Call):
                self._change_call(node)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                self._change_attribute(node, node.value.id)
            elif isinstance(node, ast.ClassDef):
                for name in (one for one in _class_attributes(node) if one.id in CLASS_ATTRIBUTES):
                    self._report(name, f"{name.id}: {CLASS_ATTRIBUTES[name.id]}")

    def _change_attribute(self, node: ast.Attribute, owner: str) -> None:
        """Write the value of a status in place of its constant; report what a class does not have."""
        public = self._imported.get(owner)
        if public is not None and not has_attribute(public, node.attr):
            self._report(node, f"{owner}.{node.attr} has no counterpart: {public} has no {node.attr}")
        elif public == "UnitStatus" and isinstance(node.ctx, ast.Load):
            self.source.insert(self.source.end_of(node), ".value")

    def change_constructors(self) -> None:
        """Remove the run from constructors of blueprints and task runners, which are not given one here."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith(CONSTRUCTED) for base in node.bases):
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                        self._change_constructor(method)

    def change_defaults(self) -> None:
        """Put `_self_` first in defaults lists that lack it: old versions of Hydra did so by themselves."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.List) and _is_defaults_list(node):
                self.source.insert(self.source.start_of(node.elts[0]), '"_self_", ')

    def _change_constructor(self, method: ast.FunctionDef) -> None:
        arguments = method.args.args
        if len(arguments) < 3 or arguments[1].arg != RUN_ARGUMENT:
            return
        first, second = arguments[1:3]
        self.source.replace(
            self.source.position(first.lineno, first.col_offset),
            self.source.position(second.lineno, second.col_offset),
            "",
        )
        passed: set[ast.AST] = set()
        for call in (node for node in ast.walk(method) if isinstance(node, ast.Call)):
            names = [one.id if isinstance(one, ast.Name) else "" for one in call.args]
            if _called(call) == "__init__" and RUN_ARGUMENT in names[:-1]:
                place = names.index(RUN_ARGUMENT)
                start = self.source.start_of(call.args[place])
                self.source.replace(start, self.source.start_of(call.args[place + 1]), "")
                passed.add(call.args[place])
        for node in ast.walk(method):
            if isinstance(node, ast.Name) and node.id == RUN_ARGUMENT and node not in passed:
                self._report(node, f"{RUN_ARGUMENT}: a constructor gets none here; use args, or the methods' arguments")

    def _change_call(self, call: ast.Call) -> None:
        name = _called(call)
        on = ast.unparse(call.func.value).rpartition(".")[2] if isinstance(call.func, ast.Attribute) else ""
        kind = on.rpartition("_")[2] if on != "task_run" else on
        remedy = WITHOUT_COUNTERPART.get(name) or WITHOUT_COUNTERPART_ON.get((kind, name))
        if remedy is not None:
            self._report(call, f"{name}(...): {remedy}")
        elif self._imported and kind in STANDS_FOR and name not in RENAMED_METHODS and not _is_method(kind, name):
            self._report(call, f"{on}.{name}(...) has no counterpart; see docs/mephisto.md")
        if isinstance(call.func, ast.Name) and _reads_entity(call) and name in VIEWED:
            self.source.insert(self.source.end_of(call.func), ".get")
        if name == "Operator" and len(call.args) == 1 and not self._old_mains:
            self._report(call, "Operator(db): decorate main with @task_script(...), or use open_operator(data_dir)")
        if isinstance(call.func, ast.Attribute) and name in RENAMED_METHODS:
            end = self.source.end_of(call.func)
            self.source.replace(end - len(name.encode()), end, RENAMED_METHODS[name])

    # async and await ------------------------------------------------------------------------------------------------

    def add_async(self) -> None:
        """Await what has to be awaited, in functions that are made `async` as far as that reaches."""
        functions: set[str] = set()
        while True:
            calls = [call for call in self._calls() if self._is_awaited(call, functions)]
            reached = {function.name for call in calls if (function := self._function_of(call)) is not None}
            if reached <= functions:
                break
            functions |= reached
        for call in calls:
            self._await(call)
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef) and node.name in functions and node not in self._in_worlds:
                self.source.insert(self.source.start_of(node), "async ")

    def _calls(self) -> Iterator[ast.Call]:
        return (node for node in ast.walk(self._tree) if isinstance(node, ast.Call))

    def _is_awaited(self, call: ast.Call, functions: set[str]) -> bool:
        name, function = _called(call), call.func
        if isinstance(self._parents.get(call), ast.Await) or call in self._in_worlds:
            return False
        if name in BLOCKING_IN_WORLDS and self._has_worlds and call not in self._in_runners:
            return False
        if isinstance(function, ast.Name):
            # The command that task_script makes of a main is called as it is.
            return name in AWAITED_FUNCTIONS or (name in functions and self._function_of(call) is not None)
        if not isinstance(function, ast.Attribute):
            return False
        on = ast.unparse(function.value)
        is_super = on == "super()" and name in functions
        return name in AWAITED_METHODS or (name in AWAITED_OF_OPERATOR and on.endswith("operator")) or is_super

    def _function_of(self, node: ast.AST) -> _Function | None:
        """Return the function that a node is directly in; None if it is in none, or in a lambda."""
        parent = self._parents.get(node)
        while parent is not None and not isinstance(parent, _Function | ast.Lambda):
            parent = self._parents.get(parent)
        return parent if isinstance(parent, _Function) else _NOWHERE

    def _await(self, call: ast.Call) -> None:
        if self._function_of(call) is None:
            self._report(call, f"{_called(call)}(...) has to be awaited in an async function")
            return
        parent = self._parents.get(call)
        needs_brackets = isinstance(parent, ast.Attribute | ast.Subscript | ast.BinOp | ast.UnaryOp) or (
            isinstance(parent, ast.Call) and parent.func is call
        )
        self.source.insert(self.source.start_of(call), "(await " if needs_brackets else "await ")
        if needs_brackets:
            self.source.insert(self.source.end_of(call), ")")

    def _report(self, node: ast.expr | ast.stmt, problem: str) -> None:
        self.obstacles.append(Obstacle(node.lineno, problem))


def _is_defaults_list(node: ast.List) -> bool:
    """Return whether a list is a defaults list of Hydra that chooses plugins or a file, and lacks `_self_`."""
    keys = {ast.unparse(key) for one in node.elts if isinstance(one, ast.Dict) for key in one.keys if key is not None}
    has_self = any(isinstance(one, ast.Constant) and one.value == "_self_" for one in node.elts)
    return not has_self and any(key.startswith("'mephisto/") for key in keys)


def _class_attributes(node: ast.ClassDef) -> Iterator[ast.Name]:
    """Yield the names that the body of a class assigns to."""
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name() as name]) | ast.AnnAssign(target=ast.Name() as name):
                yield name


def _is_method(kind: str, name: str) -> bool:
    """Return whether one of the classes that variables of a name stand for has a method."""
    return any(has_attribute(public, name) for public in STANDS_FOR[kind])


def _reads_entity(call: ast.Call) -> bool:
    """Return whether a call constructs an entity as before Mephisto 1.0: from a database and an id."""
    first = ast.unparse(call.args[0]) if len(call.args) == 2 else ""
    return _called(call) in VIEWED and first.rpartition(".")[2] == "db"


def _is_of_world(node: ast.AST) -> bool:
    """Return whether a node is the class of a world, or a function that makes worlds."""
    match node:
        case ast.ClassDef(bases=bases, body=body):
            methods = {one.name for one in body if isinstance(one, _Function)}
            return bool(methods & WORLD_METHODS) or any(ast.unparse(base).endswith("World") for base in bases)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name in WORLD_FUNCTIONS
    return False


def _is_runner(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("TaskRunner") for base in node.bases)


def _imports_worlds(node: ast.AST) -> bool:
    """Return whether a node imports something of ParlAI, or the agents of its worlds."""
    if not isinstance(node, ast.ImportFrom):
        return False
    is_parlai = (node.module or "").partition(".")[0] == "parlai"
    return is_parlai or any(alias.name == "MephistoAgentWrapper" for alias in node.names)


def _is_mephisto(module: str) -> bool:
    return module == "mephisto" or module.startswith("mephisto.")


def _called(call: ast.Call) -> str:
    """Return the name of the function or method that is called; empty if it has none."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""
