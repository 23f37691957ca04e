"""The public names: pinned, there at run time and for a type checker, and loaded only when they are used."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import mephisto_es
from mephisto_es import contracts
from mephisto_es.core import errors

ROOT = Path(__file__).resolve().parents[1]
PINNED = Path(__file__).with_name("public_names.py")


def imported_from(module: str, file: Path) -> dict[str, str]:
    """Return the names that a file imports from a module or, if it is ".", from any relative one, with that module."""
    return {
        alias.name: node.module or ""
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module == module or (module == "." and node.level))
        for alias in node.names
    }


def modules_loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after some code."""
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_the_public_names_are_the_pinned_ones() -> None:
    assert sorted(mephisto_es.__all__) == sorted(imported_from("mephisto_es", PINNED))
    assert sorted(contracts.__all__) == sorted(imported_from("mephisto_es.contracts", PINNED))


def test_a_type_checker_reads_each_name_from_the_module_it_is_loaded_from() -> None:
    for name, module in imported_from(".", ROOT / "__init__.pyi").items():
        assert getattr(mephisto_es, name) is getattr(import_module(f"mephisto_es.{module}"), name)
    assert sorted(mephisto_es.__all__) == sorted(imported_from(".", ROOT / "__init__.pyi"))


@pytest.mark.parametrize("name", mephisto_es.__all__)
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    found = getattr(mephisto_es, name)
    if inspect.isclass(found) or inspect.isfunction(found):
        assert found.__name__ == name
        assert found.__module__.startswith("mephisto_es.")
    assert name in dir(mephisto_es)


def test_every_error_of_the_tree_is_public() -> None:
    tree = {name for name, one in vars(errors).items() if inspect.isclass(one) and one.__module__ == errors.__name__}
    assert tree <= set(mephisto_es.__all__)


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="No mephisto_es attribute Oparator"):
        _ = mephisto_es.Oparator  # type: ignore[attr-defined]  # a type checker must object too


def test_the_package_alone_loads_nothing() -> None:
    loaded = modules_loaded_by("import mephisto_es")
    assert {name for name in loaded if name.startswith("mephisto_es.")} == set()
    assert loaded.isdisjoint({"trio", "msgspec", "omegaconf", "hydra", "sqlite3", "httpx"})


def test_who_needs_only_the_events_loads_nothing_else() -> None:
    ours = {name for name in modules_loaded_by("import mephisto_es.events.codec") if name.startswith("mephisto_es.")}
    assert {name for name in ours if not name.startswith("mephisto_es.events")} == set()


def test_a_name_loads_no_more_than_it_needs() -> None:
    assert modules_loaded_by("from mephisto_es import UnitStatus").isdisjoint({"trio", "hydra", "httpx", "starlette"})
