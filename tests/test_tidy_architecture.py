"""Rules of the architecture: no cycles, layers, docstrings, names, sizes."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: The folders of the package, from the innermost layer to the outermost.
LAYERS = ("events", "core", "projections", "adapters")
#: Layers inside `core`: imports point to the left.
CORE_LAYERS = ("base", "lifecycles", "state", "commands", "decisions", "ledger", "abstractions", "operations")
#: The layer of each module that lies directly in `core`.
CORE_MODULES = {
    **dict.fromkeys(
        ("errors", "chain", "payloads", "ports", "redaction", "suggestions", "gc_tuning", "signal", "printable"), "base"
    ),
    "opaque_json": "base",
    "packet_data": "base",
    "packets": "base",
    "entity_ref": "base",
    "command_issuer": "ledger",
    "ledger": "ledger",
}
#: Adapters that people or programs drive; none of them imports another.
DRIVING = ("cli", "web", "scripts", "metrics")
QUESTION_WORDS = ("What", "Who", "Whether", "How", "Where", "Which", "Why", "When", "Whose")
MAX_MODULES = 15
MIN_LINES, MAX_LINES = 40, 400
MAX_FUNCTION_LINES = 60
#: Folders whose modules have the size of what they are for, and as many as there are of it.
UNMEASURED = {
    "adapters/cli": "one module for each verb",
    "events": "one module for each category of streams",
}
#: Modules that are short for a reason.
SHORT = {
    "adapters/architects/router/python/counters.py": "the same file in both languages",
    "adapters/log/commit_thread.py": "the one place where the log meets threads",
    "core/gc_tuning.py": "two context managers for all layers",
    "core/printable.py": "one way to escape for all layers",
    "core/suggestions.py": "one function for all layers",
    "projections/queries/worker_names.py": "one query and one function for all readers",
    "projections/registry.py": "the list of projections",
}
#: Modules that are long for a reason.
LONG: dict[str, str] = {}

MODULES = {
    path.relative_to(ROOT).as_posix()
    for folder in LAYERS
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts
}


@cache
def tree_of(name: str) -> ast.Module:
    """Return a parsed module. Every process of the suite imports this file, and one of them needs the trees."""
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def module_imports(name: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the file of each module of ours that a module imports, those for types included."""
    package = name.split("/")[:-1]
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ())]
            for alias in node.names:
                for candidate in ("/".join([*base, alias.name]) + ".py", "/".join(base) + ".py"):
                    if candidate in MODULES:
                        yield node.lineno, candidate
                        break
                else:
                    init = "/".join(base) + "/__init__.py"
                    if init in MODULES:
                        yield node.lineno, init


def cycles() -> list[list[str]]:
    """Return the groups of modules that import each other (strongly connected components of more than one)."""
    graph = {name: sorted({target for _, target in module_imports(name)}) for name in sorted(MODULES)}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in graph[name]:
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            group = []
            while True:
                group.append(stack.pop())
                if group[-1] == name:
                    break
            if len(group) > 1:
                groups.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return groups


def core_layer(name: str) -> int | None:
    """Return the number of the layer of `core` that a module belongs to; None for a module elsewhere."""
    parts = name.removesuffix(".py").split("/")
    if parts[0] != "core" or parts[1:] == ["__init__"]:
        return None
    layer = parts[1] if len(parts) > 2 else CORE_MODULES[parts[1]]
    return CORE_LAYERS.index(layer)


def report(findings: Iterator[str]) -> str:
    """Join findings, one a line."""
    return "\n".join(findings)


def test_no_module_imports_itself_through_others() -> None:
    assert cycles() == []


def test_layers_of_core_import_downwards_only() -> None:
    def upward() -> Iterator[str]:
        for name in sorted(MODULES):
            own = core_layer(name)
            for line, target in module_imports(name) if own is not None else ():
                other = core_layer(target)
                if own is not None and other is not None and other > own:
                    yield f"{name}:{line} imports {target}"

    assert report(upward()) == ""


def test_driving_adapters_do_not_import_each_other() -> None:
    def across() -> Iterator[str]:
        for name in sorted(MODULES):
            parts = name.split("/")
            if parts[0] != "adapters" or parts[1] not in DRIVING:
                continue
            for line, target in module_imports(name):
                other = target.split("/")
                if other[0] == "adapters" and other[1] in ("cli", "web") and other[1] != parts[1]:
                    yield f"{name}:{line} imports {target}"

    # The command line opens the web view; nothing else crosses.
    assert report(finding for finding in across() if not finding.startswith("adapters/cli/serve.py")) == ""


def test_docstrings_do_not_begin_with_a_question_word() -> None:
    def questions() -> Iterator[str]:
        for name in sorted(MODULES):
            for node in ast.walk(tree_of(name)):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    words = (ast.get_docstring(node) or "").split(maxsplit=1)
                    if words and words[0].rstrip(",;:") in QUESTION_WORDS:
                        yield f"{name}:{getattr(node, 'lineno', 1)} {getattr(node, 'name', 'module')}: {words[0]} ..."

    assert report(questions()) == ""


def test_no_class_name_is_used_twice() -> None:
    places = defaultdict(list)
    for name in sorted(MODULES):
        for node in ast.walk(tree_of(name)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_folders_have_few_modules() -> None:
    counts: dict[str, int] = defaultdict(int)
    for name in sorted(MODULES):
        if not name.endswith("__init__.py"):
            counts[name.rpartition("/")[0]] += 1
    many = {folder: count for folder, count in counts.items() if count > MAX_MODULES and folder not in UNMEASURED}
    assert many == {}


def test_modules_are_neither_tiny_nor_huge() -> None:
    def odd() -> Iterator[str]:
        for name in sorted(MODULES):
            lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
            if name.endswith(("__init__.py", "__main__.py")) or name.rpartition("/")[0] in UNMEASURED:
                continue
            if lines < MIN_LINES and name not in SHORT:
                yield f"{name}: {lines} lines"
            if lines > MAX_LINES and name not in LONG:
                yield f"{name}: {lines} lines"

    assert report(odd()) == ""


def test_functions_fit_a_screen() -> None:
    def long() -> Iterator[str]:
        for name in sorted(MODULES):
            for node in ast.walk(tree_of(name)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = (node.end_lineno or 0) - node.lineno + 1
                    if lines > MAX_FUNCTION_LINES:
                        yield f"{name}:{node.lineno} {node.name}: {lines} lines"

    assert report(long()) == ""


@pytest.mark.parametrize("name", sorted({**SHORT, **LONG}))
def test_exceptions_are_still_needed(name: str) -> None:
    lines = len((ROOT / name).read_text(encoding="utf-8").splitlines())
    assert not MIN_LINES <= lines <= MAX_LINES
