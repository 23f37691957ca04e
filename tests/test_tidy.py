"""Rules of the whole tree that no linter knows: direction of imports, purity, threads, packaging."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: Imports point to the left.
LAYERS = ("events", "core", "projections", "adapters")
#: What is data or decision only: nothing here may reach for the world.
PURE = ("events", "core/lifecycles", "core/state", "core/commands", "core/decisions")
#: Modules by which code reaches for time, chance, tasks or files.
WORLDLY = {
    *("time", "datetime", "random", "secrets", "uuid"),
    *("trio", "anyio", "asyncio", "threading", "subprocess"),
    *("io", "os", "pathlib", "shutil", "tempfile", "socket", "sqlite3", "httpx"),
}
#: Where worker threads are: the log's commit and the check of large submissions, the log's anchor and kept state, an
#: operator's lease and ids on a server, plain user callbacks, the watchdog of the event loop, the router process, which
#: writes its journal and uploads and checks large bodies beside its event loop, the operator's client of routers, which
#: makes fetched files durable, the web view's process, which reads the log beside its own, plain launch scripts and
#: notebooks, and waits for locks that another process holds.
THREADED = {
    "adapters/composition/ledger.py",
    "adapters/composition/operator.py",
    "adapters/log/commit_thread.py",
    "adapters/log/opening.py",
    "adapters/composition/sharing.py",
    "adapters/log/postgres/server.py",
    "adapters/log/postgres/sharing.py",
    "adapters/notify/receivers.py",
    "core/operations/task_code/calls.py",
    "core/operations/task_code/loop_watchdog.py",
    "adapters/architects/router/python/journal/journal.py",
    "adapters/architects/router/python/http/bodies.py",
    "adapters/architects/router/python/http/run_routes.py",
    "adapters/architects/router/python/http/uploads.py",
    "adapters/architects/router/client.py",
    "adapters/web/log_access.py",
    "adapters/control/holder.py",
    "adapters/facade/calls.py",
}
#: Attributes by which code starts or enters a thread.
THREAD_CALLS = {"to_thread", "from_thread", "Thread", "start_thread_soon"}
#: Calls that print; only `adapters/terminal.py` makes them.
PRINTING = {"click.echo", "click.secho", "print", "Console", "sys.stdout.write", "sys.stderr.write"}
PRINTING_NAMES = {call.rpartition(".")[2] for call in PRINTING}
#: Where code of users and plugins is called: whatever it raises is logged and ends its own work.
FOREIGN = {
    "adapters/blueprints/remote_procedure.py",
    "core/operations/registry.py",
    "core/operations/run/site_loop.py",
    "core/operations/services/site_mirror.py",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


MODULES = [
    path
    for folder in (*LAYERS, "examples", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "node_modules" not in path.parts
]


@cache
def tree_of(path: Path) -> ast.Module:
    """Return a parsed module. Every process of the suite imports this file, and one of them needs the trees."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sources(*folders: str) -> list[Path]:
    """The modules below the folders."""
    return [path for path in MODULES if any(path.is_relative_to(ROOT / folder) for folder in folders)]


PACKAGE = sources(*LAYERS)


def imported(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Line, dotted name and whether it is relative, of each import of a module; relative names start at the root."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, False
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module.split(".") if node.module else ())]
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name]), True
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "", False


def findings(found: Iterator[str]) -> str:
    """All findings of a check, one a line; empty if there is none."""
    return "\n".join(found)


def test_there_is_something_to_check() -> None:
    assert len(PACKAGE) > 50
    assert {name_of(path).split("/")[0] for path in MODULES} == {*LAYERS, "examples", "tests"}


def test_imports_run_one_way() -> None:
    def against() -> Iterator[str]:
        for path in sources(*LAYERS):
            own = LAYERS.index(path.relative_to(ROOT).parts[0])
            for line, name, relative in imported(path):
                top = name.split(".")[0]
                if relative and top in LAYERS and LAYERS.index(top) > own:
                    yield f"{name_of(path)}:{line} imports {name}, which is further out"
                if not relative and top in {"mephisto_es", "examples", "tests", *LAYERS}:
                    yield f"{name_of(path)}:{line} imports {name}: inside the package imports are relative"

    assert findings(against()) == ""


def test_imports_stand_at_the_top() -> None:
    def inside() -> Iterator[str]:
        for path in PACKAGE:
            for function in ast.walk(tree_of(path)):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    for node in ast.walk(function):
                        if isinstance(node, ast.Import | ast.ImportFrom):
                            yield f"{name_of(path)}:{node.lineno} imports inside {function.name}"

    assert findings(inside()) == ""


def test_data_and_decisions_do_not_reach_for_the_world() -> None:
    def reaching() -> Iterator[str]:
        for path in sources(*PURE):
            for line, name, _ in imported(path):
                if name.split(".")[0] in WORLDLY:
                    yield f"{name_of(path)}:{line} imports {name}"
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "input"}:
                    yield f"{name_of(path)}:{node.lineno} calls {node.func.id}()"
                if isinstance(node, ast.AsyncFunctionDef | ast.Await):
                    yield f"{name_of(path)}:{node.lineno} is asynchronous"

    assert findings(reaching()) == ""


def test_nobody_sleeps_as_a_thread_or_brings_another_loop() -> None:
    def sleeping() -> Iterator[str]:
        for path in MODULES:
            for line, name, _ in imported(path):
                if name.split(".")[0] == "asyncio":
                    yield f"{name_of(path)}:{line} imports {name}"
            for node in ast.walk(tree_of(path)):
                if not isinstance(node, ast.Attribute | ast.ImportFrom):
                    continue  # to write every node out takes seconds
                if ast.unparse(node) in {"time.sleep", "from time import sleep"}:
                    yield f"{name_of(path)}:{getattr(node, 'lineno', '?')} uses time.sleep"

    assert findings(sleeping()) == ""


def test_threads_are_in_named_places_only() -> None:
    def threads() -> Iterator[str]:
        for path in PACKAGE:
            if name_of(path) in THREADED:
                continue
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.Attribute) and node.attr in {
                    "to_thread",
                    "from_thread",
                    "Thread",
                    "start_thread_soon",
                }:
                    yield f"{name_of(path)}:{node.lineno} uses {ast.unparse(node)}"
            for line, name, _ in imported(path):
                if name.startswith(("threading", "concurrent", "multiprocessing", "trio.to_thread", "anyio.to_thread")):
                    yield f"{name_of(path)}:{line} imports {name}"

    assert findings(threads()) == ""


def test_everything_is_printed_in_one_place() -> None:
    """Text from strangers must not reach a terminal as it is."""

    def printing() -> Iterator[str]:
        for path in sources("adapters"):
            if path.name == "terminal.py" or {"router", "fakes"} & set(path.parts):
                continue
            for node in ast.walk(tree_of(path)):
                called = node.func if isinstance(node, ast.Call) else None
                last = getattr(called, "attr", getattr(called, "id", ""))
                # To write every node out takes seconds.
                if called is not None and last in PRINTING_NAMES and ast.unparse(called) in PRINTING:
                    yield f"{name_of(path)}:{called.lineno} prints: do it with adapters/terminal.py"

    assert findings(printing()) == ""


@pytest.mark.parametrize("path", sorted(THREADED | FOREIGN))
def test_named_places_exist(path: str) -> None:
    assert (ROOT / path).is_file()


def test_no_error_is_swallowed_unnamed() -> None:
    def swallowing() -> Iterator[str]:
        for path in MODULES:
            for node in ast.walk(tree_of(path)):
                if not isinstance(node, ast.ExceptHandler):
                    continue
                caught = "" if node.type is None else ast.unparse(node.type)
                raises = any(isinstance(part, ast.Raise) for part in ast.walk(node))
                broad = caught in {"BaseException", *({"Exception"} if name_of(path) not in FOREIGN else ())}
                if node.type is None or (broad and not raises):
                    yield f"{name_of(path)}:{node.lineno} swallows: except {caught}"

    assert findings(swallowing()) == ""


def test_the_package_list_is_the_tree() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {ROOT, *(path.parent for path in PACKAGE)}
    for folder in folders:
        assert (folder / "__init__.py").is_file(), f"{folder} has modules and no __init__.py"
    assert sorted(listed) == sorted(".".join(["mephisto_es", *folder.relative_to(ROOT).parts]) for folder in folders)


def test_everything_that_is_not_code_is_installed_too() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    installed = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    wanted = {
        path
        for folder in (*LAYERS, "examples")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and not {"__pycache__", "node_modules", "test"} & set(path.parts)
        # The modules of the package come with the package list; an example's script is data.
        and (path.suffix != ".py" or folder == "examples")
    }
    assert sorted(map(name_of, wanted - installed)) == []


def test_nothing_leaks_to_the_top_level() -> None:
    script = (
        "import importlib.util as u, mephisto_es\n"
        f"print([n for n in {(*LAYERS, 'tests', 'examples')!r} if u.find_spec(n)], mephisto_es.__name__)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[] mephisto_es"
